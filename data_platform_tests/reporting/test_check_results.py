"""What Dagster records of a check: counts, threshold, value, worst partitions, masked examples."""

from typing import Any

import dagster as dg
import pytest
from dagster_steps import failure_of, run_assets
from factories import DAY, DAYS, Project, outcome

from data_platform.plan.nodes import LakeNode
from data_platform.reporting.check_results import check_result


def told(project: Project, name: str, rules: str, days: dict[str, str], head: str = "") -> Any:
    """The metadata of a check over days, as plain values."""
    project.land_all("raw/orders", days)
    project.declare(
        f"staging:\n  orders:\n    from: raw.orders\n{head}    quality:\n{rules}", daily=True
    )
    passage = project.compute("staging/orders", *days)
    node = project.node("staging/orders")
    assert isinstance(node, LakeNode)
    result = check_result(node, outcome(passage, name), passage.failed, {})
    return {
        key: [dict(record.data) for record in value.records]
        if isinstance(value, dg.TableMetadataValue)
        else value.value
        for key, value in result.metadata.items()
    }


def rows(values: str) -> str:
    return f"SELECT * FROM (VALUES {values}) t(v, email)"


TWO = {DAYS[0]: rows("(1, 'a@x'), (-1, 'b@x')"), DAYS[1]: rows("(-2, 'c@x'), (-3, 'd@x')")}


def test_a_row_level_rule_tells_counts_share_threshold_and_worst_partitions(
    project: Project,
) -> None:
    rule = "      - range: {column: v, min: 0, on_violation: warn}\n"
    found = told(project, "range_v", rule, TWO)
    assert (found["rows"], found["offending"], found["percentage"]) == (4, 3, 75.0)
    assert found["threshold"] == "no row"
    assert (found["partitions"], found["partitions_broken"]) == (2, 2)
    assert [(row["partition"], row["offending"]) for row in found["worst"]] == [
        (DAYS[1], 2),
        (DAYS[0], 1),
    ]
    assert [row["v"] for row in found["examples"]] == ["-1", "-2", "-3"]


def test_a_rule_that_holds_tells_its_share_and_threshold_too(project: Project) -> None:
    rule = "      - not_null: {columns: v, max_null_percentage: 5}\n"
    found = told(project, "not_null_v", rule, TWO)
    assert (found["percentage"], found["threshold"]) == (0.0, "at most 5 % of the rows")
    assert "worst" not in found


def test_a_rule_over_a_set_tells_the_value_found_against_the_value_wanted(
    project: Project,
) -> None:
    rule = '      - sql: {sql: "SELECT max(v) FROM {table}", operator: ">", on_violation: warn}\n'
    found = told(project, "sql", rule, TWO)
    assert found["threshold"] == "> 0"
    assert [(row["found"], row["detail"]) for row in found["worst"]] == [("-2", "-2, wanted > 0")]


@pytest.mark.parametrize(
    ("rule", "name", "threshold", "value"),
    [
        ("row_count: {min_rows: 1}", "row_count", "rows >= 1", "2 rows"),
        ('sql: {sql: "SELECT 2", expected_result: [1, 2], operator: in}', "sql", "in 1, 2", "2"),
        (
            "reconcile: {with: raw.orders, expression: sum(v), tolerance: 0.5}",
            "reconcile_orders",
            "a difference of at most 0.5",
            "0 here, 0 in raw/shop/orders",
        ),
        (
            "drift: {metric: mean, column: v, max_z_score: 3}",
            "drift_mean_v",
            "within 3 standard deviations of the mean",
            "0",
        ),
        ("score: {rules: [not_null_v]}", "score", "at least 0.95", "1"),
    ],
)
def test_a_value_that_is_as_it_should_be_is_told(
    project: Project, rule: str, name: str, threshold: str, value: str
) -> None:
    rules = f"      - not_null: v\n      - {rule}\n"
    found = told(project, name, rules, {DAY: TWO[DAYS[0]]})
    assert (found["threshold"], found["found"]) == (threshold, value)


def test_examples_are_five_at_most_and_masked_where_they_tell_of_a_person(
    project: Project,
) -> None:
    many = rows(", ".join(f"(-{number}, 'p{number}@x')" for number in range(1, 10)))
    found = told(
        project,
        "range_v",
        "      - range: {column: v, min: 0, on_violation: warn}\n",
        {DAY: many},
        "    columns:\n      v: {}\n      email: {pii: true}\n",
    )
    assert len(found["examples"]) == 5
    assert {row["email"] for row in found["examples"]} == {"•••"}


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT max(email) FROM {table}", "•••"),
        ("SELECT max(e) FROM (SELECT email AS e FROM {table})", "•••"),
        ("SELECT count(DISTINCT email) FROM {table}", "2"),
        ("SELECT count(*) FROM {table} WHERE email LIKE '%x'", "2"),
        ("SELECT count_if(email IS NULL) FROM {table}", "0"),
    ],
)
def test_a_value_of_a_person_is_masked_and_a_count_of_them_is_not(
    project: Project, sql: str, value: str
) -> None:
    rule = f'      - sql: {{sql: "{sql}", expected_result: x, on_violation: warn}}\n'
    if value != "•••":
        rule = rule.replace("expected_result: x", "expected_result: 9")
    head = "    columns:\n      v: {}\n      email: {pii: true}\n"
    found = told(project, "sql", rule, {DAY: TWO[DAYS[0]]}, head)
    assert found["worst"][0]["found"] == value
    assert "a@x" not in str(found)
    assert "b@x" not in str(found)


def test_a_failing_statement_over_persons_says_nothing_of_them(project: Project) -> None:
    sql = "SELECT max(CAST(email AS INTEGER)) FROM {table}"
    rule = f'      - sql: {{sql: "{sql}", on_violation: warn}}\n'
    head = "    columns:\n      v: {}\n      email: {pii: true}\n"
    found = told(project, "sql", rule, {DAY: TWO[DAYS[0]]}, head)
    assert found["worst"][0]["detail"] == "the SQL fails: •••"


def test_rules_over_values_are_checks_of_dagster(
    project: Project, instance: dg.DagsterInstance
) -> None:
    project.land("raw/orders", TWO[DAYS[0]])
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    quality:\n"
        "      - matches: {column: email, pattern: '.+@x'}\n"
        "      - score: {rules: [matches_email]}\n"
        "      - drift: {metric: row_count, max_z_score: 3}\n"
        '      - sql: {sql: "SELECT count(*) FROM {table}", operator: ">", expected_result: 5}\n'
    )
    result = run_assets(project, instance, "staging/orders")
    found = {each.check_name: each for each in result.get_asset_check_evaluations()}
    assert {name: each.passed for name, each in found.items()} == {
        "conservation": True,
        "matches_email": True,
        "score": True,
        "drift_row_count": True,
        "sql": False,
    }
    metadata = found["sql"].metadata
    assert (metadata["found"].value, metadata["threshold"].value) == ("2", "> 5")
    assert failure_of(result).count("sql: 2, wanted > 5") == 1
