# ruff: noqa: E501 -- cases stand in tables, one a line
"""Values that a run may be given: how they are declared, named, and what they come to."""

import datetime as dt
from dataclasses import replace

import pytest
from factories import DAY, NEXT_DAY, Project, verdict

from data_platform.plan.describing import describe_asset
from data_platform.plan.explaining import explain_text
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.lineage.impact import ancestry_of
from data_platform.plan.nodes import AnalyticsNode
from data_platform.plan.parameters import changed_values, values_of
from data_platform.spec.parameters import (
    Parameter,
    ParameterType,
    ParameterValue,
    read_value,
    value_of,
)

KNOWN = {
    "id": "BIGINT",
    "amount": "DECIMAL(10,2)",
    "name": "VARCHAR",
    "day": "DATE",
    "paid": "BOOLEAN",
}
ALL = """
      whole: {type: int, default: 5}
      part: {type: float, default: 0.5}
      word: {type: str, default: "it's :whole"}
      sure: {type: bool, default: true}
      since: {type: date, default: 2017-01-31}
"""
ROWS = [
    {"id": number, "amount": number, "name": f"n{number}", "paid": number % 2 == 0}
    for number in range(1, 6)
]


def of_analytics(
    project: Project, query: str, parameters: str = ALL, more: str = ""
) -> AnalyticsNode:
    project.know(orders=KNOWN)
    project.declare(
        f"analytics:\n  a:\n    parameters: {parameters}\n    query: |\n      {query}\n{more}"
    )
    node = project.node("analytics/a")
    assert isinstance(node, AnalyticsNode)
    return node


def unsound(project: Project, body: str) -> list[str]:
    project.know(orders=KNOWN)
    project.declare(body)
    return project.problems()


# Values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "found", "value"),
    [
        ("int", 0, 0),
        ("int", -(2**63), -(2**63)),
        ("float", 3, 3.0),
        ("float", -0.0, 0.0),
        ("str", "", ""),
        ("str", "Zürich ✓", "Zürich ✓"),
        ("bool", False, False),
        ("date", "2024-02-29", dt.date(2024, 2, 29)),
    ],
)
def test_a_scalar_of_its_type_is_a_value(
    kind: ParameterType, found: object, value: ParameterValue
) -> None:
    assert value_of(kind, found) == value
    assert type(value_of(kind, found)) is type(value)


@pytest.mark.parametrize(
    ("kind", "found", "message"),
    [
        ("int", "5", r"a whole number of 64 bits, such as 5 \(type int\); found '5'"),
        ("int", 5.0, r"found 5\.0"),
        ("int", True, "found true"),
        ("int", 2**63, "64 bits"),
        ("float", "x", "expected a number"),
        ("float", float("nan"), "found nan"),
        ("float", float("-inf"), "found -inf"),
        ("float", 10**400, "expected a number"),
        ("float", False, "found false"),
        ("str", 5, "expected a text"),
        ("str", "a\x00b", "expected a text"),
        ("bool", 1, r"true or false \(type bool\); found 1"),
        ("bool", "true", "found 'true'"),
        ("date", "2023-02-29", "a day, such as 2017-01-31"),
        ("date", "20230228", "a day"),
        ("date", None, "found nothing"),
    ],
)
def test_another_scalar_is_refused_with_what_is_allowed(
    kind: ParameterType, found: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        value_of(kind, found)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "-5", -5),
        ("float", "1e3", 1000.0),
        ("bool", "False", False),
        ("str", "5", "5"),
        ("date", "2024-01-01", dt.date(2024, 1, 1)),
    ],
)
def test_a_text_of_the_command_line_is_read_by_its_type(
    kind: ParameterType, text: str, value: ParameterValue
) -> None:
    assert read_value(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("int", "5.5"),
        ("int", ""),
        ("float", "nan"),
        ("float", "1,5"),
        ("bool", "yes"),
        ("date", "01.02.2024"),
    ],
)
def test_a_text_that_is_no_value_is_refused(kind: ParameterType, text: str) -> None:
    with pytest.raises(ValueError, match=r"expected .* found"):
        read_value(kind, text)


def test_a_run_says_what_it_likes_and_the_rest_is_the_default() -> None:
    declared = {
        "a": Parameter(type="int", default=1),
        "b": Parameter(type="date", default="2024-01-01"),
    }
    assert values_of(declared, {"a": 2, "other": 3}) == {"a": 2, "b": dt.date(2024, 1, 1)}
    assert changed_values(declared, {"a": 1}) == {}
    assert changed_values(declared, {"a": 2}) == {"a": 2}


# What is written ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (
            "{limit: {type: int, default: a}}",
            "8:37: expected a whole number of 64 bits, such as 5 (type int); found 'a'",
        ),
        (
            "{limit: {type: date, default: 2024-13-01}}",
            "8:38: expected a day, such as 2017-01-31 (type date); found '2024-13-01'",
        ),
        ("{limit: {type: bool, default: 1}}", "found 1"),
        ("{limit: {type: number, default: 1}}", "allowed: int, float, str, bool, date"),
        ("{limit: {type: int}}", "default"),
        ("{partition_key: {type: str, default: a}}", "'partition_key' is a name that is taken"),
        ("{watermark: {type: str, default: a}}", "'watermark' is a name that is taken"),
        ("{Limit: {type: int, default: 1}}", "'Limit' is no name"),
    ],
)
def test_a_parameter_that_is_none_is_told_at_its_place(
    project: Project, declared: str, message: str
) -> None:
    project.declare(
        f"analytics:\n  a:\n    parameters: {declared}\n    query: select :limit as n from raw.orders\n"
    )
    told = "\n".join(map(str, project.workspace().problems))
    assert message in told


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("analytics:\n  a:\n    parameters: {min_value: {type: int, default: 1}}\n    query: select id from raw.orders where amount > :min_valu\n", "shop/pipeline.yaml:9:53: unknown parameter :min_valu; did you mean :min_value?"),
        ("analytics:\n  a:\n    query: |\n      select id, ':other' as t\n      from raw.orders -- :other\n      where amount > :other\n", "shop/pipeline.yaml:11:22: unknown parameter :other; allowed: :partition_key, :partition_start, :partition_end; declare others under `parameters` of the asset"),
        ("staging:\n  s:\n    from: raw.orders\n    parameters: {least: {type: int, default: 1}}\n    transformations:\n      - filter_rows: amount > :leat\n", "shop/pipeline.yaml:11:9: unknown parameter :leat; did you mean :least?"),
        ("staging:\n  s:\n    from: raw.orders\n    transformations:\n      - add_columns: {x: amount > :least}\n", "unknown parameter :least; declare others under `parameters` of the asset"),
        ("staging:\n  s:\n    from: raw.orders\n    transformations:\n      - filter_rows: name = :partition_key\n", ":partition_key belongs into SQL files and queries"),
        ("staging:\n  s:\n    from: raw.orders\n    quality:\n      - range: {column: amount, min: ':least'}\n", "unknown parameter :least; declare others"),
        ("staging:\n  s:\n    from: raw.orders\n    parameters: {least: {type: int, default: 1}}\n    quality:\n      - range: {column: name, min: ':least'}\n", "name is text, :least a number"),
        ("staging:\n  s:\n    from: raw.orders\n    parameters: {least: {type: str, default: a}}\n    quality:\n      - expression: amount > :least\n", "DECIMAL"),
        ("staging:\n  s:\n    from: raw.orders\n    quality:\n      - expression: amount > :least\n", "unknown parameter :least"),
        ("staging:\n  s:\n    from: raw.orders\n    parameters: {since: {type: date, default: 2024-01-01}}\n    transformations:\n      - add_columns: {x: sqrt(:since)}\n", "sqrt(DATE)"),
    ],
)  # fmt: skip
def test_a_use_that_is_wrong_is_an_error_when_definitions_load(
    project: Project, body: str, message: str
) -> None:
    assert message in "\n".join(unsound(project, body))


def test_a_destination_has_nothing_that_could_use_a_parameter(project: Project) -> None:
    body = "destinations:\n  d: {type: database, from: raw.orders, connection: shop, table: a.b, parameters: {a: {type: int, default: 1}}}\n"
    assert "a destination loads what its asset has" in "\n".join(unsound(project, body))


def test_a_parameter_that_nothing_uses_is_a_warning_and_breaks_nothing(project: Project) -> None:
    body = "analytics:\n  a:\n    parameters: {used: {type: int, default: 1}, forgotten: {type: int, default: 1}}\n    query: select id from raw.orders where id > :used\n"
    found = unsound(project, body)
    assert found == [
        "shop/pipeline.yaml:8:49: warning: nothing uses the parameter forgotten: name it as :forgotten in SQL, or as a parameter of a function"
    ]
    assert project.build().plan.get(Key("analytics", "shop", "a")) is not None


# Types at load ------------------------------------------------------------------------------------


def test_the_types_of_parameters_are_those_of_the_columns_made_of_them(project: Project) -> None:
    node = of_analytics(
        project,
        "select :whole as a, :part as b, :word as c, :sure as d, :since as e  from raw.orders",
    )
    types = {column.name: column.type for column in node.schema.columns}
    assert types == {"a": "BIGINT", "b": "DOUBLE", "c": "VARCHAR", "d": "BOOLEAN", "e": "DATE"}
    assert node.parameters == ()


def test_names_that_are_words_of_sql_can_be_parameters(project: Project) -> None:
    declared = "{limit: {type: int, default: 1}, date: {type: date, default: 2024-01-01}}"
    node = of_analytics(
        project, "select id from raw.orders where id <= :limit and :date < day", declared
    )
    assert node.run_parameters.keys() == {"limit", "date"}


def test_expressions_keep_their_slices_and_structs(project: Project) -> None:
    project.know(orders=KNOWN)
    project.declare(
        "staging:\n  s:\n    from: raw.orders\n    parameters: {n: {type: int, default: 2}}\n    transformations:\n      - add_columns: {a: 'name[1:id]', b: 'name[:n]', c: '{x:id}', d: ':n + 1', e: 'case when :n > id then 1 end'}\n"
    )
    types = {c.name: c.type for c in project.staging("s").schema.columns}
    assert types["d"] == "BIGINT"
    assert types["a"] == "VARCHAR"


# Code versions, descriptions, lineage -------------------------------------------------------------


def test_only_a_changed_default_or_type_is_another_version_of_the_code(project: Project) -> None:
    def version(declared: str) -> str:
        return of_analytics(
            project, "select :n as n from raw.orders", f"{{n: {{{declared}}}}}"
        ).code_version

    first = version("type: int, default: 1")
    assert version("type: int, default: 1, description: how many") == first
    assert version("type: int, default: 2") != first
    assert version("type: float, default: 1") != first


def test_explain_tells_parameters_with_type_default_and_description(project: Project) -> None:
    declared = "{n: {type: int, default: 5, description: The least amount.}, d: {type: date, default: 2024-01-01}}"
    node = of_analytics(project, "select :n as n, :d as d from raw.orders", declared)
    assert describe_asset(node)["run_parameters"] == [
        {"name": "n", "type": "int", "default": 5, "description": "The least amount."},
        {"name": "d", "type": "date", "default": "2024-01-01", "description": None},
    ]
    text = explain_text(project.build().plan, [node.key])
    assert "n (int, 5 where the run doesn't say): The least amount." in " ".join(text.split())


def test_lineage_and_masking_see_through_parameters(project: Project) -> None:
    project.know(orders=KNOWN)
    text = (
        "staging:\n  s:\n    from: raw.orders\n    parameters: {n: {type: float, default: 1}}\n"
        "    transformations:\n      - filter_rows: amount > :n\n      - add_columns: {more: 'amount * :n', who: 'upper(name)'}\n"
        "    columns: {name: {pii: true}, who: {}, more: {}, amount: {}}\n    extra_columns: drop\n"
        "analytics:\n  a:\n    parameters: {w: {type: str, default: x}}\n    query: select WHO || :w as whose, sum(more) as total from staging.s where who <> :w group by all\n"
    )
    project.declare(text.replace("WHO", "who"))
    [problem] = project.problems()
    assert "raw.orders.name -> staging.s.who -> analytics.a.whose" in problem
    project.declare(text.replace("WHO", "'a'"))
    plan = project.build().plan
    told = Lineage(plan)
    start = told.find("analytics.a.total")
    assert "amount" in str(ancestry_of(told, start))
    node = plan[Key("analytics", "shop", "a")]
    assert isinstance(node, AnalyticsNode)
    assert not node.masking.columns


# Rows ---------------------------------------------------------------------------------------------


def given(project: Project, **values: ParameterValue) -> None:
    project.workbench = replace(project.workbench, given=values)


def test_sql_computes_with_the_defaults_unless_the_run_says_otherwise(project: Project) -> None:
    of_analytics(
        project,
        "select :whole as a, :part as b, :word as c, :sure as d, :since as e, count(*) as n from raw.orders where id <= :whole",
    )
    project.land("raw/orders", ROWS)
    project.compute("analytics/a")
    row = {"a": 5, "b": 0.5, "c": "it's :whole", "d": True, "e": dt.date(2017, 1, 31), "n": 5}
    assert project.rows("analytics/a") == [row]
    given(project, whole=2, word="'; DROP TABLE x; --", since=dt.date(1900, 1, 1))
    project.compute("analytics/a")
    other = {"a": 2, "c": "'; DROP TABLE x; --", "e": dt.date(1900, 1, 1), "n": 2}
    assert project.rows("analytics/a") == [{**row, **other}]


@pytest.mark.parametrize(
    ("more", "query"),
    [
        ("", "select name, :least as least, sum(amount) as total from staging.s where amount >= :least group by all"),
        ("", "select name, sum(amount * :factor) as total from staging.s group by name having sum(amount) > :least"),
        ("\n    inputs: {staging.s: {last: 2}}", "select name, count(distinct id) as ids, sum(amount) as total from staging.s where amount >= :least group by all"),
        ("\n    inputs: {staging.s: {last: 2}}", "select name, sum(case when amount > :least then amount end) as total, :factor as f from staging.s group by all"),
        ("", "select id, lag(amount, 1, :factor) over (order by id) as before, :partition_key as day from staging.s where amount >= :least"),
    ],
)  # fmt: skip
def test_a_range_gives_what_its_days_give_with_a_runs_values(
    project: Project, more: str, query: str
) -> None:
    project.know(orders=KNOWN)
    declared = {"least": "{type: int, default: 3}", "factor": "{type: float, default: 1.5}"}
    used = ", ".join(f"{name}: {one}" for name, one in declared.items() if f":{name}" in query)
    project.declare(
        f"staging:\n  s: {{from: raw.orders}}\nanalytics:\n  a:\n    parameters: {{{used}}}{more}\n    query: {query}\n",
        daily=True,
    )
    for day, shift in ((DAY, 0), (NEXT_DAY, 2)):
        project.land(
            "staging/s", [{**row, "id": row["id"] + shift, "day": None} for row in ROWS], day
        )  # pyright: ignore[reportOperatorIssue]
    given(project, least=2, factor=0.25)
    project.compute("analytics/a", DAY, NEXT_DAY)
    together = {day: project.rows("analytics/a", day) for day in (DAY, NEXT_DAY)}
    for day in (DAY, NEXT_DAY):
        project.compute("analytics/a", day)
    assert {day: project.rows("analytics/a", day) for day in (DAY, NEXT_DAY)} == together
    given(project)
    project.compute("analytics/a", DAY)
    assert project.rows("analytics/a", DAY) != together[DAY]


STAGED = """
staging:
  s:
    from: raw.orders
    parameters:
      least: {type: float, default: 2}
      word: {type: str, default: a}
      most: {type: int, default: 4}
    transformations:
      - filter_rows: amount >= :least
      - add_columns: {who: "name || :word"}
    on_violation: quarantine
    quality:
      - range:
          column: amount
          max: :most
      - expression: amount <> :most - 1
"""


def test_steps_and_rules_of_staging_take_a_runs_values(project: Project) -> None:
    project.know(orders=KNOWN)
    project.declare(STAGED)
    project.land("raw/orders", ROWS)
    passage = project.compute("staging/s")
    assert project.column("staging/s", "who") == ["n2a", "n4a"]
    assert dict(passage.quarantined) == {"_all": 2} or sum(passage.quarantined.values()) == 2
    given(project, least=1.0, word="ü", most=2**40)
    project.compute("staging/s")
    assert project.column("staging/s", "who") == [f"n{number}ü" for number in range(1, 6)]


def test_a_bound_of_a_contract_may_be_a_parameter(project: Project) -> None:
    project.know(orders={**KNOWN, "amount": "BIGINT"})
    project.declare(
        "staging:\n  s:\n    from: raw.orders\n    parameters: {most: {type: int, default: 4}}\n    extra_columns: keep\n    columns: {amount: {max: ':most'}}\n"
    )
    project.land("raw/orders", ROWS)
    assert project.compute("staging/s").failed
    given(project, most=5)
    assert not project.compute("staging/s").failed


JUDGED = """
staging:
  s:
    from: raw.orders
    parameters:
      percent: {type: float, default: 50}
      fewest: {type: int, default: 3}
      twice: {type: int, default: 0}
      off: {type: float, default: 0}
      held: {type: int, default: 100}
    max_quarantine_percentage: :held
    quality:
      - not_null:
          columns: [name]
          max_null_percentage: :percent
      - row_count:
          min_rows: :fewest
      - unique:
          columns: [id]
          max_duplicates: :twice
      - reconcile:
          with: raw.orders
          expression: sum(amount) + (:off * 0)
          with_expression: sum(amount) + 1
          tolerance: :off
          on_violation: warn
      - expression:
          condition: amount < 1000
          on_violation: quarantine
"""


@pytest.mark.parametrize(
    ("values", "failed"),
    [
        ({}, []),
        ({"percent": 10.0}, ["not_null_name"]),
        ({"fewest": 192}, ["row_count"]),
        ({"held": 1}, ["quarantine"]),
    ],
)
def test_a_rule_judges_by_the_numbers_of_the_run(
    project: Project, values: dict[str, ParameterValue], failed: list[str]
) -> None:
    project.know(orders=KNOWN)
    project.declare(JUDGED)
    many = [
        {"id": n, "amount": 5000 if n < 10 else n, "name": None if n % 5 == 0 else "x"}
        for n in range(200)
    ]
    project.land("raw/orders", many)
    given(project, **values)
    reasons = str(project.compute("staging/s").failed)
    assert bool(reasons != "{}") == bool(failed), reasons
    assert all(one in reasons for one in failed), reasons


def test_a_tolerance_and_a_number_of_copies_are_the_runs(project: Project) -> None:
    project.know(orders=KNOWN)
    project.declare(JUDGED)
    project.land("raw/orders", [*ROWS, ROWS[0]])
    assert "unique_id" in str(project.compute("staging/s").failed)
    given(project, twice=1, off=1.0)
    passage = project.compute("staging/s")
    assert not passage.failed
    assert verdict(passage, "reconcile_orders") == "pass"
    given(project, twice=1, off=0.5)
    assert verdict(project.compute("staging/s"), "reconcile_orders") == "warn"


@pytest.mark.parametrize(
    ("parameter", "rule", "message"),
    [
        (
            "{type: float, default: 1}",
            "row_count: {min_rows: ':p'}",
            ":p is of type float; int is needed",
        ),
        (
            "{type: str, default: a}",
            "not_null: {columns: [id], max_null_percentage: ':p'}",
            "float or int is needed",
        ),
        (
            "{type: int, default: 101}",
            "not_null: {columns: [id], max_null_percentage: ':p'}",
            "the default of :p is 101: expected at most 100",
        ),
        ("{type: int, default: -1}", "row_count: {max_rows: ':p'}", "expected at least 0"),
        ("{type: int, default: 1}", "row_count: {max_rows: ':q'}", "unknown parameter :q"),
    ],
)
def test_a_number_of_a_rule_that_can_not_be_a_parameter_is_refused(
    project: Project, parameter: str, rule: str, message: str
) -> None:
    body = f"staging:\n  s:\n    from: raw.orders\n    parameters: {{p: {parameter}}}\n    quality:\n      - {rule}\n"
    assert message in "\n".join(unsound(project, body))


def test_a_number_of_copies_that_a_run_may_change_promises_no_key(project: Project) -> None:
    """A join that counts on one row a key would multiply rows in a run with another number."""
    project.know(orders=KNOWN)

    def effect(most: str) -> str:
        project.declare(
            "staging:\n  shops:\n    from: raw.orders\n    parameters: {most: {type: int, default: 0}, one: {type: int, default: 1}}\n"
            f"    transformations:\n      - filter_rows: id >= :one or id >= :most\n      - select_columns: [id, name]\n    quality:\n      - unique: {{columns: [id], max_duplicates: {most}}}\n"
            "  s:\n    from: raw.orders\n    transformations:\n      - drop_columns: [name]\n      - join: {with: staging.shops, 'on': [id], how: left}\n"
        )
        return project.staging("s").steps[-1].effect

    assert effect("0") == "row-wise"
    assert effect("':most'") == "reshapes"


def test_explain_tells_which_numbers_are_parameters(project: Project) -> None:
    project.know(orders=KNOWN)
    project.declare(JUDGED)
    told = {
        check["name"]: check["condition"]
        for check in describe_asset(project.staging("s"))["checks"]
    }
    assert "(min_rows is :fewest)" in told["row_count"]


# Functions ----------------------------------------------------------------------------------------

FUNCTIONS = """
def source(since, n=1):
    return [{"id": n, "name": str(since)}]

def step(rows, n, factor=2):
    return rows.assign(name=f"{n} {factor}")

def rule(rows, least):
    return bool((rows["id"] >= least).all())
"""
CALLED = """
sources:
  given: {type: python, function: "made:source", partitions: none, parameters: {since: {type: date, default: 2024-01-31}}}
staging:
  s:
    from: raw.given
    parameters: {n: {type: int, default: 7}, least: {type: int, default: 1}}
    transformations:
      - python: {function: made:step, num_workers: WORKERS}
    quality:
      - python: made:rule
"""


@pytest.mark.parametrize("workers", ["null", "2"])
def test_a_function_gets_the_parameters_that_it_names(project: Project, workers: str) -> None:
    declared = project.declare(
        CALLED.replace(
            ", num_workers: WORKERS", "" if workers == "null" else f", num_workers: {workers}"
        )
    )
    (declared.parent / "made.py").write_text(FUNCTIONS)
    project.land_source("given")
    assert project.rows("raw/given") == [{"id": 1, "name": "2024-01-31"}]
    assert not project.compute("staging/s").failed
    assert project.column("staging/s", "name") == ["7 2"]
    given(project, since=dt.date(2000, 2, 29), n=8, least=2)
    project.land_source("given")
    assert project.rows("raw/given") == [{"id": 1, "name": "2000-02-29"}]
    assert "rule" in str(project.compute("staging/s").failed)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            "{leas: {type: int, default: 1}}",
            "missing a required argument: 'least'; a rule takes (rows), and `partition` if it likes, and the asset's parameters leas; did you mean leas by least?",
        ),
        ("{}", "missing a required argument: 'least'; a rule takes (rows)"),
    ],
)
def test_a_function_that_wants_what_is_not_declared_is_refused(
    project: Project, parameters: str, message: str
) -> None:
    declared = project.declare(
        f"staging:\n  s:\n    from: raw.orders\n    parameters: {parameters}\n    quality:\n      - python: made:rule\n"
    )
    (declared.parent / "made.py").write_text(FUNCTIONS)
    assert message in "\n".join(project.problems())


def test_the_default_of_a_function_stands_where_nothing_is_declared(project: Project) -> None:
    declared = project.declare(
        "staging:\n  s:\n    from: raw.orders\n    parameters: {n: {type: int, default: 1}}\n    transformations:\n      - python: made:step\n"
    )
    (declared.parent / "made.py").write_text(FUNCTIONS)
    call = project.staging("s").calls[0]
    assert call.function.takes == ("n",)
    assert call.function.named_arguments("") == {"n": 1}
