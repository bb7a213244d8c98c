# ruff: noqa: E501 -- cases stand in tables, one a line
"""From YAML to nodes: every mistake is told at its place, and hides nothing else."""

import pytest
from factories import DAILY_SOURCE, Project

from data_platform.plan.nodes import AnalyticsNode, StagingNode
from data_platform.plan.sources.kinds import DatabaseTable

STAGING = "staging:\n  orders:\n    from: raw.orders\n"
KNOWN = {"id": "BIGINT", "name": "VARCHAR", "price": "DECIMAL(9,2)", "at": "TIMESTAMP"}


def rule(text: str) -> str:
    return f"{STAGING}    quality:\n      - {text}\n"


def step(text: str) -> str:
    return f"{STAGING}    transformations:\n      - {text}\n"


BODIES = {
    "unknown source": ("staging:\n  orders:\n    §from: raw.order\n", r"there is no asset raw.order; did you mean raw.orders\?"),
    "a destination as upstream": ("staging:\n  orders:\n    §from: analytics.x\n", "there is no asset analytics.x"),
    "unknown pipeline": ("staging:\n  orders:\n    §from: nobody.raw.x\n", "there is no asset nobody.raw.x; pipeline nobody has none"),
    "itself": ("staging:\n  orders:\n    §from: staging.orders\n", "a cycle: staging/shop/orders <- staging/shop/orders"),
    "unknown connection": ("sources:\n  a: {type: database, §connection: shpo, table: t}\n", "no connection 'shpo' in platform.yaml; did you mean shop"),
    "unknown pool": (f"{STAGING}    §pool: cpu\n", "no pool 'cpu' in platform.yaml; there are database"),
    "unknown column in a rule": (rule("§not_null: nme"), "no column 'nme' in this asset; it has id, name, price, at"),
    "unknown column of unique": (rule("§unique: [id, x]"), "no column 'x'"),
    "unknown column of an expression rule": (rule("§expression: pric > 0"), "no column 'pric'"),
    "unknown column to filter by": (step("§filter_rows: pric > 0"), "pric"),
    "unknown column to add from": (step("add_columns: {§x: pric * 2}"), "pric"),
    "unknown column to rename": (step("rename_columns: {§nme: x}"), "nme"),
    "unknown column to select": (step("select_columns: [id, §nme]"), "nme"),
    "unknown column to convert": (step("convert_types: {§nme: bigint}"), "nme"),
    "unknown column to round": (step("round: {§pric: 1}"), "pric"),
    "unknown column to fill": (step("fill_nulls: {§nme: x}"), "nme"),
    "unknown column to deduplicate by": (step("deduplicate: {by: [§nme], order_by: [id]}"), "nme"),
    "unknown column to order by": (step("deduplicate: {by: [id], order_by: [§nme]}"), "nme"),
    "an order that is none": (step("deduplicate: {by: [id], order_by: [§id down]}"), "order_by takes column names"),
    "unknown column to group by": (step("aggregate: {group_by: [§nme], columns: {n: count(*)}}"), "nme"),
    "sum over text": (step("aggregate: {group_by: [id], columns: {§s: sum(name)}}"), "sum"),
    "arithmetic on text": (step("add_columns: {§s: name * 2}"), "name|VARCHAR"),
    "a function that there is not": (step("add_columns: {§s: concatenate(name)}"), "concatenate"),
    "an aggregate in a row's expression": (step("§filter_rows: sum(price) > 0"), "aggregate|WHERE"),
    "a column that a step before dropped": (f"{step('drop_columns: [price]')}      - §filter_rows: price > 0\n", "price"),
    "range over text": (rule("§range: {column: name, min: 0}"), "name is text, 0 a number: convert it"),
    "quarantine by a set rule": (rule("§unique: {columns: [id], on_violation: quarantine}"), "unique judges the whole set"),
    "checks of one name": (f"{rule('not_null: id')}      - §not_null: id\n", "a check 'not_null_id' stands at line .* already"),
    "a check named like the platform's": (rule("§expression: {name: conservation, condition: id > 0}"), "'conservation'"),
    "unknown foreign column": (rule("§foreign_key: {column: id, references: raw.orders.nme}"), "nme"),
    "unknown foreign asset": (rule("§foreign_key: {column: id, references: staging.x.id}"), "there is no asset staging.x"),
    "unknown column of reconcile": (rule("§reconcile: {with: raw.orders, expression: sum(pric)}"), "pric"),
    "sum over text of reconcile": (rule("§reconcile: {with: raw.orders, expression: sum(name)}"), "sum"),
    "quarantine after a step that merges": (f"{STAGING}    on_violation: quarantine\n    transformations:\n      - §aggregate: {{group_by: [id], columns: {{n: count(*)}}}}\n    quality:\n      - not_null: id\n", "aggregate multiplies or merges rows, so not_null_id can't quarantine"),
    "quarantine after a join that can multiply": (f"{STAGING}    on_violation: quarantine\n    transformations:\n      - §join: {{with: raw.orders, on: [id], columns: []}}\n    quality:\n      - not_null: id\n".replace(", columns: []", ""), "joined multiplies or merges rows"),
    "a promised column that doesn't arrive": (f"{STAGING}    extra_columns: keep\n    columns:\n      §x: {{}}\n", "no column 'x' arrives here; there are id, name"),
    "text promised as a number": (f"{STAGING}    extra_columns: keep\n    columns: {{name: {{§type: bigint}}}}\n", "name is VARCHAR, the contract says BIGINT: convert it by convert_types"),
    "partitions of its own": (f"{STAGING}    §partitions: {{every: day, start: 2024-01-01}}\n", "has the partitions of what it is made from"),
    "unknown column of a query": ("analytics:\n  a:\n    query: |\n      select id,\n        §pric from raw.orders\n", "pric"),
    "unknown column of a query in one line": ("analytics:\n  a:\n    query: select §pric from raw.orders\n", "pric"),
    "sum over text in a query": ("analytics:\n  a:\n    query: |\n      select\n        §sum(name) as s from raw.orders\n", "sum"),
    "unknown asset of a query": ("analytics:\n  a:\n    query: |\n      select * from raw.§order\n", "there is no asset raw.order"),
    "two columns of one name": ("analytics:\n  a:\n    query: |\n      §select id, name as ID from raw.orders\n", "two columns are called 'id'"),
    "a reserved column": ("analytics:\n  a:\n    query: |\n      §select id as partition from raw.orders\n", "'partition' is a name that the platform needs"),
    "a type that the lake can't keep": ("analytics:\n  a:\n    query: |\n      §select {'a': id} as s from raw.orders\n", "the lake can't keep this type: s is STRUCT"),
    "a window on what isn't read": ("analytics:\n  a:\n    query: select id from raw.orders\n    inputs: {§staging.orders: {last: 2}}\n" + STAGING, "the SQL doesn't read staging.orders; it reads raw.orders"),
    "a contract's column that the query doesn't give": ("analytics:\n  a:\n    query: select id from raw.orders\n    columns: {§x: {}}\n", "the SQL gives no column 'x'; it gives id"),
    "a contract's type that the query doesn't give": ("analytics:\n  a:\n    query: select id from raw.orders\n    columns: {id: {§type: integer}}\n", "the SQL gives id as BIGINT, the contract says INTEGER"),
    "a parameter without partitions": ("analytics:\n  a:\n    query: |\n      §select :partition_key as k, id from raw.orders\n", "has no value: the asset has no partitions"),
    "a rule over an unknown column of a query": ("analytics:\n  a:\n    query: select id from raw.orders\n    quality:\n      - §expression: x > 0\n", "no column 'x'"),
    "a rule that doesn't bind over a query": ("analytics:\n  a:\n    query: select id from raw.orders\n    quality:\n      - §expression: sum(id) > 0\n", "aggregate"),
    "quarantine in analytics": ("analytics:\n  a:\n    query: select id from raw.orders\n    §on_violation: quarantine\n", "quarantine belongs to staging assets"),
    "quarantine in a source": ("sources:\n  orders: {type: file, path: a.csv, partitions: none, §on_violation: quarantine}\n", "quarantine belongs to staging assets"),
    "a path without a format": ("sources:\n  a: {type: file, §path: x.txt, partitions: none}\n", "doesn't tell the format"),
    "a path with a partition": ("sources:\n  a: {type: file, §path: 'x{partition_key}.csv'}\n", "has no value: the source has no partitions"),
    "a missing SQL file": ("analytics:\n  a:\n    §sql: nothing.sql\n", "nothing.sql can't be read"),
    "replace_partition of what has none": ("destinations:\n  d: {from: raw.orders, type: database, connection: shop, table: t, §write: replace_partition}\n", "has no partitions to replace"),
    "a rename to a name that is there": (step("rename_columns: {§price: name}"), "there is a column 'name' already"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "message"), BODIES.values(), ids=BODIES)
def test_a_mistake_is_told_once_at_its_place(project: Project, body: str, message: str) -> None:
    project.know(orders=KNOWN)
    path = project.declare(body)
    text = path.read_text()
    before = text[: text.index("§")]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    path.write_text(text.replace("§", ""))
    problems = project.build().problems
    assert len(problems) == 1
    assert problems[0].location.file == path
    assert (problems[0].location.line, problems[0].location.column) == (line, column)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problems[0].message)


def test_a_mistake_in_a_file_of_sql_is_told_there(project: Project) -> None:
    project.know(orders=KNOWN)
    sql = "-- comment\nselect\n    id,\n    sum(pric) as s\nfrom raw.orders\ngroup by all\n"
    project.declare("analytics:\n  a: {sql: a.sql}\n", a=sql)
    assert project.problems()[0].startswith("shop/a.sql:4:9: ")


def test_all_mistakes_of_a_pipeline_are_told_at_once(project: Project) -> None:
    project.know(orders=KNOWN)
    project.declare(
        f"{rule('not_null: nme')}      - range: {{column: name, max: 1}}\n"
        "analytics:\n  a: {query: select x from raw.orders}\n  b: {sql: none.sql}\n"
    )
    assert len(project.problems()) == 4


def test_a_partitioned_table_needs_a_cursor(project: Project) -> None:
    project.declare("sources:\n  a: {type: database, connection: shop, table: t}\n", daily=True)
    assert "a partitioned table needs a cursor" in project.problems()[0]


def test_a_cycle_within_a_pipeline(project: Project) -> None:
    project.declare("staging:\n  a: {from: staging.b}\n  b: {from: staging.a}\n")
    assert "a cycle: staging/shop/a <- staging/shop/b <- staging/shop/a" in project.problems()[0]


def test_a_cycle_across_pipelines(project: Project) -> None:
    project.declare("staging:\n  a: {from: two.staging.b}\n", name="one")
    project.declare("staging:\n  b: {from: one.staging.a}\n", name="two")
    built = project.build()
    assert "a cycle" in "".join(str(problem) for problem in built.problems)
    assert len(built.problems) <= 2


def keys(project: Project) -> set[str]:
    return {str(node.key) for node in project.build().plan.nodes}


def test_a_broken_pipeline_does_not_hide_another(project: Project) -> None:
    project.declare("staging:\n  a: {from: raw.nothing}\n", name="bad")
    project.declare(STAGING, name="good")
    assert keys(project) == {"raw/good/orders", "staging/good/orders"}
    assert set(project.build().broken) == {"bad"}


READER = f"{STAGING}  theirs: {{from: bad.staging.a}}\nanalytics:\n  sums: {{query: from staging.theirs}}\n"


def test_a_broken_pipeline_does_not_hide_the_rest_of_one_that_reads_from_it(
    project: Project,
) -> None:
    project.declare("staging:\n  a: {from: raw.nothing}\n", name="bad")
    project.declare(READER, name="good")
    built = project.build()
    assert keys(project) == {"raw/good/orders", "staging/good/orders"}
    assert {str(key) for key in built.broken["good"]} == {
        "staging/good/theirs",
        "analytics/good/sums",
    }
    told = [str(problem) for problem in built.problems]
    assert len(told) == 2
    assert any("staging/bad/a, which it reads, has errors" in text for text in told)


def test_a_pipeline_that_can_not_even_be_read_does_not_hide_one_that_reads_from_it(
    project: Project,
) -> None:
    project.declare("staging: [\n", name="bad")
    project.declare(READER, name="good")
    workspace = project.workspace()
    from data_platform.plan.building import build_plan

    built = build_plan(workspace)
    assert {str(node.key) for node in built.plan.nodes} == {
        "raw/good/orders",
        "staging/good/orders",
    }
    assert "staging/bad/a, which it reads, has errors" in str(built.problems[0])


def test_a_broken_platform_yaml_is_not_told_again_by_each_pipeline(project: Project) -> None:
    project.platform("connections: {shop: {type: database}}\n")
    project.declare(f"{STAGING}    pool: database\n", daily=True)
    assert project.problems() == []


def test_nodes_come_upstreams_first(project: Project) -> None:
    project.declare(
        "staging:\n  a: {from: staging.b}\n  b: {from: staging.c}\n  c: {from: raw.orders}\n"
    )
    order = [node.key.name for node in project.build().plan.nodes]
    assert order == ["orders", "c", "b", "a"]


def test_partitions_are_inherited_and_windows_kept(project: Project) -> None:
    project.declare(
        f"{STAGING}analytics:\n  a:\n    query: from staging.orders\n    inputs: {{staging.orders: {{last: 7}}}}\n"
        "  b:\n    query: from staging.orders\n    partitions: none\n"
        "  c:\n    query: from shop.staging.orders\n    inputs: {staging.orders: {all: true}}\n",
        daily=True,
    )
    reads = {
        node.key.name: (node.partitions is not None, node.inputs[0].reads, node.inputs[0].last)
        for node in project.build().plan.nodes
        if isinstance(node, AnalyticsNode)
    }
    assert reads == {"a": (True, "last", 7), "b": (False, "all", 1), "c": (True, "all", 1)}


def test_a_line_added_above_changes_no_code_version(project: Project) -> None:
    body = f"{STAGING}    quality:\n      - not_null: id\n      - reconcile: {{with: raw.orders, expression: count(*)}}\n"
    project.declare(body)
    first = project.staging("orders").code_version
    project.declare(f"description: about\n{body}")
    assert project.staging("orders").code_version == first
    project.declare(body.replace("not_null: id", "not_null: name"))
    assert project.staging("orders").code_version != first


def test_a_source_of_a_table_says_how_it_is_read(project: Project) -> None:
    project.declare(DAILY_SOURCE, daily=True)
    node = project.node("raw/orders")
    assert node.source == DatabaseTable("shop", "orders", "at", 65_536)  # type: ignore[union-attr]


def test_without_known_columns_only_names_that_steps_make_are_judged(project: Project) -> None:
    project.declare(
        f"{step('filter_rows: anything > 0')}    quality:\n      - not_null: whatever\n"
    )
    assert isinstance(project.staging("orders"), StagingNode)
