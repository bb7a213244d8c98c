"""The ten rules of the audit as a schema of pandera.

    audit_pandera.py pandas|polars LAKE

All files are read into one frame with the partition as a column, and validated at once with
`lazy=True`, so that pandera goes on after the first rule that is broken. It then gives each value
that fails with the index of its row, from which the partition is told: a frame a partition would
be 365 validations. A condition over two columns makes pandas list the failing row once a column,
so rows are counted, not values.
"""

# pandera isn't installed where types are checked.
# pyright: reportMissingImports=false

import importlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.dataset
from moving import moving

Counts = dict[str, dict[str, int]]
NOT_NULL = {
    **dict.fromkeys(("household_id", "store_id", "basket_id", "product_id"), "keys_present"),
    "transaction_timestamp": "time_present",
}
ONE_LINE = ["partition", "basket_id", "product_id"]
NULL, REPEATED = "not_nullable", "multiple_fields_uniqueness"
"""What pandera calls them."""
RULES = (
    *dict.fromkeys(NOT_NULL.values()),
    "sold_something",
    "price_not_negative",
    "small_price",
    "week_of_year",
    "discount_within_price",
    "no_coupon",
    "known_product",
    "one_line_a_product",
)


class InPandas:
    """The frame, and what is said differently there."""

    def __init__(self) -> None:
        self.pandera = importlib.import_module("pandera.pandas")

    def read(self, files: Sequence[str], folder: Path) -> Any:
        """Files of a partitioned table in one frame."""
        found = pyarrow.dataset.dataset(files, partitioning="hive", partition_base_dir=str(folder))
        return found.to_table().to_pandas()

    def values(self, files: Sequence[str], column: str) -> list[int]:
        """One column."""
        return pyarrow.dataset.dataset(files).to_table([column]).to_pandas()[column].tolist()

    def wide(self) -> dict[str, Any]:
        """Conditions over two columns."""
        return {
            "discount_within_price": lambda rows: rows.retail_disc <= rows.sales_value,
            "no_coupon": lambda rows: rows.coupon_disc + rows.coupon_match_disc == 0,
        }

    def counted(self, failures: Any, rows: Any) -> Counts:
        """Rows by rule and partition."""
        null = failures.check == NULL
        rules = failures.check.replace({REPEATED: "one_line_a_product"})
        rules = rules.mask(null, failures.column.map(NOT_NULL))
        once = failures[["index"]].assign(rule=rules).drop_duplicates()
        days = rows.partition.loc[once["index"]].to_numpy()
        found = once.assign(partition=days).groupby(["rule", "partition"]).size()
        return by_rule((rule, day, count) for (rule, day), count in found.items())


class InPolars:
    """The same in polars."""

    def __init__(self) -> None:
        self.pandera = importlib.import_module("pandera.polars")
        self.polars = importlib.import_module("polars")

    def read(self, files: Sequence[str], folder: Path) -> Any:  # noqa: ARG002 -- found by itself
        """Files of a partitioned table in one frame."""
        return self.polars.read_parquet(
            files, hive_partitioning=True, hive_schema={"partition": self.polars.String}
        )

    def values(self, files: Sequence[str], column: str) -> list[int]:
        """One column."""
        return self.polars.read_parquet(files, columns=[column])[column].to_list()

    def wide(self) -> dict[str, Any]:
        """Conditions over two columns."""
        col = self.polars.col
        conditions = {
            "discount_within_price": col("retail_disc") <= col("sales_value"),
            "no_coupon": col("coupon_disc") + col("coupon_match_disc") == 0,
        }
        return {
            name: lambda data, condition=condition: data.lazyframe.select(condition)
            for name, condition in conditions.items()
        }

    def counted(self, failures: Any, rows: Any) -> Counts:
        """Rows by rule and partition."""
        check, column = self.polars.col("check"), self.polars.col("column")
        named = check.replace({REPEATED: "one_line_a_product"})
        null = column.replace_strict(NOT_NULL, default=None)
        rule = self.polars.when(check == NULL).then(null).otherwise(named).alias("rule")
        once = failures.select(rule, "index").unique()
        days = rows["partition"].gather(once["index"])
        found = once.select("rule", days).group_by("rule", "partition").len()
        return by_rule(found.iter_rows())


def by_rule(found: Iterable[tuple[str, str, int]]) -> Counts:
    counts: Counts = {rule: {} for rule in RULES}
    for rule, day, count in sorted(found):
        counts[rule][day] = int(count)
    return counts


def schema(backend: InPandas | InPolars, known: list[int]) -> Any:
    """All ten rules."""
    pandera = backend.pandera
    check = pandera.Check
    checks = {
        "quantity": [check.ge(1, error="sold_something")],
        "sales_value": [
            check.ge(0, error="price_not_negative"),
            check.le(100, error="small_price"),
        ],
        "week": [check.in_range(1, 53, error="week_of_year")],
        "product_id": [check.isin(known, error="known_product")],
    }
    columns = {
        name: pandera.Column(checks=checks.get(name), nullable=name not in NOT_NULL)
        for name in dict.fromkeys([*NOT_NULL, *checks])
    }
    wide = [check(condition, error=name) for name, condition in backend.wide().items()]
    return pandera.DataFrameSchema(columns, checks=wide, unique=ONE_LINE)


def main() -> None:
    mode, folder = sys.argv[1], Path(sys.argv[2])
    backend = InPandas() if mode == "pandas" else InPolars()
    daily = folder / "raw" / "bench" / "daily"
    with moving() as facts:
        files = sorted(str(file) for file in daily.glob("partition=*/*.parquet"))
        products = sorted(map(str, (folder / "staging" / "bench" / "products").glob("*.parquet")))
        rows = backend.read(files, daily)
        known = backend.values(products, "product_id")
        try:
            schema(backend, known).validate(rows, lazy=True)
            facts["broken"] = by_rule([])
        except backend.pandera.errors.SchemaErrors as errors:
            facts["broken"] = backend.counted(errors.failure_cases, rows)
        facts["partitions"] = len(files)


if __name__ == "__main__":
    main()
