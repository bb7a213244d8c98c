# ruff: noqa: E501 -- cases stand in tables, one a line
"""Mistakes in transformations and rules, told when definitions load: where, what, and what is right.

In a case `§` stands where the message must point at.
"""

import pytest
from factories import Project

COLUMNS = {"id": "BIGINT", "name": "VARCHAR", "price": "DECIMAL(9,2)", "at": "TIMESTAMP"}
SHOPS = {"id": "BIGINT", "region": "VARCHAR"}
HEAD = """sources:
  orders: {type: file, path: orders.parquet, partitions: none}
  shops: {type: file, path: shops.parquet, partitions: none}
staging:
  orders:
    from: raw.orders
"""

STEPS: list[tuple[str, str]] = [
    # a column that there isn't
    ("add_columns: {new: §prize * 2}", "no column 'prize' arrives here; did you mean 'price'?"),
    ("add_columns: {a: price, new: §price + prize}", "did you mean 'price'?"),
    ("rename_columns: {§nam: title}", "no column 'nam' arrives here; did you mean 'name'?"),
    ("select_columns: [id, §nam]", "did you mean 'name'?"),
    ("convert_types: {id: bigint, §zzz: bigint}", "no column 'zzz' arrives here; there are id, name, price, at"),
    ("filter_rows: §prize > 1", "did you mean 'price'?"),
    ("deduplicate: {by: [id, §nam], order_by: [at]}", "did you mean 'name'?"),
    ("deduplicate: {by: [id], order_by: [at, §prise desc]}", "did you mean 'price'?"),
    ("aggregate: {group_by: [§nam], columns: {n: count(*)}}", "did you mean 'name'?"),
    ("aggregate: {group_by: [id], columns: {n: count(*), s: §sum(prize)}}", "did you mean 'price'?"),
    ("join: {with: raw.shops, on: [§idd], how: inner}", "did you mean 'id'?"),
    ("join: {with: raw.shops, on: [§name], how: inner}", "no column 'name' arrives here"),
    ("join: {with: raw.shops, on: [id], columns: [region, §regio]}", "no column 'regio' arrives here"),
    ("join: {with: §raw.shop, on: [id]}", "raw.shop"),
    ("union: [raw.shops, §raw.shop]", "raw.shop"),
    ("fill_nulls: {name: x, §prise: 0}", "did you mean 'price'?"),
    ("round: {price: 1, §prise: 0}", "did you mean 'price'?"),
    ("mask: {name: redact, §nam: redact}", "did you mean 'name'?"),
    # a type that doesn't fit
    ("add_columns: {a: id + 1, new: §name + 1}", "VARCHAR + INTEGER doesn't work: convert by convert_types, or cast"),
    ("add_columns: {new: §upper(id)}", "upper(BIGINT) doesn't work"),
    ("aggregate: {group_by: [id], columns: {n: count(*), s: §sum(name)}}", "sum(VARCHAR) doesn't work: convert by convert_types"),
    ("aggregate: {group_by: [id], columns: {n: count(*), s: §price}}", "must appear in the GROUP BY clause"),
    ("add_columns: {a: id, new: §sum(price)}", "an aggregate gives one value for many rows"),
    ("filter_rows: §name > 1", "Cannot compare values of type VARCHAR and type INTEGER"),
    ("filter_rows: §sum(price) > 1", "an aggregate gives one value for many rows"),
    ("round: {price: 1, §name: 2}", "round(VARCHAR, INTEGER) doesn't work"),
    ("fill_nulls: {id: 0, §at: never}", "'never' is no TIMESTAMP"),
    ("fill_nulls: {id: 0, §price: many}", "'many' is no DECIMAL(9,2)"),
    ("convert_types: {price: bigint, name: §money}", "'money' is no type"),
    # a name that stands twice, or is taken
    ("rename_columns: {id: §name}", "there is a column 'name' already"),
    ("rename_columns: {id: title, name: §title}", "there is a column 'title' already"),
    ("select_columns: [id, name, §ID]", "'ID' stands here twice"),
    ("deduplicate: {by: [id, §id], order_by: [at]}", "'id' stands here twice"),
    ("deduplicate: {by: [id], order_by: [at, §at desc]}", "'at' stands here twice"),
    ("aggregate: {group_by: [id, §id], columns: {n: count(*)}}", "'id' stands here twice"),
    ("aggregate: {group_by: [id], columns: {§id: count(*)}}", "there is a column 'id' already"),
    ("join: {with: raw.shops, on: [id, §id], how: inner}", "'id' stands here twice"),
    ("add_columns: {§_file: id}", "a name that the platform needs"),
    # a list without anything
    ("select_columns: §[]", "at least one entry"),
    ("drop_columns: §[]", "at least one entry"),
    ("add_columns: §{}", "at least one entry"),
    ("rename_columns: §{}", "at least one entry"),
    ("convert_types: §{}", "at least one entry"),
    ("fill_nulls: §{}", "at least one entry"),
    ("round: §{}", "at least one entry"),
    ("union: §[]", "at least one entry"),
    ("deduplicate: {by: §[], order_by: [at]}", "at least one entry"),
    ("deduplicate: {by: [id], order_by: §[]}", "at least one entry"),
    ("aggregate: {group_by: §[], columns: {n: count(*)}}", "at least one entry"),
    ("aggregate: {group_by: [id], columns: §{}}", "at least one entry"),
    ("join: {with: raw.shops, on: §[]}", "at least one entry"),
]  # fmt: skip

RULES: list[tuple[str, str]] = [
    ("not_null: [id, §nam]", "nam"),
    ("unique: [id, §nam]", "nam"),
    ("range: {column: §prise, min: 0}", "prise"),
    ("accepted_values: {column: §nam, values: [a]}", "nam"),
    ("expression: {condition: §prise > 0}", "prise"),
    ("expression: {condition: §name > 1}", "VARCHAR"),
    ("foreign_key: {column: §idd, references: raw.shops.id}", "idd"),
    ("not_null: §[]", "at least one entry"),
    ("unique: §[]", "at least one entry"),
    ("range: {column: §name, min: 0}", "name"),
]
"""For rules the line must be right: their checks have one place."""


def told(project: Project, body: str) -> list[str]:
    """What loading says, be it of the form or of the plan."""
    project.know(orders=COLUMNS, shops=SHOPS)
    project.declare(HEAD + body)
    reading = project.workspace()
    problems = reading.problems if reading.broken else project.build().problems
    return [f"{p.location.line}:{p.location.column}: {p.message}" for p in problems]


def place_of(body: str) -> str:
    """Where `§` stands, as `line:column`."""
    before = body[: body.index("§")]
    line = 3 + HEAD.count("\n") + before.count("\n") + 1
    return f"{line}:{len(before) - before.rfind(chr(10))}"


@pytest.mark.parametrize(("step", "message"), STEPS, ids=[step for step, _ in STEPS])
def test_a_mistake_in_a_step_is_told_at_its_key(project: Project, step: str, message: str) -> None:
    body = f"    transformations:\n      - {step}\n"
    problems = told(project, body.replace("§", ""))
    assert len(problems) == 1, problems
    line, column, said = problems[0].split(":", 2)
    assert message in said
    wanted = place_of(body).split(":")
    assert line == wanted[0]
    # A mapping's problem may stand at its key, just before the value.
    between = (body.splitlines()[1])[int(column) - 1 : int(wanted[1])]
    assert int(column) <= int(wanted[1]), problems
    assert not between or all(sign not in between for sign in ",[{"), (problems, between)


@pytest.mark.parametrize(("rule", "message"), RULES, ids=[rule for rule, _ in RULES])
def test_a_mistake_in_a_rule_is_told_at_its_line(project: Project, rule: str, message: str) -> None:
    body = f"    quality:\n      - {rule}\n"
    problems = told(project, body.replace("§", ""))
    assert len(problems) == 1, problems
    assert problems[0].startswith(place_of(body).split(":")[0])
    assert message in problems[0]


@pytest.mark.parametrize(
    ("former", "name", "fate"),
    [
        ("drop_columns: [price]", "price", "; drop_columns at line 11 doesn't keep it"),
        (
            "rename_columns: {price: amount}",
            "price",
            "; rename_columns at line 11 calls it 'amount'",
        ),
        ("select_columns: [id, at]", "price", "; select_columns at line 11 doesn't keep it"),
        (
            "aggregate: {group_by: [id], columns: {n: count(*)}}",
            "price",
            "; aggregate at line 11 doesn't keep it",
        ),
    ],
)
@pytest.mark.parametrize(
    "step",
    [
        "add_columns: {x: price * 2}",
        "round: {price: 1}",
        "filter_rows: price > 1",
        "select_columns: [id, price]",
    ],
)
def test_a_column_that_a_former_step_took_away_is_told_so(
    project: Project, former: str, name: str, fate: str, step: str
) -> None:
    problems = told(project, f"    transformations:\n      - {former}\n      - {step}\n")
    assert len(problems) == 1
    assert problems[0].startswith("12:")
    assert f"no column {name!r} arrives here{fate}" in problems[0]


def test_all_mistakes_come_at_once(project: Project) -> None:
    problems = told(
        project,
        "    transformations:\n"
        "      - select_columns: [id, nam, prise]\n"
        "      - add_columns: {a: getenv('HOME'), b: random()}\n"
        "      - filter_rows: read_text('x') = ''\n"
        "    quality:\n"
        "      - expression: {condition: version() = 'x'}\n",
    )
    assert [problem.split(":")[0] for problem in problems][:3] == ["11", "11", "12"]
    assert any("getenv" in problem for problem in problems)
    assert any("read_text" in problem for problem in problems)
