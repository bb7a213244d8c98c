# ruff: noqa: E501 -- cases stand in tables, one a line
"""A function as a rule: it gets what would be published, and its word decides."""

from collections.abc import Callable

import numpy as np
import pytest
from factories import DAY, NEXT_DAY, PIPELINE, Project, outcome

from data_platform.errors import FunctionError
from data_platform.plan.naming import WHOLE
from data_platform.quality.outcomes import Finding, Verdict
from data_platform.quality.python_checks import results_of
from data_platform.quality.results import Result

Judged = Callable[..., Finding]


@pytest.mark.parametrize(
    ("given", "results"),
    [
        (True, [Result("f", True)]),
        (np.bool_(False), [Result("f", False)]),
        (Result("a", False, 3, 1, "x"), [Result("a", False, 3, 1, "x")]),
        ({"a": True, "b": np.False_}, [Result("a", True), Result("b", False)]),
        ({"passed": False, "offending": 2}, [Result("f", False, None, 2)]),
        (
            {"a": {"passed": True, "rows": np.int64(3), "detail": 7}},
            [Result("a", True, 3, None, "7")],
        ),
        ({"a": Result("b", True)}, [Result("b", True)]),
        ([True, {"name": "a", "passed": False}], [Result("f", True), Result("a", False)]),
        ((Result(str(n), True) for n in range(2)), [Result("0", True), Result("1", True)]),
    ],
)
def test_results_come_in_many_forms(given: object, results: list[Result]) -> None:
    assert results_of(given, "f") == results


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "returned NoneType: true or false, {name: "),
        (1, "returned int: "),
        ("yes", "returned str: "),
        ([], "returned no result at all: a rule that looks at nothing can't pass"),
        ({}, "returned no result at all"),
        (
            {"a": {}},
            "a result 'a' that doesn't say `passed: true` or `false`; it takes name, passed, rows",
        ),
        ({"a": {"passed": 1}}, "a result 'a' that doesn't say"),
        ({"a": {"passed": True, "ok": 1}}, "a result 'a' that has 'ok'; it takes name, passed"),
        ({"a": {"passed": True, "rows": 1.5}}, "a result 'a' whose rows is no whole number"),
    ],
)
def test_what_is_no_result_is_refused(given: object, message: str) -> None:
    with pytest.raises(FunctionError, match=message.replace("{", r"\{")):
        results_of(given, "f")


@pytest.fixture
def judged(project: Project) -> Judged:
    """Judge three rows of one day by a function `f`."""

    def judge(code: str, more: str = "", *, rows: int = 3) -> Finding:
        folder = project.pipelines / PIPELINE
        folder.mkdir(exist_ok=True)
        (folder / "suite.py").write_text(code)
        rule = f"    quality:\n      - python: {{function: 'suite:f'{more}}}\n"
        project.declare(f"staging:\n  orders:\n    from: raw.orders\n{rule}")
        project.land("raw/orders", f"SELECT range AS id FROM range({rows})")
        return outcome(project.compute("staging/orders"), "python_f").findings[WHOLE]

    return judge


def test_true_publishes_and_false_does_not(judged: Judged, project: Project) -> None:
    assert judged("def f(rows):\n  return False") == Finding(3, 0, "fail", "1 of 1 failed: f")
    assert project.rows("staging/orders") == []
    assert judged("def f(rows):\n  return True") == Finding(3, 0, "pass")
    assert len(project.rows("staging/orders")) == 3


def test_what_failed_is_named_with_its_figures(judged: Judged) -> None:
    code = (
        "from data_platform.quality.results import Result\n"
        "def f(rows):\n"
        "  return [Result('mean', False, detail='mean 1.0, at most 0.5'), Result('few', False, 3, 2), Result('any', True)]\n"
    )
    assert judged(code) == Finding(
        3, 2, "fail", "2 of 3 failed: mean: mean 1.0, at most 0.5; few: 2 of 3 rows"
    )


def test_of_many_failures_the_first_are_named(judged: Judged) -> None:
    finding = judged("def f(rows):\n  return {f'r{n}': False for n in range(9)}")
    assert finding.detail == "9 of 9 failed: r0; r1; r2; r3; r4 and 4 more"


def test_a_rule_that_warns_lets_the_rows_through(judged: Judged, project: Project) -> None:
    assert judged("def f(rows):\n  return False", ", on_violation: warn").verdict == "warn"
    assert len(project.rows("staging/orders")) == 3


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("raise ValueError('no')", "suite:f raised ValueError: no at "),
        ("return 7", "suite:f returned int: true or false"),
        ("import sys; sys.exit()", "suite:f raised SystemExit at "),
        ("return {'a': rows['nothing'].mean() > 1}", "suite:f raised KeyError: 'nothing' at "),
        ("yield True\n  raise ValueError('late')", "suite:f raised ValueError: late at "),
    ],
)
def test_a_function_that_breaks_fails_the_rule(
    judged: Judged, project: Project, code: str, detail: str
) -> None:
    finding = judged(f"def f(rows):\n  {code}")
    assert finding.verdict == "fail"
    assert (finding.detail or "").startswith(detail)
    assert project.rows("staging/orders") == []


def test_a_rule_gets_the_columns_of_the_asset_and_no_others(judged: Judged) -> None:
    code = "def f(rows):\n  return {str((list(rows.columns), type(rows).__name__)): False}"
    assert judged(code).detail == "1 of 1 failed: (['id'], 'DataFrame')"


def test_a_rule_may_take_arrow(judged: Judged) -> None:
    code = "import pyarrow as pa\ndef f(rows: pa.Table):\n  return isinstance(rows, pa.Table) and rows['id'].to_pylist() == [0, 1, 2]"
    assert judged(code).verdict == "pass"


@pytest.mark.parametrize("verdict", ["pass", "warn", "fail"])
def test_no_rows_are_judged_by_on_empty(judged: Judged, verdict: Verdict) -> None:
    assert judged("def f(rows): raise ValueError", f", on_empty: {verdict}", rows=0) == Finding(
        0, 0, verdict
    )


def test_each_day_is_judged_by_itself_without_what_is_quarantined(project: Project) -> None:
    folder = project.pipelines / PIPELINE
    folder.mkdir()
    (folder / "suite.py").write_text(
        "def f(rows, partition):\n  return {partition.key: list(rows['id']) == [partition.start.day]}"
    )
    quality = "    quality:\n      - range: {column: id, min: 0, on_violation: quarantine}\n      - python: {function: 'suite:f', name: suite}\n"
    project.declare(f"staging:\n  orders:\n    from: raw.orders\n{quality}", daily=True)
    project.land_all("raw/orders", {DAY: [{"id": 1}, {"id": -1}], NEXT_DAY: [{"id": 3}]})
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    assert outcome(passage, "suite").findings == {
        DAY: Finding(1, 0, "pass"),
        NEXT_DAY: Finding(1, 0, "fail", f"1 of 1 failed: {NEXT_DAY}"),
    }
    assert passage.failed == {NEXT_DAY: f"suite: 1 of 1 failed: {NEXT_DAY}"}
