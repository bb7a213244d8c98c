"""What columns are made of, and what decides about rows, as the SQL that runs says it."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import sqlglot
from factories import DAILY_SOURCE, Project

from data_platform.loading import load
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.lineage.impact import ancestry_of, impact_of
from data_platform.plan.lineage.nodes import lineage_of
from data_platform.plan.lineage.queries import QueryLineage
from data_platform.plan.lineage.relations import (
    EVERY,
    NOTHING,
    Asset,
    Origin,
    Outside,
    Relation,
    Use,
    relation_over,
)
from data_platform.plan.naming import HIDDEN_TYPES
from data_platform.plan.nodes import Node
from data_platform.plan.schemas import Column, Schema
from data_platform.settings import PACKAGE_DIR, Settings

T, U, OPEN, OTHER = (Key("staging", "shop", name) for name in ("t", "u", "open", "other"))
COLUMNS = {
    T: Schema(tuple(Column(n, None) for n in ("a", "b", "c", "k", "xs", "st")), closed=True),
    U: Schema(tuple(Column(n, None) for n in ("k", "d", "b", "A b")), closed=True),
    OPEN: Schema((Column("Known", None),), closed=False),
    OTHER: Schema((), closed=False),
}


class Query:
    """A statement over t, u (closed) and open, other (open), followed."""

    def __init__(self, sql: str) -> None:
        bases = {key.name: relation_over(key, schema) for key, schema in COLUMNS.items()}
        self.follower = QueryLineage(bases.get)
        self.relation = self.follower.follow(sqlglot.parse_one(sql, dialect="duckdb"))

    def __getitem__(self, name: str) -> set[str]:
        found = self.relation[name]
        assert found is not None, self.relation
        return told(found.values)

    def windows(self, name: str) -> set[str]:
        found = self.relation[name]
        assert found is not None
        return told(found.windows)

    @property
    def columns(self) -> dict[str, set[str]]:
        return {name: told(made.values) for name, made in self.relation.columns}

    @property
    def rows(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for origin, uses in self.follower.rows.items():
            for use in uses:
                found.setdefault(str(use), set()).update(told([origin]))
        return found


def told(origins: Iterable[Origin]) -> set[str]:
    return {f"{origin.asset.name}.{origin.column}" for origin in origins}


# Statements -----------------------------------------------------------------------------------


VALUES = [
    ("select a from t", {"a": {"t.a"}}),
    ("select a as x, b + c as y from t", {"x": {"t.a"}, "y": {"t.b", "t.c"}}),
    ("select 1 as one, 'a' as word, null as no from t", {"one": set(), "word": set(), "no": set()}),
    ("select count(*) as n from t", {"n": set()}),
    (
        "select count(a) as n, sum(b) filter (where c > 1) as s from t",
        {"n": {"t.a"}, "s": {"t.b", "t.c"}},
    ),
    ("select case when a > 1 then b else c end as x from t", {"x": {"t.a", "t.b", "t.c"}}),
    ("select $partition_start as day, a from t", {"day": set(), "a": {"t.a"}}),
    ("select a as x, x + b as y from t", {"x": {"t.a"}, "y": {"t.a", "t.b"}}),
    ("select t.b, u.b as other from t join u on t.k = u.k", {"b": {"t.b"}, "other": {"u.b"}}),
    ("select d, a from t join u on t.k = u.k", {"d": {"u.d"}, "a": {"t.a"}}),
    ("select k from t join u using (k)", {"k": {"t.k"}}),
    ("select k from t full join u using (k)", {"k": {"t.k", "u.k"}}),
    ("select k from t right join u using (k)", {"k": {"u.k"}}),
    ("select s.x from (select a + b as x from t) as s", {"x": {"t.a", "t.b"}}),
    ("select x from (select a, b from t) as s(x, y)", {"x": {"t.a"}}),
    ("with s as (select a as x from t) select x from s", {"x": {"t.a"}}),
    ("with s(x) as (select a from t) select x from s", {"x": {"t.a"}}),
    ("with t as (select b as a from t) select a from t", {"a": {"t.b"}}),
    ("with s as (select a from t), r as (select a as z from s) select z from r", {"z": {"t.a"}}),
    ("select a from t union all select d from u", {"a": {"t.a", "u.d"}}),
    ("select a, b from t union select b, d from u", {"a": {"t.a", "u.b"}, "b": {"t.b", "u.d"}}),
    (
        "select b, a from t union all by name select b, d from u",
        {"b": {"t.b", "u.b"}, "a": {"t.a"}, "d": {"u.d"}},
    ),
    ("select a from t except select d from u", {"a": {"t.a"}}),
    ("(select a from t) union all (select d from u) order by 1 limit 3", {"a": {"t.a", "u.d"}}),
    ("select (select max(d) from u where u.k = t.k) as m from t", {"m": {"u.d"}}),
    ("select u2.x from t, lateral (select t.a + 1 as x) as u2", {"x": {"t.a"}}),
    ("select x from t, unnest(t.xs) as e(x)", {"x": {"t.xs"}}),
    ("select unnest(xs) as x from t", {"x": {"t.xs"}}),
    ("select i + a as x from t, range(3) as r(i)", {"x": {"t.a"}}),
    ("select p, q from (values (1, 2)) as v(p, q)", {"p": set(), "q": set()}),
    (
        "select st.field as f, t.st.field.deeper as g, xs[1] as x from t",
        {"f": {"t.st"}, "g": {"t.st"}, "x": {"t.xs"}},
    ),
    ("select list_transform(xs, lambda y: y + a) as x from t", {"x": {"t.xs", "t.a"}}),
    ("select [a for a in xs] as x from t", {"x": {"t.xs"}}),
    ('select u."A b" as x from u', {"x": {"u.a b"}}),
    ('select T.A, "B" from t', {"A": {"t.a"}, "B": {"t.b"}}),
    ("from u select d", {"d": {"u.d"}}),
    ("select a, sum(b) as s from t group by all", {"a": {"t.a"}, "s": {"t.b"}}),
    ("select x.a from (t join u on t.k = u.k) as x", {"a": {"t.a"}}),
    ("select t.a, u.d from (t join u on t.k = u.k)", {"a": {"t.a"}, "d": {"u.d"}}),
    (
        "with recursive r(n, m) as (select a, b from t union select m, n from r) select n from r",
        {"n": {"t.a", "t.b"}},
    ),
]


@pytest.mark.parametrize(("sql", "expected"), VALUES)
def test_a_column_is_made_of_what_its_expression_reads(sql: str, expected: dict[str, set[str]]):
    assert Query(sql).columns == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select * from u", ["k", "d", "b", "A b"]),
        ("select * exclude (k) from u", ["d", "b", "A b"]),
        ('select * exclude ("a B") from u', ["k", "d", "b"]),
        ("select * rename (d as e) from u", ["k", "e", "b", "A b"]),
        ("select u.* from t join u on t.k = u.k", ["k", "d", "b", "A b"]),
        ("select * from t semi join u on t.k = u.k", ["a", "b", "c", "k", "xs", "st"]),
        ("select * from t anti join u on t.k = u.k", ["a", "b", "c", "k", "xs", "st"]),
        ("select * from t join u using (k)", ["a", "b", "c", "k", "xs", "st", "d", "b", "A b"]),
        ("select * from t natural join u", ["a", "b", "c", "k", "xs", "st", "d", "A b"]),
        ("from u", ["k", "d", "b", "A b"]),
    ],
)
def test_a_star_is_all_columns_in_order(sql: str, expected: list[str]):
    query = Query(sql)
    assert [name for name, _ in query.relation.columns] == expected
    assert query.relation.closed


def test_a_star_may_replace_a_column():
    query = Query("select * replace (a + b as c) from t")
    assert query["c"] == {"t.a", "t.b"}
    assert query["b"] == {"t.b"}


def test_a_renamed_column_is_gone_under_its_old_name():
    query = Query("select * rename (d as e) from u")
    assert query["e"] == {"u.d"}
    assert query.relation["d"] is None


def test_of_two_columns_of_one_name_the_first_is_meant():
    assert Query("select s.b from (select * from t join u on t.k = u.k) as s")["b"] == {"t.b"}


def test_a_table_as_a_value_is_all_its_columns():
    assert Query("select u as row from u")["row"] == {"u.k", "u.d", "u.b", "u.a b"}


ROWS = [
    ("select a from t where b > 1", {"filter": {"t.b"}}),
    ("select a from t where true or b is null", {}),
    ("select a from t join u on t.k = u.k", {"join key": {"t.k", "u.k"}}),
    ("select a from t join u using (k)", {"join key": {"t.k", "u.k"}}),
    ("select a from t natural join u", {"join key": {"t.k", "u.k", "t.b", "u.b"}}),
    ("select a from t semi join u on t.k = u.d", {"join key": {"t.k", "u.d"}}),
    ("select a from t asof join u on t.k >= u.k", {"join key": {"t.k", "u.k"}}),
    ("select a from t cross join u", {}),
    ("select a, count(*) from t group by a", {"group key": {"t.a"}}),
    ("select a + b as x, count(*) from t group by 1", {"group key": {"t.a", "t.b"}}),
    ("select a + b as x, count(*) from t group by x", {"group key": {"t.a", "t.b"}}),
    ("select a, sum(b), mad(c) from t group by all", {"group key": {"t.a"}}),
    ("select a, sum(sum(b)) over () from t group by all", {"group key": {"t.a"}}),
    ("select a, c, count(*) from t group by rollup(a, c)", {"group key": {"t.a", "t.c"}}),
    ("select sum(b) from t having sum(c) > 1", {"filter": {"t.c"}}),
    (
        "select a from t qualify row_number() over (partition by b order by c) = 1",
        {"filter": {"t.b", "t.c"}},
    ),
    ("select distinct a from t", {"distinct": {"t.a"}}),
    ("select distinct on (b) a from t order by c", {"distinct": {"t.b"}, "order": {"t.c"}}),
    ("select a from t order by b", {}),
    ("select a from t order by b limit 1", {"order": {"t.b"}}),
    ("select a from t union select d from u", {"distinct": {"t.a", "u.d"}}),
    ("select a from t except select d from u", {"filter": {"t.a", "u.d"}}),
    (
        "select a from t where b in (select d from u where u.k = 1)",
        {"filter": {"t.b", "u.d", "u.k"}},
    ),
    ("select a from t where exists (select d from u where u.k = t.k)", {"filter": {"u.k", "t.k"}}),
    ("with s as (select a, b as z from t) select a from s where z > 1", {"filter": {"t.b"}}),
]


@pytest.mark.parametrize(("sql", "expected"), ROWS)
def test_what_decides_about_rows_is_told_from_values(sql: str, expected: dict[str, set[str]]):
    assert Query(sql).rows == expected


def test_what_exists_selects_is_named_though_it_decides_nothing():
    query = Query("select a from t where exists (select d from u where u.k = t.k)")
    assert Origin(U, "d") in query.follower.named


@pytest.mark.parametrize(
    "sql",
    [
        "select sum(a) over (partition by b order by c) as s from t",
        "select sum(a) over w as s from t window w as (partition by b order by c)",
    ],
)
def test_a_window_is_told_from_the_value(sql: str):
    query = Query(sql)
    assert query["s"] == {"t.a"}
    assert query.windows("s") == {"t.b", "t.c"}


def test_a_rank_has_no_value_but_a_window():
    query = Query("select row_number() over (order by c) as n from t")
    assert query["n"] == set()
    assert query.windows("n") == {"t.c"}


TABLES = {
    "t": """SELECT * FROM (VALUES
        (1, 2, 3, 1, [1, 2], {'field': 1, 'deeper': 0}),
        (2, 1, 1, 2, [3], {'field': 2, 'deeper': 1}),
        (3, 2, 5, 2, [5, 1], {'field': 3, 'deeper': 0}),
        (1, 4, 0, 3, [9], {'field': 4, 'deeper': 7}))
        AS t(a, b, c, k, xs, st)""",
    "u": """SELECT * FROM (VALUES (1, 3, 2, 7), (2, 1, 4, 8), (3, 2, 9, 9), (1, 1, 4, 7))
        AS u(k, d, b, "A b")""",
}  # fmt: skip
CHANGED = {
    "xs": "list_transform(xs, lambda x: 7 * x + 11)",
    "st": "{'field': st.field * 3 + 5, 'deeper': st.deeper}",
}


@pytest.mark.parametrize(
    "sql", [sql for sql, _ in (*VALUES, *ROWS) if "$" not in sql and "deeper" not in sql]
)
def test_what_changes_a_result_is_in_its_lineage(sql: str):
    """DuckDB is the judge: a column of the result that changes with one of a table hangs on it."""
    query = Query(sql)
    rows = set().union(*query.rows.values())
    with duckdb.connect() as connection:
        before = results(connection, sql, "", "")
        for table, columns in (("t", COLUMNS[T].names), ("u", COLUMNS[U].names)):
            for column in columns:
                after = results(connection, sql, table, column)
                origin = f"{table}.{column.lower()}"
                for place, (name, made) in enumerate(query.relation.columns):
                    if before[place] != after[place]:
                        assert origin in told(made.all) | rows, (name, origin)


def results(
    connection: duckdb.DuckDBPyConnection, sql: str, table: str, column: str
) -> list[Counter[str]]:
    """The values of each column of a result, where one column of a table has other values."""
    for name, rows in TABLES.items():
        changed = CHANGED.get(column, f'(5 * "{column}" + 2) % 7')
        other = f'SELECT * REPLACE ({changed} AS "{column}") FROM ({rows})'
        select = other if name == table else rows
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {select}")
    found = connection.execute(sql).fetchall()
    width = len(connection.description or ())
    return [Counter(repr(row[place]) for row in found) for place in range(width)]


# Open schemas ---------------------------------------------------------------------------------


def test_an_unknown_column_passes_a_star_under_its_own_name():
    query = Query("select * from open")
    assert query["known"] == {"open.known"}
    assert query["Whatever"] == {"open.whatever"}


def test_what_a_star_leaves_out_does_not_pass():
    query = Query("select * exclude (gone) replace (x + 1 as y) rename (old as new) from open")
    assert query.relation["gone"] is None
    assert query.relation["old"] is None
    assert query["new"] == {"open.old"}
    assert query["y"] == {"open.x"}


def test_a_name_that_a_closed_table_has_is_not_the_open_ones():
    assert Query("select a from t join open on true")["a"] == {"t.a"}


def test_a_name_that_several_open_tables_may_have_is_any_of_theirs():
    assert Query("select x from open join other on true")["x"] == {"open.x", "other.x"}


def test_an_alias_goes_before_an_unknown_column():
    assert Query("select known as x, x + 1 as y from open")["y"] == {"open.known"}


def test_places_in_an_open_table_are_unknown():
    query = Query("select * from open union all select a from t")
    assert query["known"] == {"open.known", "t.a"}
    query = Query("select a from t union all select * from other")
    assert query["a"] == {"t.a", f"other.{EVERY}"}
    assert query.relation["x"] is None


def test_names_in_an_open_table_are_enough_for_a_union_by_name():
    query = Query("select a from t union all by name select * from other")
    assert query["a"] == {"t.a", "other.a"}
    assert query["x"] == {"other.x"}


# Staging --------------------------------------------------------------------------------------

ORDERS = {"id": "BIGINT", "price": "DOUBLE", "qty": "BIGINT", "at": "TIMESTAMP", "note": "VARCHAR"}


@pytest.fixture
def shop(project: Project) -> Project:
    project.know(orders=ORDERS, items={"id": "BIGINT", "name": "VARCHAR", "price": "DOUBLE"})
    return project


SOURCES = """sources:
  orders: {type: file, path: orders.parquet, partitions: none}
  items: {type: file, path: items.parquet, partitions: none}
staging:
  items: {from: raw.items}
"""


def staged(project: Project, transformations: str, more: str = "") -> "Followed":
    project.declare(
        f"{SOURCES}  orders:\n    from: raw.orders\n    transformations:\n{transformations}{more}"
    )
    return Followed(project, "staging/orders")


class Followed:
    """A node of a project, followed."""

    def __init__(self, project: Project, name: str) -> None:
        plan = project.build().plan
        self.node = project.node(name)
        self.lineage = Lineage(plan).of(self.node.key)

    @property
    def columns(self) -> dict[str, set[str]]:
        return {name: told(made.all) for name, made in self.lineage.relation.columns}

    @property
    def uses(self) -> dict[str, set[str]]:
        return {
            f"{origin.asset.name}.{origin.column}": {str(use) for use in uses}
            for origin, uses in self.lineage.uses.items()
        }


@pytest.mark.parametrize(
    ("transformation", "changed"),
    [
        ("rename_columns: {price: cost}", {"price": None, "cost": {"orders.price"}}),
        ("rename_columns: {id: qty, qty: id}", {"id": {"orders.qty"}, "qty": {"orders.id"}}),
        ("add_columns: {total: price * qty}", {"total": {"orders.price", "orders.qty"}}),
        ("add_columns: {price: price * qty}", {"price": {"orders.price", "orders.qty"}}),
        ("add_columns: {one: '1'}", {"one": set()}),
        ("add_columns: {n: row_number() over (order by at)}", {"n": {"orders.at"}}),
        ("drop_columns: [note, nothing]", {"note": None}),
        ("select_columns: [id, qty]", {"price": None, "at": None, "note": None}),
        ("convert_types: {price: 'decimal(12,2)'}", {}),
        ("convert_types: {note: {type: bigint, on_error: set_null}}", {}),
        ("fill_nulls: {note: none}", {}),
        ("round: {price: 2}", {}),
        ("filter_rows: qty > 0", {}),
        ("deduplicate: {by: [id], order_by: [at desc]}", {}),
        (
            "union: {with: staging.items}",
            {
                "id": {"orders.id", "items.id"},
                "price": {"orders.price", "items.price"},
                "name": {"items.name"},
            },
        ),
        ("join: {with: staging.items, on: [id]}", {"name": {"items.name"}}),
        (
            "join: {with: staging.items, on: [id], how: full}",
            {"id": {"orders.id", "items.id"}, "name": {"items.name"}},
        ),
        ("join: {with: staging.items, on: [id], how: semi}", {}),
    ],
)
def test_each_transformation_is_followed(shop: Project, transformation: str, changed: dict):
    expected = {name: {f"orders.{name}"} for name in ORDERS} | changed
    found = staged(shop, f"      - {transformation}\n").columns
    assert found == {name: made for name, made in expected.items() if made is not None}


def test_an_aggregate_is_followed(shop: Project):
    step = "      - aggregate: {group_by: [id], columns: {n: count(*), total: sum(price)}}\n"
    found = staged(shop, step)
    assert found.columns == {"id": {"orders.id"}, "n": set(), "total": {"orders.price"}}
    assert found.uses == {"orders.id": {"group key"}}


@pytest.mark.parametrize(
    ("transformation", "uses"),
    [
        ("filter_rows: qty > 0", {"orders.qty": {"filter"}}),
        ("rename_columns: {price: cost}", {}),
        ("convert_types: {price: bigint}", {}),
        (
            "deduplicate: {by: [id], order_by: [at desc]}",
            {"orders.id": {"deduplicate key"}, "orders.at": {"deduplicate key"}},
        ),
        (
            "join: {with: staging.items, on: [id]}",
            {"orders.id": {"join key"}, "items.id": {"join key"}},
        ),
        (
            "join: {with: staging.items, on: [id], how: anti}",
            {"orders.id": {"join key"}, "items.id": {"join key"}},
        ),
    ],
)
def test_each_transformation_tells_what_decides_about_rows(
    shop: Project, transformation: str, uses: dict
):
    assert staged(shop, f"      - {transformation}\n").uses == uses


def test_steps_stand_on_one_another(shop: Project):
    found = staged(
        shop,
        "      - convert_types: {price: 'decimal(12,2)'}\n"
        "      - rename_columns: {price: cost}\n"
        "      - add_columns: {total: cost * qty}\n"
        "      - drop_columns: [cost]\n"
        "      - filter_rows: total > 0\n",
    )
    assert found.columns["total"] == {"orders.price", "orders.qty"}
    assert "cost" not in found.columns
    assert found.uses == {"orders.price": {"filter"}, "orders.qty": {"filter"}}


def test_a_column_that_is_dropped_again_is_still_named(shop: Project):
    found = staged(
        shop, "      - add_columns: {twice: qty * 2}\n      - drop_columns: [twice, qty]\n"
    )
    assert found.uses == {"orders.qty": {"named"}}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "steps",
    [
        "convert_types: {price: bigint, note: {type: date, format: '%d.%m.%Y'}}",
        "convert_types: {note: {type: bigint, on_error: set_null}}",
        "convert_types: {qty: {type: varchar, on_error: fail}}",
        "convert_types: {PRICE: bigint}\n      - rename_columns: {price: cost}",
        "convert_types: {price: bigint}\n      - drop_columns: [price]",
        "rename_columns: {price: cost}\n      - convert_types: {cost: bigint}",
        "convert_types: {price: bigint}\n      - convert_types: {price: varchar}",
    ],
)
def test_a_conversion_is_what_its_sql_says(project: Project, steps: str, known: bool):
    """That each column is made of itself alone is taken from the step, not read from its SQL."""
    if known:
        project.know(orders=ORDERS)
    project.declare(
        f"staging:\n  orders:\n    from: raw.orders\n    transformations:\n      - {steps}\n"
        "    columns: {id: {type: bigint}, at: {type: timestamp}}\n    extra_columns: keep\n"
    )
    node = project.staging("orders")
    assert any(step.converts for step in node.steps)
    raw = project.node("raw/orders")
    base = relation_over(raw.key, raw.schema, HIDDEN_TYPES)
    follower = QueryLineage({raw.key.relation: base}.get)
    said = follower.follow(sqlglot.parse_one(node.sql, dialect="duckdb"))
    taken = lineage_of(node, lambda _: raw.schema)
    assert set(taken.uses.values()) <= {frozenset({Use.NAMED})}
    for name, made in taken.relation.columns:
        assert made == said[name]
    assert taken.relation["other"] == (None if known else said["other"])
    flags = [flag for step in node.steps for _, flag in step.converts if flag is not None]
    read = {origin for flag in flags for origin in (said[flag] or NOTHING).all}
    checks = [check for check in node.checks if check.kind == "convert_types"]
    told_reads = frozenset[Origin]().union(*(taken.checks[check.name] for check in checks))
    assert {origin for origin in told_reads if origin.asset == raw.key} == read


def test_a_step_of_python_makes_any_column_of_any(shop: Project):
    folder = shop.pipelines / "shop"
    folder.mkdir()
    (folder / "own.py").write_text("def score(frame):\n    return frame\n")
    found = staged(
        shop,
        "      - select_columns: [id, qty]\n      - python: {function: 'own:score'}\n",
        "    columns: {id: {type: bigint}}\n    extra_columns: keep\n",
    )
    assert found.columns == {"id": {f"orders.{EVERY}"}}
    other = found.lineage.relation["other"]
    assert other is not None
    assert told(other.values) == {f"orders.{EVERY}"}


def test_an_open_source_passes_what_a_contract_keeps(project: Project):
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    extra_columns: keep\n"
        "    columns: {id: {type: bigint}}\n"
    )
    lineage = Lineage(project.build().plan)
    key = Key("staging", "shop", "orders")
    relation = lineage.of(key).relation
    assert [name for name, _ in relation.columns] == ["id"]
    passing = relation["anything"]
    assert passing is not None
    assert passing.values == {Origin(Key("raw", "shop", "orders"), "anything")}
    for hidden in ("_partition", "_file", "_row", "_converts_id"):
        assert relation[hidden] is None


def test_no_column_of_the_platforms_own_leaves(shop: Project):
    found = staged(shop, "      - convert_types: {price: bigint}\n")
    assert list(found.columns) == list(ORDERS)


# Assets of a plan -----------------------------------------------------------------------------


def test_raw_is_made_of_its_table(project: Project):
    project.declare(DAILY_SOURCE, daily=True)
    project.know(orders={"id": "BIGINT", "at": "TIMESTAMP"})
    lineage = Lineage(project.build().plan).of(Key("raw", "shop", "orders"))
    table = Outside("shop", "orders")
    assert lineage.relation["id"].values == {Origin(table, "id")}
    assert {o: set(map(str, u)) for o, u in lineage.uses.items()} == {
        Origin(table, "at"): {"partition cursor"}
    }


def test_a_file_is_a_source_too(project: Project):
    project.declare("")
    found = Lineage(project.build().plan).of(Key("raw", "shop", "orders")).relation["id"]
    assert found.values == {Origin(Outside("", str(project.folder / "orders.parquet")), "id")}


CHAIN = """staging:
  orders:
    from: raw.orders
    transformations:
      - add_columns: {total: price * qty}
      - filter_rows: qty > 0
    columns:
      id: {type: bigint, nullable: false}
      price: {type: 'decimal(12,2)'}
    extra_columns: keep
    quality:
      - range: {column: total, min: 0}
      - unique: [id]
analytics:
  totals:
    query: select count(*) as n, sum(total) as total from staging.orders
    quality:
      - row_count: {min_rows: 1}
destinations:
  totals: {from: analytics.totals, type: database, connection: shop, table: report.totals}
"""
FOLLOWER = """sources:
  back: {type: database, connection: shop, table: report.totals, partitions: none}
analytics:
  ids:
    query: |
      select distinct o.id, t.total from shop.staging.orders as o
      join shop.analytics.totals as t on t.n = o.qty
    quality:
      - foreign_key: {column: id, references: shop.staging.orders.id}
      - reconcile: {with: shop.staging.orders, expression: sum(id), with_expression: sum(price)}
"""


@pytest.fixture
def chain(shop: Project) -> Lineage:
    shop.declare(CHAIN)
    shop.declare(FOLLOWER, name="other")
    built = shop.build()
    assert not built.problems, built.problems
    return Lineage(built.plan)


def reached(lineage: Lineage, text: str) -> set[str]:
    impact = impact_of(lineage, lineage.find(text))
    return {f"{origin.asset}.{origin.column}" for origin in impact.columns}


def test_a_change_is_followed_to_destinations_and_other_pipelines(chain: Lineage):
    assert reached(chain, "shop.raw.orders.price") == {
        "staging/shop/orders.price",
        "staging/shop/orders.total",
        "analytics/shop/totals.total",
        "destinations/shop/totals.total",
        "analytics/other/ids.total",
        "raw/other/back.total",
    }


def test_what_a_destination_writes_is_what_a_source_of_its_table_reads(chain: Lineage):
    ancestry = ancestry_of(chain, chain.find("raw/other/back.total"))
    assert Origin(Key("raw", "shop", "orders"), "price") in ancestry.links
    assert {str(origin.asset).rpartition("/")[2] for origin in ancestry.sources} == {
        "orders.parquet"
    }


def test_rows_below_a_filter_or_a_join_key_hang_on_it(chain: Lineage):
    impact = impact_of(chain, chain.find("shop.raw.orders.qty"))
    assert [str(key) for key in impact.rows] == [
        "staging/shop/orders",
        "analytics/other/ids",
        "analytics/shop/totals",
        "destinations/shop/totals",
        "raw/other/back",
    ]
    assert {(str(each.asset), each.check) for each in impact.row_checks} == {
        ("analytics/shop/totals", "row_count"),
        ("raw/other/back", "not_empty"),
    }


def test_checks_and_contracts_are_touched_also_from_other_assets(chain: Lineage):
    impact = impact_of(chain, chain.find("shop.staging.orders.id"))
    assert {(str(each.asset), each.check) for each in impact.checks} >= {
        ("staging/shop/orders", "unique_id"),
        ("staging/shop/orders", "not_null"),
        ("analytics/other/ids", "foreign_key_id"),
        ("analytics/other/ids", "reconcile_orders"),
    }
    assert [column.type for column in impact.contracts.values()] == ["BIGINT"]


def test_a_column_that_only_a_check_of_another_asset_reads_is_touched(chain: Lineage):
    impact = impact_of(chain, chain.find("shop.staging.orders.price"))
    assert impact.columns == []
    assert {(str(each.asset), each.check) for each in impact.checks} == {
        ("staging/shop/orders", "types"),
        ("analytics/other/ids", "reconcile_orders"),
    }
    assert impact.rows == []


def test_a_conversion_is_a_check_of_the_column_that_comes_in(chain: Lineage):
    read = chain.of(Key("staging", "shop", "orders")).checks["types"]
    assert Origin(Key("raw", "shop", "orders"), "price") in read


def test_each_check_is_told_once(chain: Lineage):
    impact = impact_of(chain, chain.find("shop.raw.orders.id"))
    told_checks = [(each.asset, each.check) for each in impact.checks]
    assert len(told_checks) == len(set(told_checks))


def test_what_cannot_be_looked_into_is_made_of_all_its_inputs(chain: Lineage):
    totals = chain.plan[Key("analytics", "shop", "totals")]
    node = Node(
        key=Key("analytics", "shop", "script"), location=totals.location, description=None,
        owner="team:shop", criticality="low", tags={}, runbook=None, partitions=None,
        inputs=totals.inputs, schema=Schema((Column("score", "DOUBLE"),), closed=True),
    )  # fmt: skip
    found = lineage_of(node, lambda _: Schema((), closed=False))
    assert not found.transparent
    assert found.relation["score"].values == {Origin(Key("staging", "shop", "orders"), EVERY)}
    assert found.relation.closed


def test_an_asset_may_tell_its_lineage_itself(chain: Lineage):
    orders = Key("staging", "shop", "orders")

    class Script(Node):
        @property
        def column_lineage(self) -> dict[str, list[tuple[Key, str]]]:
            return {"score": [(orders, "Price")]}

    totals = chain.plan[Key("analytics", "shop", "totals")]
    node = Script(
        key=Key("analytics", "shop", "script"), location=totals.location, description=None,
        owner="team:shop", criticality="low", tags={}, runbook=None, partitions=None,
        inputs=totals.inputs, schema=Schema((Column("score", None), Column("n", None)), True),
    )  # fmt: skip
    relation = lineage_of(node, lambda _: Schema((), closed=False)).relation
    assert relation["score"].values == {Origin(orders, "price")}
    assert relation["n"].values == {Origin(orders, EVERY)}


def test_sql_that_cannot_be_read_is_opaque(chain: Lineage):
    totals = replace(chain.plan[Key("analytics", "shop", "totals")], sql="select ((( from")
    found = lineage_of(totals, lambda _: Schema((), closed=False))
    assert not found.transparent
    assert found.relation["total"].values == {Origin(Key("staging", "shop", "orders"), EVERY)}


def test_a_long_chain_of_assets_is_followed(project: Project):
    project.know(orders={"id": "BIGINT"})
    steps = ["  s0: {from: raw.orders}"]
    steps += [f"  s{n}: {{from: staging.s{n - 1}}}" for n in range(1, 60)]
    project.declare("staging:\n" + "\n".join(reversed(steps)) + "\n")
    lineage = Lineage(project.build().plan)
    assert len(reached(lineage, "raw.orders.id")) == 60
    ancestry = ancestry_of(lineage, lineage.find("staging.s59.id"))
    assert [origin.asset.name.rpartition("/")[2] for origin in ancestry.sources] == [
        "orders.parquet"
    ]


# Properties -----------------------------------------------------------------------------------


def assert_origins_exist(lineage: Lineage) -> int:
    """Every origin is a column that its asset has, or may have; returns how many there are."""
    seen = 0
    for node in lineage.plan.nodes:
        followed = lineage.of(node.key)
        names = [name.lower() for name, _ in followed.relation.columns]
        assert set(map(str.lower, node.schema.names)) <= set(names)
        read = [o for _, made in followed.relation.columns for o in made.all]
        for origin in [*read, *followed.uses, *(o for c in followed.checks.values() for o in c)]:
            seen += 1
            assert may_have(lineage, origin.asset, origin.column), (node.key, origin)
    return seen


def may_have(lineage: Lineage, asset: Asset, column: str) -> bool:
    if isinstance(asset, Outside) or column == EVERY:
        return True
    relation: Relation = lineage.of(asset).relation
    return relation[column] is not None or bool(relation.mixed.all)


def test_every_origin_is_a_column_of_its_asset(chain: Lineage):
    assert assert_origins_exist(chain) > 20


def test_every_origin_of_the_retail_pipeline_is_a_column_of_its_asset(retail: Lineage):
    assert assert_origins_exist(retail) > 60


# Retail ---------------------------------------------------------------------------------------


@pytest.fixture
def retail(tmp_path: Path) -> Lineage:
    settings = Settings(
        home=tmp_path, data_dir=tmp_path, pipelines_dirs=(PACKAGE_DIR / "pipelines",)
    )
    loaded = load(settings, os.environ)
    assert not loaded.problems
    return Lineage(loaded.plan)


def test_revenue_comes_from_the_shops_table(retail: Lineage):
    ancestry = ancestry_of(retail, retail.find("destinations.daily_revenue.revenue"))
    assert ancestry.sources == [Origin(Outside("shop", "transactions"), "sales_value")]


def test_the_shops_sales_value_reaches_the_warehouse(retail: Lineage):
    assert reached(retail, "shop.transactions.sales_value") >= {
        "raw/retail/transactions.sales_value",
        "staging/retail/transactions.sales_value",
        "analytics/retail/daily_revenue.revenue",
        "analytics/retail/weekly_revenue.revenue",
        "destinations/retail/daily_revenue.revenue",
        "destinations/retail/weekly_revenue.revenue",
    }


def test_a_product_decides_about_rows_and_makes_no_value_below(retail: Lineage):
    impact = impact_of(retail, retail.find("staging.products.product_id"))
    assert impact.columns == []
    assert {"daily_revenue", "weekly_revenue"} <= {key.name for key in impact.rows}
    assert "known_product" in {each.check for each in impact.checks}
