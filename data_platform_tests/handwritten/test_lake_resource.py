"""The lake in functions that nobody's annotation can tell: rows by name, and SQL."""

import pandas as pd
import pyarrow as pa
import pytest
from factories import Project
from handwritten_sales import DAYS, Sales

from data_platform.errors import ContractError, PermanentError
from data_platform.resources import LakeResource

CODE = """
    from data_platform.resources import LakeResource

    @dg.asset(deps=[["staging", "orders"]])
    def best(lake: LakeResource) -> pd.DataFrame:
        return lake.query(
            "SELECT country, SUM(amount) AS amount FROM sales.staging.orders"
            " WHERE country IS NOT NULL GROUP BY country ORDER BY amount DESC LIMIT 1"
        )
"""


ORDERS = {
    DAYS[0]: "SELECT 1::BIGINT AS id, 'DE' AS country, 10.50::DECIMAL(12,2) AS amount"
    " UNION ALL SELECT 2, 'FR', 20.00",
    DAYS[1]: "SELECT 3::BIGINT AS id, 'DE' AS country, -1.25::DECIMAL(12,2) AS amount",
    DAYS[2]: "SELECT 4::BIGINT AS id, NULL AS country, 7.00::DECIMAL(12,2) AS amount"
    " UNION ALL SELECT 5, 'DE', NULL",
}


@pytest.fixture
def lake(project: Project) -> LakeResource:
    project.land_all("staging/sales/orders", ORDERS)
    project.land("raw/sales/orders", "SELECT UNNEST([1, 2, 3, 4, 5])::BIGINT AS id")
    return LakeResource(root=str(project.workbench.lake.root))


def test_an_asset_asks_the_lake_itself(sales: Sales) -> None:
    sales.write(CODE)
    assert sales.run(DAYS, ["raw/orders", "staging/orders"]).success
    assert sales.run([], ["analytics/best"]).success
    assert sales.rows("SELECT country, amount FROM sales.analytics.best") == [("FR", 20)]


def test_rows_are_read_by_any_of_their_names(lake: LakeResource) -> None:
    frames = [
        lake.read(name)
        for name in ("sales.staging.orders", "staging/sales/orders", "staging.sales.orders")
    ]
    assert [list(frame["id"]) for frame in frames] == [[1, 2, 3, 4, 5]] * 3
    assert isinstance(frames[0], pd.DataFrame)


def test_some_partitions_and_columns_are_read(lake: LakeResource) -> None:
    table = lake.read(
        "sales.staging.orders", partitions=[DAYS[2]], columns=["id", "amount"], as_="pyarrow"
    )
    assert isinstance(table, pa.Table)
    assert table.column_names == ["id", "amount"]
    assert [str(value) for value in table["amount"].to_pylist()] == ["7.00", "None"]
    assert lake.read("sales.staging.orders", partitions=[]).empty


def test_a_relation_is_read_where_it_is_used(lake: LakeResource) -> None:
    with lake.scan("sales.staging.orders", partitions=DAYS[:2]) as relation:
        assert relation.aggregate("count(*), max(id)").fetchall() == [(3, 3)]


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("sales.staging.order", "has never been published, or there is no such table"),
        (
            "staging.orders",
            "'staging.orders' names no table of the lake: write pipeline.layer.name",
        ),
        ("destinations/sales/orders", "names no table of the lake"),
        ("sales.staging.", "names no table"),
        ("../../etc/x", "names no table"),
    ],
)
def test_names_that_are_none(lake: LakeResource, name: str, match: str) -> None:
    with pytest.raises(PermanentError, match=match):
        lake.read(name)


def test_partitions_and_columns_that_are_none(lake: LakeResource) -> None:
    with pytest.raises(PermanentError, match="has no published partition 2024-01-31"):
        lake.read("sales.staging.orders", partitions=[DAYS[0], "2024-01-31"])
    with pytest.raises(ContractError, match="there is no column 'sum'; there are id, country"):
        lake.read("sales.staging.orders", columns=["sum"])


@pytest.mark.parametrize(
    ("sql", "match"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "table functions are not allowed"),
        ("COPY sales.staging.orders TO '/tmp/x'", "SELECT"),
        ("SELECT * FROM '/etc/passwd'", "names no table: here it is pipeline.layer.name"),
        ("SELECT * FROM staging.orders", "staging.orders names no table"),
        ("SELECT * FROM sales.staging.nothing", "staging/sales/nothing has never been published"),
        ("SELECT * FROM sales.staging.orders WHERE id = :n", "unknown parameter :n"),
        ("SELECT :partition_key AS k FROM sales.staging.orders", ":partition_key has no value in"),
        ("SELECT idd FROM sales.staging.orders", "Binder Error.*idd"),
        ("SELECT getenv('HOME') FROM sales.staging.orders", "getenv"),
    ],
)
def test_sql_is_held_to_the_allow_list(lake: LakeResource, sql: str, match: str) -> None:
    with pytest.raises(PermanentError, match=match) as raised:
        lake.query(sql)
    assert "\n" not in str(raised.value)


def test_sql_joins_tables_of_several_layers(lake: LakeResource) -> None:
    table = lake.query(
        "SELECT count(*) AS n FROM sales.staging.orders o JOIN sales.raw.orders r ON r.id = o.id",
        as_="pyarrow",
    )
    assert table.to_pylist() == [{"n": 5}]
