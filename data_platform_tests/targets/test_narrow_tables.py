"""`narrow`: integers in the smallest type that holds them, and nothing else any smaller."""

from pathlib import Path

import duckdb
import pytest
from factories import Project, database_outside
from file_loads import loads_in
from table_loads import DAY, NEXT_DAY, Loads

from data_platform.destinations.loading import deliver
from data_platform.errors import StorageError
from data_platform.plan.destinations.narrowing import smallest
from data_platform.plan.nodes import DestinationNode

EDGES = {
    "TINYINT": (-128, 127),
    "SMALLINT": (-32768, 32767),
    "INTEGER": (-(2**31), 2**31 - 1),
    "BIGINT": (-(2**63), 2**63 - 1),
}


@pytest.mark.parametrize(("kind", "edges"), EDGES.items())
def test_the_edges_of_a_type_are_in_it(kind: str, edges: tuple[int, int]) -> None:
    low, high = edges
    assert {smallest("BIGINT", found) for found in (edges, (low, low), (high, high))} == {kind}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (128, "SMALLINT"), (-129, "SMALLINT"), (255, "SMALLINT"), (256, "SMALLINT"),
        (32768, "INTEGER"), (-32769, "INTEGER"), (65535, "INTEGER"), (65536, "INTEGER"),
        (2**31, "BIGINT"), (-(2**31) - 1, "BIGINT"), (0, "TINYINT"),
    ],
)  # fmt: skip
def test_what_is_beyond_an_edge_is_in_the_next_type(value: int, kind: str) -> None:
    assert smallest("BIGINT", (value, value)) == kind
    assert smallest("BIGINT", (min(0, value), max(0, value))) == kind


def test_no_type_is_wider_than_that_of_the_rows() -> None:
    assert smallest("SMALLINT", (0, 2**40)) == "SMALLINT"
    assert smallest("INTEGER", None) == "INTEGER"


@pytest.fixture(params=["postgres", "duckdb"])
def narrow(request: pytest.FixtureRequest, tmp_path: Path) -> Loads:
    if request.param == "duckdb":
        return loads_in("duckdb", tmp_path).given("replace", narrow=True)
    return Loads(request.getfixturevalue("postgres_url")).given("replace", narrow=True)


def types(loads: Loads) -> list[str]:
    """The types of the table's columns, in DuckDB's words."""
    words = {"smallint": "SMALLINT", "integer": "INTEGER", "bigint": "BIGINT"}
    return [words.get(str(kind), str(kind).upper()) for _, kind, _ in loads.form()]


def test_a_table_is_made_as_small_as_its_values(narrow: Loads) -> None:
    narrow.bring(
        "SELECT 127::BIGINT AS a, 32767::BIGINT AS b, 32768::BIGINT AS c, -2147483649 AS d, "
        "5::INTEGER AS e, 1.5::DOUBLE AS f, 3::DECIMAL(10,0) AS g"
    )
    tiny = "TINYINT" if narrow.target.dialect == "duckdb" else "SMALLINT"
    found = [tiny, "SMALLINT", "INTEGER", "BIGINT", tiny]
    assert types(narrow)[:5] == found
    assert types(narrow)[5].startswith("DOUBLE")
    assert types(narrow)[6] in {"DECIMAL(10,0)", "NUMERIC(10,0)"}
    assert narrow.ask("SELECT a, b, c, d, e FROM shop.orders") == [
        (127, 32767, 32768, -2147483649, 5)
    ]


def test_columns_without_values_keep_their_types(narrow: Loads) -> None:
    narrow.bring("SELECT NULL::BIGINT AS a, 1::BIGINT AS b, 2::INTEGER AS c LIMIT 0")
    assert types(narrow) == ["BIGINT", "BIGINT", "INTEGER"]


def test_values_that_fit_go_in_and_others_are_refused_with_advice_that_works(
    narrow: Loads,
) -> None:
    daily = narrow.daily(narrow=True)
    daily.bring({DAY: "SELECT 32767::BIGINT AS id"})
    daily.bring({DAY: "SELECT -32768::BIGINT AS id", NEXT_DAY: "SELECT NULL::BIGINT AS id"})
    with pytest.raises(StorageError, match=r"(?i)column id is smallint, and integer in the rows"
    ) as caught:  # fmt: skip
        daily.bring({NEXT_DAY: "SELECT 32768::BIGINT AS id"})
    assert daily.ask("SELECT id FROM shop.orders ORDER BY 1") == [(-32768,), (None,)]
    daily.execute(str(caught.value).partition("run: ")[2])
    daily.bring({NEXT_DAY: "SELECT 32768::BIGINT AS id"})
    assert daily.ask("SELECT id FROM shop.orders ORDER BY 1") == [(-32768,), (32768,)]


def test_rows_are_merged_into_a_small_table(narrow: Loads) -> None:
    merged = narrow.given("merge", narrow=True, keys=("id",))
    merged.bring("SELECT 1::BIGINT AS id, 300::BIGINT AS amount")
    merged.bring("SELECT 1::BIGINT AS id, 5::BIGINT AS amount")
    assert merged.ask() == [(1, 5)]


def test_sqlite_keeps_each_value_as_small_as_it_is(tmp_path: Path) -> None:
    loads = loads_in("sqlite", tmp_path).given("replace", narrow=True)
    loads.bring("SELECT 5::BIGINT AS id")
    loads.bring("SELECT 9223372036854775807::BIGINT AS id")
    assert loads.ask() == [(2**63 - 1,)]


def test_ranges_are_those_of_the_files_of_all_partitions(project: Project) -> None:
    url = f"duckdb:///{project.folder}/narrow.duckdb"
    project.platform(f"connections:\n  shop: {{type: database, url: '{url}'}}\n")
    project.declare(
        "staging:\n  orders: {from: raw.orders}\ndestinations:\n  orders:\n"
        "    from: staging.orders\n    type: database\n    connection: shop\n"
        "    table: orders\n    narrow: true\n",
        daily=True,
    )
    days = {DAY: "SELECT unnest([1, -200])::BIGINT AS id", NEXT_DAY: "SELECT 40000::BIGINT AS id"}
    project.land_all("staging/orders", days)
    node = project.node("destinations/orders")
    assert isinstance(node, DestinationNode)
    deliver(node, [DAY, NEXT_DAY], project.workbench, database_outside(url), "run")
    with duckdb.connect(f"{project.folder}/narrow.duckdb") as connection:
        found = connection.execute("SELECT id, typeof(id) FROM orders ORDER BY 1").fetchall()
    assert found == [(-200, "INTEGER"), (1, "INTEGER"), (40000, "INTEGER")]
