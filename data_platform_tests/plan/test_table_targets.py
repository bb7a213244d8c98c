"""What is wrong with a table as a destination is told when definitions load, at its place."""

import pytest
from factories import Project

from data_platform.plan.destinations.kinds import TableTarget
from data_platform.plan.nodes import DestinationNode

STAGING = """staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, nullable: false}
      city: {type: varchar}
      amount: {type: 'decimal(12,2)'}
      day: {type: date}
      at: {type: timestamp}
      tags: {type: 'varchar[]'}
destinations:
  out:
    from: staging.orders
    type: database
    connection: shop
    table: §shop.orders
"""
LONG = "x" * 64
WRONG = {
    "merge without keys": ("§write: merge", "`merge` needs `keys`"),
    "keys without merge": ("write: replace\n§keys: id", "`keys` go with `write: merge`; write is"),
    "unknown keys": (
        "write: merge\n§keys: [id, idd]",
        "staging/shop/orders has no column 'idd'; did you mean id?",
    ),
    "keys that may be NULL": (
        "write: merge\n§keys: [id, city]",
        "city may be NULL, and NULL names no row: say `nullable: false` of it",
    ),
    "a key twice": ("write: merge\n§keys: [id, id]", "id stands there twice"),
    "an index of nothing": ("indexes:\n  - city\n  - §[id, citi]", "did you mean city?"),
    "an index twice": ("indexes:\n  - city\n  - §city", "city stands there twice"),
    "a column twice in an index": ("indexes:\n  - §[city, city]", "city stands there twice"),
    "no privilege": ("grants:\n  §reader: []", "no privilege of reader is named"),
    "a partition column without partitions": (
        "§partition_column: day",
        "staging.orders has no partitions that a column could hold: leave it out",
    ),
    "partitions to replace that aren't there": (
        "§write: replace_partition",
        "staging.orders has no partitions to replace: write is `replace`",
    ),
}
WRONG_BY_DAY = {
    "all replaced by one partition": (
        "§write: replace",
        "`replace` would leave one partition of staging.orders",
    ),
    "an unknown partition column": ("§partition_column: dai", "did you mean day?"),
    "a partition column of numbers": (
        "§partition_column: amount",
        "column amount is DECIMAL(12,2): a partition is told by a text, a date or a timestamp; ",
    ),
}
MALFORMED = {
    "a role with a space": ("grants: {§reader of it: [select]}", "can't be a role of a database"),
    "a role with a quote": ("grants: {§'a\"b': [select]}", "can't be a role of a database"),
    "an unknown privilege": ("grants:\n  reader: [§reed]", "'reed' is not allowed"),
    "an unknown mode": ("§write: upsert", "'upsert' is not allowed; allowed: replace_partition, "),
    "no columns in an index": ("indexes:\n  - §[]", "needs at least one entry"),
}


def written(keys: str) -> str:
    """The pipeline with further keys of the destination."""
    body = STAGING if "§" not in keys else STAGING.replace("§", "")
    return body + "".join(f"    {line}\n" for line in keys.splitlines())


def place_of(text: str) -> str:
    """Where the sign stands, as `line:column`."""
    before = text.partition("§")[0]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def declared(project: Project, keys: str, *, daily: bool = False) -> str:
    """Write the pipeline; gives the place of the mistake."""
    body = written(keys)
    path = project.declare(body, daily=daily)
    text = path.read_text()
    path.write_text(text.replace("§", ""))
    return f"shop/pipeline.yaml:{place_of(text)}"


@pytest.mark.parametrize("case", [*WRONG, *WRONG_BY_DAY])
def test_a_mistake_is_told_at_its_place(project: Project, case: str) -> None:
    keys, message = {**WRONG, **WRONG_BY_DAY}[case]
    place = declared(project, keys, daily=case in WRONG_BY_DAY)
    (problem,) = project.problems()
    assert problem.startswith(place)
    assert message in problem


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_malformed_is_told_at_its_place(project: Project, case: str) -> None:
    keys, message = MALFORMED[case]
    place = declared(project, keys)
    (problem,) = (str(one) for one in project.workspace().problems)
    assert place in problem
    assert message in problem


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("data_platform.orders", "data_platform.orders is the platform's own"),
        (f"shop.{LONG}", "is longer than 63 bytes"),
    ],
)
def test_names_that_a_database_cannot_take_are_refused(
    project: Project, table: str, message: str
) -> None:
    body = STAGING.replace("shop.orders", table)
    path = project.declare(body)
    path.write_text(path.read_text().replace("§", ""))
    (problem,) = project.problems()
    assert message in problem


def test_a_type_that_no_table_has_is_told_with_advice(project: Project) -> None:
    project.declare(
        "analytics:\n  lists:\n    query: select [[1], [2]] as pairs\n"
        "destinations:\n  out: {from: analytics.lists, type: database, connection: shop, "
        "table: lists}\n"
    )
    (problem,) = project.problems()
    assert problem.endswith(
        "column pairs is INTEGER[][], and PostgreSQL has no type for lists within one another: "
        "convert it to varchar in staging, or drop the column"
    )


def test_all_mistakes_come_at_once(project: Project) -> None:
    declared(project, "write: merge\nkeys: nothing\nindexes: [nothing]\ngrants: {reader: []}")
    assert len(project.problems()) == 3


def test_what_is_right_is_resolved(project: Project) -> None:
    declared(
        project,
        "write: merge\nkeys: id\nindexes: [city, [city, _partition]]\nnarrow: true\n"
        "grants: {reader: [select], PUBLIC: [all]}",
        daily=True,
    )
    node = project.node("destinations/out")
    assert isinstance(node, DestinationNode)
    assert node.target == TableTarget(
        connection="shop",
        dialect="postgres",
        table="shop.orders",
        write="merge",
        keys=("id",),
        partition_column="_partition",
        adds_partition_column=True,
        indexes=(("city",), ("city", "_partition")),
        grants={"reader": ("select",), "PUBLIC": ("all",)},
        narrow=True,
    )


def test_the_form_of_a_table_is_a_part_of_the_code_version(project: Project) -> None:
    declared(project, "write: replace")
    before = project.node("destinations/out").code_version
    declared(project, "indexes: [city]")
    after = project.node("destinations/out").code_version
    assert before != after


def test_two_destinations_of_one_table_are_refused(project: Project) -> None:
    again = "  again: {from: staging.orders, type: database, connection: shop, table: shop.orders}"
    project.declare(STAGING.replace("§", "") + f"{again}\n")
    (problem,) = project.problems()
    assert "destinations/shop/out writes to shop.orders already" in problem


def test_a_not_null_that_only_warns_makes_no_constraint(project: Project) -> None:
    project.declare(
        STAGING.replace("§", "").replace("    columns:", "    on_violation: warn\n    columns:")
    )
    node = project.node("destinations/out")
    assert isinstance(node, DestinationNode)
    assert node.contract is not None
    assert node.contract["id"].nullable
