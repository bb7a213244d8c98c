# ruff: noqa: E501 -- cases stand in tables, one a line
"""Rules that compare a value: SQL, patterns, ages, drift and scores, against the language's words."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest
from factories import DAY, DAYS, NEXT_DAY, Project, key_of, outcome, verdict

from data_platform.plan.checks.comparisons import Incomparable, compares
from data_platform.plan.checks.value_kinds import SqlCheck
from data_platform.plan.lineage.assets import Lineage
from data_platform.quality.figures import KEPT
from data_platform.quality.gate import Passage

NAIVE = datetime.combine(date(2024, 1, 2), time())
EMPTY = "SELECT 1 AS v, 'a' AS s WHERE FALSE"
PRELUDE = "staging:\n  orders:\n    from: raw.orders\n"


def audit(project: Project, rows: str, *rules: str, more: str = "") -> Passage:
    """What comes of rules over rows of an unpartitioned asset."""
    project.land("raw/orders", rows)
    project.declare(PRELUDE + more + quality(*rules))
    return project.compute("staging/orders")


def audit_days(project: Project, rows: dict[str, str], *rules: str, more: str = "") -> Passage:
    """The same over days, which are run at once."""
    project.land_all("raw/orders", rows)
    project.declare(PRELUDE + more + quality(*rules), daily=True)
    return project.compute("staging/orders", *rows)


def quality(*rules: str) -> str:
    return "    quality:\n" + "".join(f"      - {rule}\n" for rule in rules)


def details(passage: Passage, name: str) -> dict[str, str | None]:
    return {key: found.detail for key, found in outcome(passage, name).findings.items()}


@pytest.mark.parametrize(
    ("value", "operator", "expected", "holds"),
    [
        (0, "=", [0], True),
        (1, ">", [0], True),
        (0, ">", [0], False),
        (0, ">=", [0], True),
        (-1, "<", [0], True),
        (0, "<=", [0], True),
        (0, "!=", [0], False),
        (2, "between", [2, 3], True),
        (3, "between", [2, 3], True),
        (4, "between", [2, 3], False),
        (2, "in", [1, 2], True),
        (3, "in", [1, 2], False),
        (Decimal("0.10"), "=", [0.1], True),
        (Decimal("12345678901234567.89"), "=", ["12345678901234567.89"], True),
        (Decimal("12345678901234567.88"), "=", ["12345678901234567.89"], False),
        (0.5, "=", [Decimal("0.5")], True),
        (float("nan"), "=", [float("nan")], True),
        (float("nan"), ">", [0], False),
        (float("nan"), "<", [0], False),
        (float("inf"), ">", [0], True),
        (None, "=", [None], True),
        (None, "=", [0], False),
        (None, "!=", [0], True),
        (None, ">", [0], False),
        (0, "=", [None], False),
        (None, "in", [1, None], True),
        (True, "=", [True], True),
        (False, "=", [True], False),
        ("a", "=", ["a"], True),
        ("10", "=", [10], True),
        ("true", "=", [True], True),
        ("b", ">", ["a"], True),
        (date(2024, 1, 2), "=", ["2024-01-02"], True),
        (date(2024, 1, 2), ">", ["2024-01-01T23:59:59"], True),
        (NAIVE, ">=", ["2024-01-02"], True),
        (datetime(2024, 1, 2, tzinfo=UTC), "=", ["2024-01-02T01:00:00+01:00"], True),
        (time(9), "<", ["10:00:00"], True),
    ],
)  # fmt: skip
def test_a_value_compares_as_it_is_meant(
    value: object, operator: str, expected: list[object], holds: bool
) -> None:
    assert compares(value, operator, expected) is holds  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "operator", "expected", "message"),
    [
        (5, "=", ["many"], "gives a number, which can't be compared with 'many'"),
        (5, "=", [True], "gives a number, which can't be compared with true"),
        (True, "=", [0], "gives true or false, which can't be compared with 0"),
        ("10", ">", [9], "text comes before or after text alone: quote 9"),
        (date(2024, 1, 2), "=", [20240102], "gives a date or time"),
        (date(2024, 1, 2), "=", ["yesterday"], "can't be compared with 'yesterday'"),
        (NAIVE, "=", ["2024-01-02T00:00:00+00:00"], "a time without a zone"),
        ([1], "=", [1], "type list can't be compared: cast it"),
        (9, "between", [1, "many"], "with 'many'"),
    ],
)  # fmt: skip
def test_kinds_that_do_not_go_together_are_told(
    value: object, operator: str, expected: list[object], message: str
) -> None:
    with pytest.raises(Incomparable, match=message):
        compares(value, operator, expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "rule", "expected"),
    [
        # The trap: a row count "> 0" that honoured nothing but equality.
        ("SELECT 1 AS v", '{sql: "SELECT count(*) FROM {table}", expected_result: 0, operator: ">"}', "pass"),
        (EMPTY, '{sql: "SELECT count(*) FROM {table}", expected_result: 0, operator: ">"}', "fail"),
        ("SELECT 1 AS v", '"SELECT count(*) FROM {table} WHERE v < 0"', "pass"),
        ("SELECT -1 AS v", '"SELECT count(*) FROM {table} WHERE v < 0"', "fail"),
        (EMPTY, '{sql: "SELECT count(*) FROM {table}", on_empty: fail}', "pass"),
        (EMPTY, '{sql: "SELECT max(v) FROM {table}", expected_result: null}', "pass"),
        ("SELECT 1 AS v", '{sql: "SELECT max(v) FROM {table}", expected_result: null}', "fail"),
        ("SELECT 1.50::DECIMAL(9,2) AS v", '{sql: "SELECT sum(v) FROM {table}", expected_result: 1.5}', "pass"),
        ("SELECT DATE '2024-01-02' AS v", '{sql: "SELECT max(v) FROM {table}", expected_result: 2024-01-02}', "pass"),
        ("SELECT 'x' AS v", '{sql: "SELECT min(v) FROM {table}", expected_result: [x, y], operator: in}', "pass"),
        ("SELECT 1 AS v", '{sql: "SELECT v FROM {table} t WHERE t.v = 1", expected_result: [1, 1], operator: between}', "pass"),
        ("SELECT 1 AS v", "{sql: \"SELECT '{table}' FROM {table}\", expected_result: '{table}'}", "pass"),
        ("SELECT 1 AS v FROM range(2)", '{sql: "SELECT count(*) FROM (SELECT DISTINCT * FROM {table})", expected_result: 1}', "pass"),
        ("SELECT 1 AS v", '{sql: "SELECT v FROM {table}", expected_result: 1, on_violation: warn, operator: "!="}', "warn"),
    ],
)  # fmt: skip
def test_sql_gives_one_value(project: Project, rows: str, rule: str, expected: str) -> None:
    passage = audit(project, rows, f"sql: {rule}")
    assert verdict(passage, "sql") == expected
    assert bool(passage.failed) == (expected == "fail")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT v FROM {table}", "the SQL gives 2 rows: a rule gives one value"),
        ("SELECT v FROM {table} WHERE v > 9", "the SQL gives 0 rows"),
        ("SELECT 'x' FROM {table} LIMIT 1", "which can't be compared|text"),
        ("SELECT max(CAST(s AS INTEGER)) FROM {table}", "the SQL fails: Conversion Error"),
    ],
)
def test_sql_that_gives_no_one_value_breaks_its_check_alone(
    project: Project, sql: str, message: str
) -> None:
    rows = "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t(v, s)"
    rule = f'sql: {{sql: "{sql}", operator: "<", on_violation: warn}}'
    passage = audit(project, rows, rule, "not_null: v")
    told = details(passage, "sql")[""] or ""
    assert (verdict(passage, "sql"), verdict(passage, "not_null_v")) == ("warn", "pass")
    assert any(part in told for part in message.split("|")), told


RANGE = {day: f"SELECT i AS v FROM range({number}) t(i)" for number, day in enumerate(DAYS[:4])}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM {table}",
        "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM {table})",
        "WITH one AS (SELECT * FROM {table}) SELECT count(*) FROM one",
        "SELECT count(*) FROM {table} WHERE :partition_key < '2025'",
        "SELECT count(*) FROM {table} WHERE :partition_start < :partition_end",
    ],
)
def test_sql_judges_each_partition_by_itself(project: Project, sql: str) -> None:
    rule = f'sql: {{sql: "{sql}", expected_result: 2, operator: "<"}}'
    passage = audit_days(project, RANGE, rule)
    found = [one.found for one in outcome(passage, "sql").findings.values()]
    assert found == ["0", "1", "2", "3"]
    assert list(passage.failed) == DAYS[2:4]


def test_sql_reads_other_assets_as_analytics_would(project: Project) -> None:
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 2 AS v"})
    project.land_all("staging/shops", {DAY: "SELECT 1 AS id", NEXT_DAY: "SELECT 9 AS id"})
    project.land("raw/lands", "SELECT 7 AS land")
    project.declare(
        "sources:\n"
        "  orders: {type: database, connection: shop, table: orders, cursor: at}\n"
        "  shops: {type: database, connection: shop, table: shops, cursor: at}\n"
        "  lands: {type: file, path: lands.csv, partitions: none}\n"
        "staging:\n  shops:\n    from: raw.shops\n"
        "  orders:\n    from: raw.orders\n"
        + quality(
            '{sql: {name: same, sql: "SELECT count(*) FROM {table} o JOIN staging.shops s ON o.v = s.id", expected_result: 1}}',
            '{sql: {name: whole, sql: "SELECT max(l.land) FROM {table} o JOIN raw.lands l ON o.v < l.land", expected_result: 7}}',
        ),
        daily=True,
    )
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    assert details(passage, "same") == {DAY: None, NEXT_DAY: "0, wanted = 1"}
    assert verdict(passage, "whole") == "pass"


def test_sql_sees_what_would_be_published(project: Project) -> None:
    passage = audit(
        project,
        "SELECT * FROM (VALUES (1), (-1)) t(v)",
        "range: {column: v, min: 0}",
        'sql: {sql: "SELECT count(*) FROM {table}", expected_result: 1}',
        more="    on_violation: quarantine\n",
    )
    assert verdict(passage, "sql") == "pass"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ('{sql: "SELECT 1 FROM {table}", operator: }', "the operator is empty: put it in quotes"),
        ("{sql: \"SELECT 1 FROM {table}\", operator: ''}", "the operator is empty: put it in quotes"),
        ('{sql: "SELECT 1 FROM {table}", operator: "=="}', '\'==\' is no operator: did you mean "="?'),
        ('{sql: "SELECT 1 FROM {table}", operator: "> 0"}', 'write operator: ">" and expected_result: 0'),
        ('{sql: "SELECT 1 FROM {table}", operator: betwen}', "did you mean 'between'"),
        ('{sql: "SELECT 1 FROM {table}", operator: 5}', "5 is no operator"),
        ('{sql: "SELECT 1 FROM {table}", operator: between}', "between takes a list of two"),
        ('{sql: "SELECT 1 FROM {table}", operator: between, expected_result: [1]}', "between takes a list of two"),
        ('{sql: "SELECT 1 FROM {table}", operator: in, expected_result: []}', "in takes a list"),
        ('{sql: "SELECT 1 FROM {table}", expected_result: [1, 2]}', "a list is for between and in"),
        ('{sql: "SELECT 1 FROM {table}", operator: ">", expected_result: null}', "NULL is none"),
        ('{sql: "SELECT 1 FROM {table}", expected_result: {a: 1}}', "or a list of them"),
    ],
)  # fmt: skip
def test_what_a_sql_rule_cannot_say_is_told_at_load(
    project: Project, rule: str, message: str
) -> None:
    project.declare(PRELUDE + quality(f"sql: {rule}"))
    (problem,) = project.workspace().problems
    assert message in problem.message


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT count(*) FROM read_text('/etc/passwd')", "READ_TEXT('/etc/passwd')"),
        ("SELECT count(*) FROM somewhere", "somewhere"),
        ("SELECT getenv('HOME') FROM {table}", "getenv"),
        ("SELECT count(*) FROM {tabel}", "{tabel} has no meaning here: {table} is"),
        ("SELECT count(*) FROM staging.nothing", "nothing"),
        ("SELECT cuont(*) FROM {table}", "cuont"),
        ("SELECT w FROM {table}", "w"),
        ("SELECT v, v + 1 FROM {table}", "a rule gives one value, this SQL gives 2 columns"),
        ("SELECT 'x' = 'y' FROM {table}", "gives true or false, which can't be compared with 0"),
        ("SELECT :partition_key FROM {table}", ":partition_key has no value"),
        ("DELETE FROM {table}", "DELETE"),
        ("SELECT 1; SELECT 2", "found 2"),
    ],
)
def test_sql_is_held_to_the_allow_list_and_to_what_is_known(
    project: Project, sql: str, message: str
) -> None:
    project.know(orders={"v": "INTEGER"})
    project.declare(PRELUDE + quality(f'sql: "{sql}"'))
    (problem,) = project.problems()
    assert problem.startswith("shop/pipeline.yaml:10:")
    assert message in problem


@pytest.mark.parametrize(
    ("rows", "pattern", "expected"),
    [
        ("SELECT 'ab' AS v", "a.", "pass"),
        ("SELECT 'abc' AS v", "a.", "fail"),
        ("SELECT 'xab' AS v", "a.", "fail"),
        ("SELECT NULL::TEXT AS v", "a.", "pass"),
        ("SELECT '' AS v", "a*", "pass"),
        ("SELECT 'größe' AS v", "gr..e", "pass"),
        ("SELECT 'b' AS v", "a|b", "pass"),
        ("SELECT 'a' || chr(10) || 'b' AS v", "a.b", "fail"),
        (EMPTY, "x", "pass"),
    ],
)
def test_a_pattern_is_about_the_whole_value(
    project: Project, rows: str, pattern: str, expected: str
) -> None:
    passage = audit(project, rows, f"matches: {{column: v, pattern: '{pattern}'}}")
    assert verdict(passage, "matches_v") == expected


BY_CONTRACT = "    columns:\n      v: {matches: '%s'}\n"
BY_RULE = "    quality:\n      - matches: {column: v, pattern: '%s'}\n"


@pytest.mark.parametrize("written", [BY_CONTRACT, BY_RULE])
@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "a{1001}", "(", "[b-a]"])
def test_a_pattern_that_re2_cannot_read_is_told_at_load(
    project: Project, pattern: str, written: str
) -> None:
    project.declare(PRELUDE + written % pattern)
    (problem,) = project.problems()
    assert problem.startswith("shop/pipeline.yaml:10:")
    assert f"RE2 can't read the pattern {pattern!r}" in problem


def test_a_pattern_is_for_text(project: Project) -> None:
    project.know(orders={"v": "BIGINT"})
    project.declare(PRELUDE + quality("matches: {column: v, pattern: a}"))
    assert "v is BIGINT, and a pattern is about text" in project.problems()[0]


def test_the_contract_says_patterns_in_short(project: Project) -> None:
    more = "    on_violation: quarantine\n    columns:\n      v: {matches: '[a-z]+'}\n"
    project.land("raw/orders", "SELECT * FROM (VALUES ('ab'), ('A1'), (NULL)) t(v)")
    project.declare(PRELUDE + more)
    passage = project.compute("staging/orders")
    assert outcome(passage, "matches_v").offending == 1
    assert project.rows("quarantine/orders")[0]["_reasons"] == ["matches_v"]


@pytest.mark.parametrize(
    ("column", "age", "expected"),
    [
        ("TIMESTAMP '2024-01-01 12:00:00'", "12h", "pass"),
        ("TIMESTAMP '2024-01-01 12:00:00'", "11h", "fail"),
        ("TIMESTAMPTZ '2024-01-01 12:00:00+00'", "12h", "pass"),
        ("TIMESTAMPTZ '2024-01-01 11:59:59+00'", "12h", "fail"),
        ("DATE '2024-01-01'", "24h", "pass"),
        ("DATE '2024-01-01'", "23h", "fail"),
        ("TIMESTAMP '2030-01-01'", "1s", "pass"),
        ("NULL::TIMESTAMP", "9999d", "fail"),
        ("TIMESTAMP 'infinity'", "9999d", "fail"),
        ("'2024-01-01'", "9999d", "fail"),
    ],
)
def test_freshness_looks_from_the_end_of_a_partition(
    project: Project, column: str, age: str, expected: str
) -> None:
    rows = {DAY: f"SELECT {column} AS v UNION ALL SELECT NULL"}
    passage = audit_days(project, rows, f"freshness: {{column: v, max_age: {age}}}")
    assert verdict(passage, "freshness_v") == expected


def test_freshness_of_what_has_no_partitions_looks_from_now(project: Project) -> None:
    rows = "SELECT now() - INTERVAL 90 MINUTE AS v"
    passage = audit(
        project,
        rows,
        "freshness: {name: near, column: v, max_age: 2h}",
        "freshness: {name: far, column: v, max_age: 1h}",
    )
    assert (verdict(passage, "near"), verdict(passage, "far")) == ("pass", "fail")
    assert details(passage, "far")[""] == "the newest v is 1 h 30 min old, at most 1h is allowed"


def test_freshness_of_nothing_is_what_on_empty_says(project: Project) -> None:
    rows = "SELECT now() AS v WHERE FALSE"
    passage = audit(
        project,
        rows,
        "freshness: {name: left_out, column: v, max_age: 2h}",
        "freshness: {name: asked, column: v, max_age: 2h, on_empty: warn}",
    )
    assert (verdict(passage, "left_out"), verdict(passage, "asked")) == ("pass", "warn")


def counts(*numbers: int) -> dict[str, str]:
    """Days with so many rows."""
    days = zip(DAYS, numbers, strict=False)
    return {day: f"SELECT i AS v, i % 3 AS w FROM range({n}) t(i)" for day, n in days}


@pytest.mark.parametrize(
    ("numbers", "rule", "failed"),
    [
        ((10, 10, 10, 10, 99), "max_change_percentage: 10", []),
        ((10, 10, 10, 10, 10, 11), "max_change_percentage: 10", []),
        ((10, 10, 10, 10, 10, 12), "max_change_percentage: 10", [5]),
        ((10, 10, 10, 10, 10, 8), "max_change_percentage: 10", [5]),
        ((10, 10, 10, 10, 10, 10), "max_z_score: 1", []),
        ((10, 10, 10, 10, 10, 11), "max_z_score: 100", [5]),
        ((8, 9, 10, 11, 12, 13), "max_z_score: 2", []),
        ((8, 9, 10, 11, 12, 14), "max_z_score: 2", [5]),
        ((0, 0, 0, 0, 0, 0), "max_change_percentage: 10", []),
        ((0, 0, 0, 0, 0, 1), "max_change_percentage: 10", [5]),
        # Those that fail are none that the next are compared with.
        ((10, 10, 10, 10, 10, 99, 10, 99), "max_change_percentage: 10", [5, 7]),
        # Only the last five count.
        ((1, 10, 10, 10, 10, 10, 14), "max_change_percentage: 50, against: 5", []),
    ],
)  # fmt: skip
def test_drift_compares_with_the_partitions_before(
    project: Project, numbers: tuple[int, ...], rule: str, failed: list[int]
) -> None:
    passage = audit_days(project, counts(*numbers), f"drift: {{metric: row_count, {rule}}}")
    assert list(passage.failed) == [DAYS[number] for number in failed]


@pytest.mark.parametrize(
    ("metric", "values", "failed"),
    [
        ("mean", ("1", "2.5"), True),
        ("mean", ("1", "1"), False),
        ("mean", ("1", "'nan'::DOUBLE"), True),
        ("mean", ("1", "NULL::INT"), True),
        ("stddev", ("i", "9 * i"), True),
        ("stddev", ("i", "i + 100"), False),
        ("null_percentage", ("nullif(i, 0)", "NULL::INT"), True),
        ("null_percentage", ("nullif(i, 0)", "nullif(i, 1)"), False),
        ("distinct", ("i", "i % 1"), True),
        ("distinct", ("i", "i + 7"), False),
    ],
)
def test_drift_of_a_column(
    project: Project, metric: str, values: tuple[str, str], failed: bool
) -> None:
    *usual, last = DAYS[:6]
    days = {
        day: f"SELECT CAST({values[day == last]} AS DOUBLE) AS v FROM range(4) t(i)"
        for day in [*usual, last]
    }
    rule = f"drift: {{metric: {metric}, column: v, max_change_percentage: 50}}"
    passage = audit_days(project, days, rule)
    assert bool(passage.failed) == failed


def test_a_later_run_compares_with_what_was_kept_and_reads_no_rows(project: Project) -> None:
    first = counts(10, 10, 10, 10, 10)
    rule = "drift: {metric: mean, column: v, max_change_percentage: 10}"
    audit_days(project, first, rule)
    (commit,) = [c for c in project.table("staging/orders").history() if KEPT in c]
    assert str(commit[KEPT]).count("4.5") == 5
    snapshot = project.table("staging/orders").snapshot()
    assert snapshot
    for version in snapshot.partitions.values():
        for file in version.files:
            Path(file.path).unlink()
    project.land("raw/orders", "SELECT 99::BIGINT AS v, 0::BIGINT AS w", DAYS[5])
    passage = project.compute("staging/orders", DAYS[5])
    assert details(passage, "drift_mean_v")[DAYS[5]] == (
        "99, and 4.5 on average of 5 before: 2.1e+03 % off, at most 10 % is allowed"
    )


def test_what_was_published_before_the_rule_is_measured_from_its_rows(project: Project) -> None:
    audit_days(project, counts(10, 10, 10, 10, 10), "not_null: v")
    project.declare(
        PRELUDE + quality("drift: {metric: mean, column: v, max_change_percentage: 10}"), daily=True
    )
    project.land("raw/orders", "SELECT i AS v, i % 3 AS w FROM range(10) t(i)", DAYS[5])
    assert not project.compute("staging/orders", DAYS[5]).failed
    newest = next(project.table("staging/orders").history())
    assert str(newest[KEPT]).count("4.5") == 6


def test_a_partition_that_is_run_again_is_compared_with_those_before_it(project: Project) -> None:
    rule = "drift: {metric: row_count, max_change_percentage: 10}"
    audit_days(project, counts(10, 10, 10, 10, 10, 10, 10), rule)
    project.land("raw/orders", "SELECT 1::BIGINT AS v, 0::BIGINT AS w", DAYS[5])
    passage = project.compute("staging/orders", *DAYS[5:7])
    assert list(passage.failed) == [DAYS[5]]
    assert outcome(passage, "drift_row_count").findings[DAYS[6]].verdict == "pass"


def test_drift_of_an_unpartitioned_asset_looks_at_its_earlier_versions(project: Project) -> None:
    rule = "drift: {metric: row_count, max_change_percentage: 20}"
    for number in (10, 10, 11, 10, 9, 10):
        rows = f"SELECT i + {number * 100} AS v FROM range({number}) t(i)"
        assert not audit(project, rows, rule).failed
    passage = audit(project, "SELECT i AS v FROM range(20) t(i)", rule)
    assert (details(passage, "drift_row_count")[""] or "").startswith("20, and 10 on average of ")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{metric: mean, column: s, max_z_score: 3}", "s is VARCHAR, and numbers are needed"),
        ("{metric: mean, column: x, max_z_score: 3}", "no column 'x' in this asset"),
        ("{metric: mean, max_z_score: 3}", "a drift of mean needs a column"),
        ("{metric: row_count, column: v, max_z_score: 3}", "a drift of it has no column"),
        ("{metric: median, column: v, max_z_score: 3}", "'median'"),
        ("{metric: mean, column: v}", "either max_change_percentage or max_z_score"),
        ("{metric: mean, column: v, max_z_score: 3, max_change_percentage: 3}", "either max"),
        ("{metric: mean, column: v, max_z_score: 3, against: 4}", "5"),
    ],
)
def test_what_a_drift_cannot_say_is_told_at_load(project: Project, rule: str, message: str) -> None:
    project.know(orders={"v": "INTEGER", "s": "VARCHAR"})
    project.declare(PRELUDE + quality(f"drift: {rule}"))
    problems = [str(problem) for problem in project.workspace().problems] or project.problems()
    assert message in problems[0]


SCORED = "SELECT CASE WHEN i >= 2 THEN i END AS v, i AS w FROM range(20) t(i)"
"""Of twenty rows two have no v."""


@pytest.mark.parametrize(
    ("rules", "least", "expected"),
    [
        ("[v]", 0.9, "pass"),
        ("[v]", 0.91, "fail"),
        ("[v, w]", 0.95, "pass"),
        ("[v, w]", 0.96, "fail"),
    ],
)
def test_a_score_is_of_pairs_of_a_row_and_a_rule(
    project: Project, rules: str, least: float, expected: str
) -> None:
    passage = audit(
        project,
        SCORED,
        "not_null: {columns: v, name: v, on_violation: quarantine}",
        "range: {column: w, min: 0, name: w}",
        f"score: {{rules: {rules}, min_score: {least}}}",
    )
    assert verdict(passage, "score") == expected
    assert verdict(passage, "v") == "quarantine"


def test_a_score_of_nothing_is_what_on_empty_says(project: Project) -> None:
    rule = "score: {rules: [not_null_v], on_empty: warn}"
    assert verdict(audit(project, EMPTY, "not_null: v", rule), "score") == "warn"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("[not_null_w]", "there is no rule 'not_null_w'; did you mean 'not_null_v'?"),
        ("[unique_v]", "unique_v judges the whole set; a score counts row-level rules"),
        ("[score]", "score judges the whole set"),
        ("[not_null_v, not_null_v]", "a score counts 'not_null_v' once"),
    ],
)
def test_a_score_counts_row_level_rules_of_its_asset(
    project: Project, rules: str, message: str
) -> None:
    project.declare(PRELUDE + quality("not_null: v", "unique: v", f"score: {{rules: {rules}}}"))
    (problem,) = project.problems()
    assert message in problem


def test_set_rules_judge_an_asset_whose_rows_are_all_held_back_as_empty(project: Project) -> None:
    passage = audit(
        project,
        "SELECT -1 AS v",
        "range: {column: v, min: 0}",
        "unique: {columns: v, on_empty: warn}",
        more="    on_violation: quarantine\n",
    )
    assert verdict(passage, "unique_v") == "warn"


def test_a_raw_asset_has_rules_of_all_kinds_over_a_range(project: Project) -> None:
    for number, day in enumerate(DAYS[:3]):
        (project.folder / f"{day}.csv").write_text(f"v\n{number}\n")
    rules = quality(
        "range: {column: v, max: 1, on_violation: warn}",
        "unique: v",
        'sql: {sql: "SELECT max(v) FROM {table}", expected_result: 2, operator: "<"}',
        "score: {rules: [range_v], min_score: 1, on_violation: warn}",
        "drift: {metric: row_count, max_change_percentage: 1}",
    )
    project.declare(
        "sources:\n  orders:\n    type: file\n    path: '{partition_key}.csv'\n" + rules,
        daily=True,
    )
    passage = project.land_source("orders", *DAYS[:3])
    assert passage.failed == {DAYS[2]: "sql: 2, wanted < 2"}
    assert [verdict(passage, name) for name in ("range_v", "unique_v", "score", "drift_row_count")] == [
        "warn", "pass", "warn", "pass",
    ]  # fmt: skip


@pytest.mark.parametrize("operator", [">", ">=", "!=", ">= "])
def test_an_operator_without_quotes_is_told_as_yaml_reads_it(
    project: Project, operator: str
) -> None:
    rule = f"sql:\n          sql: SELECT 1 FROM {{table}}\n          operator: {operator}"
    project.declare(PRELUDE + quality(rule))
    first = project.workspace().problems[0]
    assert "in quotes" in first.message
    assert first.location.line == 12


def test_lineage_knows_what_a_rule_in_sql_reads(project: Project) -> None:
    project.know(orders={"v": "INTEGER", "w": "INTEGER"}, shops={"id": "INTEGER", "n": "INTEGER"})
    project.declare(
        "sources:\n  orders: {type: file, path: a.csv, partitions: none}\n"
        "  shops: {type: file, path: b.csv, partitions: none}\n"
        + PRELUDE
        + quality(
            "sql: SELECT count(*) FROM {table} t LEFT JOIN raw.shops s ON t.v = s.id WHERE s.id IS NULL",
            "drift: {metric: mean, column: w, max_z_score: 3}",
        )
    )
    read = Lineage(project.build().plan).of(key_of("staging/orders")).checks
    told = {
        name: {f"{one.asset}.{one.column}" for one in origins} for name, origins in read.items()
    }
    assert told["sql"] == {"staging/shop/orders.v", "raw/shop/shops.id"}
    assert told["drift_mean_w"] == {"staging/shop/orders.w"}


def test_a_total_is_one_statement_over_a_range_whatever_it_leaves_out(project: Project) -> None:
    rule = (
        'sql: {sql: "SELECT count(*) FROM {table} WHERE v > 0", expected_result: 2, operator: "<"}'
    )
    passage = audit_days(project, RANGE, rule)
    found = outcome(passage, "sql")
    assert [one.found for one in found.findings.values()] == ["0", "0", "1", "2"]
    assert isinstance(found.check, SqlCheck)
    assert found.check.range_sql
    assert "GROUP BY" in found.check.range_sql


def test_a_run_may_say_by_which_score_and_change_rules_judge(project: Project) -> None:
    parameters = (
        "    parameters:\n      least: {type: float, default: 0.9}\n"
        "      most: {type: int, default: 10}\n      day: {type: str, default: x}\n"
    )
    project.land("raw/orders", SCORED)
    project.declare(
        PRELUDE
        + parameters
        + quality(
            "not_null: {columns: v, on_violation: warn}",
            "score: {rules: [not_null_v], min_score: ':least'}",
            "drift: {metric: row_count, max_change_percentage: ':most'}",
            "sql: {sql: 'SELECT :day', expected_result: x}",
        )
    )
    assert not project.compute("staging/orders").failed
    project.workbench = replace(project.workbench, given={"least": 0.95, "day": "y"})
    failed = project.compute("staging/orders").failed[""]
    assert "score: 0.9: 2 of 20 pairs are wrong, wanted >= 0.95" in failed
    assert "sql: y, wanted = 'x'" in failed
