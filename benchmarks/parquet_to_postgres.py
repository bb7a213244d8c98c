"""Parquet to PostgreSQL: 1,469,307 rows into an empty database.

    .venv/bin/python benchmarks/parquet_to_postgres.py [--rounds 3] [--only NAME] [--write-docs]

The rows stand in one Parquet file of the lake, which all contestants read; the platform takes part
with a file for each day as well, which brings an index on the partition column. A hash of all
values in the table must be that of the file. pandas loads the first 20,000 rows and its time is
scaled up. To reach: 400,000 rows a second.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ground import Ground, Options, carry_out, fingerprint_of_first, fingerprint_of_table
from lakes import land, only_file
from measuring import Contestant, Results, contestant_program
from others import python_of_others
from tables import above, cpu_seconds, process_seconds, rate, seconds, table

from data_platform.demo.retail_data import FIRST_DAY

NAME = "parquet_to_postgres"
SHARE_ROWS = 20_000
WAREHOUSE = "warehouse"


def contestants(ground: Ground, lake: Path, days: int, rows: int) -> list[Contestant]:
    """All that load the rows."""
    url = ground.url(WAREHOUSE)
    file = only_file(lake, "whole")
    share = min(SHARE_ROWS, rows)
    return [
        _platform(ground, lake, "platform, one file", "whole", days),
        _platform(ground, lake, "platform, daily partitions", "daily", days),
        _other(ground, "psycopg COPY as CSV by pyarrow", "psycopg_copy_in", "csv", url, file),
        _other(ground, "psycopg binary COPY, row by row", "psycopg_copy_in", "rows", url, file),
        _other(
            ground, "dlt, Parquet", "dlt_load", "parquet", url, file, ground.root / "dlt",
            table="theirs.transactions",
        ),
        _other(
            ground, "dlt, CSV", "dlt_load", "csv", url, file, ground.root / "dlt",
            table="theirs.transactions",
        ),
        _other(
            ground, f"pandas to_sql(method='multi'), {share:,} rows, scaled up",
            "pandas_to_sql", url, file, share, share=share / rows,
        ),
    ]  # fmt: skip


def _platform(ground: Ground, lake: Path, name: str, destination: str, days: int) -> Contestant:
    command = contestant_program(
        "platform_load", destination, FIRST_DAY, FIRST_DAY + timedelta(days=days)
    )
    return Contestant(
        name,
        command,
        _table_is(ground, destination),
        lambda: _prepare(ground),
        ground.environment(lake),
    )


def _other(
    ground: Ground, name: str, program: str, *arguments: object, table: str = "transactions",
    share: float = 1,
) -> Contestant:  # fmt: skip
    results = _table_is(ground, table) if share == 1 else _share_is(ground)
    command = contestant_program(program, *arguments, python=python_of_others())
    return Contestant(name, command, results, lambda: _prepare(ground), share=share)


def _table_is(ground: Ground, name: str) -> Callable[[Mapping[str, Any]], Results]:
    return lambda _: fingerprint_of_table(ground.url(WAREHOUSE), name)


def _share_is(ground: Ground) -> Callable[[Mapping[str, Any]], Results]:
    return lambda _: _of_the_share(fingerprint_of_table(ground.url(WAREHOUSE), "transactions"))


def _of_the_share(results: Results) -> Results:
    return {f"{what} of the share": value for what, value in results.items()}


def _prepare(ground: Ground) -> None:
    ground.folder("dlt")
    ground.empty(WAREHOUSE)


def run(ground: Ground, chosen: Options) -> str:
    """Measure, and give the table."""
    rows = ground.load_shop(chosen.days)
    lake = ground.folder("lake")
    loaded = ground.load(lake)
    land(loaded, "whole", chosen.days)
    land(loaded, "daily", chosen.days)
    known = fingerprint_of_table(ground.url("shop"), "transactions")
    first = fingerprint_of_first(only_file(lake, "whole"), min(SHARE_ROWS, rows))
    known = {**known, **_of_the_share(first)}
    runs, absent = chosen.compete(contestants(ground, lake, chosen.days, rows), known)
    columns = [rate(rows), seconds(), process_seconds(), cpu_seconds(), above()]
    return f"{rows:,} rows:\n\n{table(runs, columns, absent)}"


if __name__ == "__main__":
    carry_out(NAME, __doc__, run)
