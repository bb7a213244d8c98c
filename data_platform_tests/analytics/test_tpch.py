"""The 22 queries of TPC-H as analytics assets: checked, followed, and computed as DuckDB does.

The queries stand in `tpch/`, over our table names; the data is made by `tpchgen-cli` when the test
runs. Raw, staging and analytics are what the platform runs; the rows that they are compared with
are plain DuckDB's over the generated files.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from factories import PIPELINE, Project, at_once

from data_platform.analytics.computing import compute as compute_analytics
from data_platform.engine.outside import Outside
from data_platform.plan.conversions import stored_type
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnalyticsNode, RawNode, StagingNode
from data_platform.plan.pipelines import Plan
from data_platform.raw.extraction import extract
from data_platform.staging.computing import compute as compute_staging

QUERIES = sorted(Path(__file__).with_name("tpch").glob("*.sql"))
NAMES = [file.stem for file in QUERIES]
TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
SCALE = "0.01"
REVENUE = {"lineitem.l_extendedprice", "lineitem.l_discount"}
"""What `l_extendedprice * (1 - l_discount)` is made of."""

LINEAGE: dict[str, dict[str, set[str]]] = {
    "q01": {
        "l_returnflag": {"lineitem.l_returnflag"},
        "l_linestatus": {"lineitem.l_linestatus"},
        "sum_qty": {"lineitem.l_quantity"},
        "sum_base_price": {"lineitem.l_extendedprice"},
        "sum_disc_price": REVENUE,
        "sum_charge": REVENUE | {"lineitem.l_tax"},
        "avg_qty": {"lineitem.l_quantity"},
        "avg_price": {"lineitem.l_extendedprice"},
        "avg_disc": {"lineitem.l_discount"},
        "count_order": set(),
    },
    "q02": {
        "s_acctbal": {"supplier.s_acctbal"},
        "s_name": {"supplier.s_name"},
        "n_name": {"nation.n_name"},
        "p_partkey": {"part.p_partkey"},
        "p_mfgr": {"part.p_mfgr"},
        "s_address": {"supplier.s_address"},
        "s_phone": {"supplier.s_phone"},
        "s_comment": {"supplier.s_comment"},
    },
    "q03": {
        "l_orderkey": {"lineitem.l_orderkey"},
        "revenue": REVENUE,
        "o_orderdate": {"orders.o_orderdate"},
        "o_shippriority": {"orders.o_shippriority"},
    },
    "q04": {"o_orderpriority": {"orders.o_orderpriority"}, "order_count": set()},
    "q07": {
        "supp_nation": {"nation.n_name"},
        "cust_nation": {"nation.n_name"},
        "l_year": {"lineitem.l_shipdate"},
        "revenue": REVENUE,
    },
    "q08": {"o_year": {"orders.o_orderdate"}, "mkt_share": REVENUE | {"nation.n_name"}},
    "q09": {
        "nation": {"nation.n_name"},
        "o_year": {"orders.o_orderdate"},
        "sum_profit": REVENUE | {"partsupp.ps_supplycost", "lineitem.l_quantity"},
    },
    "q11": {
        "ps_partkey": {"partsupp.ps_partkey"},
        "value": {"partsupp.ps_supplycost", "partsupp.ps_availqty"},
    },
    "q12": {
        "l_shipmode": {"lineitem.l_shipmode"},
        "high_line_count": {"orders.o_orderpriority"},
        "low_line_count": {"orders.o_orderpriority"},
    },
    "q13": {"c_count": {"orders.o_orderkey"}, "custdist": set()},
    "q14": {"promo_revenue": REVENUE | {"part.p_type"}},
    "q15": {
        "s_suppkey": {"supplier.s_suppkey"},
        "s_name": {"supplier.s_name"},
        "s_address": {"supplier.s_address"},
        "s_phone": {"supplier.s_phone"},
        "total_revenue": REVENUE,
    },
    "q17": {"avg_yearly": {"lineitem.l_extendedprice"}},
    "q20": {"s_name": {"supplier.s_name"}, "s_address": {"supplier.s_address"}},
    "q22": {
        "cntrycode": {"customer.c_phone"},
        "numcust": set(),
        "totacctbal": {"customer.c_acctbal"},
    },
}
"""What a person reads in the queries: values only, not what rows are chosen by."""


@dataclass(frozen=True)
class Tpch:
    """The platform over the generated files, and plain DuckDB over the same ones."""

    project: Project
    plan: Plan
    plain: duckdb.DuckDBPyConnection

    def query(self, name: str) -> AnalyticsNode:
        node = self.plan[Key("analytics", PIPELINE, name)]
        assert isinstance(node, AnalyticsNode)
        return node

    def asked_plainly(self, name: str) -> duckdb.DuckDBPyRelation:
        return self.plain.sql(QUERIES[NAMES.index(name)].read_text())


@pytest.fixture(scope="module")
def tpch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tpch]:
    folder = tmp_path_factory.mktemp("tpch")
    data = folder / "data"
    generator = Path(sys.executable).with_name("tpchgen-cli")
    subprocess.run([generator, "parquet", "-s", SCALE, "-o", data, "--quiet"], check=True)
    project = Project(folder)
    declare(project, data)
    with duckdb.connect() as plain:
        plain.execute("CREATE SCHEMA staging")
        for name in TABLES:
            plain.execute(f"CREATE VIEW staging.{name} AS FROM '{data}/{name}.parquet'")
        described = {name: plain.sql(f"DESCRIBE staging.{name}").fetchall() for name in TABLES}
        project.know(**{name: {c[0]: c[1] for c in rows} for name, rows in described.items()})
        built = project.build()
        assert not built.problems, "\n".join(map(str, built.problems))
        stage(project, built.plan)
        yield Tpch(project, built.plan, plain)


def declare(project: Project, data: Path) -> None:
    """Write the pipeline: each table through raw and staging, each query as an asset."""
    raw = "".join(f"  {name}: {{type: file, path: {data}/{name}.parquet}}\n" for name in TABLES)
    staging = "".join(f"  {name}: {{from: raw.{name}}}\n" for name in TABLES)
    analytics = "".join(f"  {name}: {{sql: {name}.sql}}\n" for name in NAMES)
    body = f"sources:\n{raw}staging:\n{staging}analytics:\n{analytics}"
    project.declare(body, **{file.stem: file.read_text() for file in QUERIES})


def stage(project: Project, plan: Plan) -> None:
    """Land and stage all tables."""
    outside = Outside(lambda _: None, lambda text: text)
    for name in TABLES:
        raw = plan[Key("raw", PIPELINE, name)]
        staged = plan[Key("staging", PIPELINE, name)]
        assert isinstance(raw, RawNode)
        assert isinstance(staged, StagingNode)
        assert not extract(at_once(raw), [WHOLE], project.workbench, outside, {}).failed
        assert not compute_staging(staged, [WHOLE], project.workbench, {}).failed


def test_all_queries_are_there() -> None:
    assert [f"q{number:02}" for number in range(1, 23)] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_columns_and_types_are_known_before_a_run(tpch: Tpch, name: str) -> None:
    schema, plain = tpch.query(name).schema, tpch.asked_plainly(name)
    assert schema.closed
    assert [(column.name, column.type) for column in schema.columns] == [
        (column, stored_type(str(kind)))
        for column, kind in zip(plain.columns, plain.types, strict=True)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_those_of_plain_duckdb(tpch: Tpch, name: str) -> None:
    node = tpch.query(name)
    assert not compute_analytics(node, [WHOLE], tpch.project.workbench, {}).failed
    plain = tpch.asked_plainly(name)
    expected = sorted(map(comparable, plain.fetchall()))
    assert expected
    rows = tpch.project.rows(f"analytics/{name}")
    assert sorted(comparable(tuple(row.values())) for row in rows) == expected


def comparable(row: tuple[object, ...]) -> tuple[str, ...]:
    """Whole numbers beyond 64 bits are kept as decimals, and doubles to twelve digits."""
    return tuple(
        f"{value:.11e}"
        if isinstance(value, float)
        else str(int(value))
        if isinstance(value, Decimal) and value.as_tuple().exponent == 0
        else str(value)
        for value in row
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_column_is_followed_to_columns_of_tables(tpch: Tpch, name: str) -> None:
    relation = Lineage(tpch.plan).of(Key("analytics", PIPELINE, name)).relation
    assert not relation.rest
    assert not relation.mixed.all
    found = {
        column: {f"{origin.asset.name}.{origin.column}" for origin in made.values}
        for column, made in relation.columns
    }
    assert tuple(found) == tpch.query(name).schema.names
    counts = {column for column, origins in found.items() if not origins}
    assert counts <= {"count_order", "order_count", "custdist", "numwait", "numcust"}
    if name in LINEAGE:
        assert found == LINEAGE[name]
