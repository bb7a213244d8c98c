"""Rules of assets whose partitions aren't days: what they compare with, and what they read."""

from collections.abc import Mapping

import pytest
from factories import Project

REGIONS = "by: {region: {values: [eu, us]}}"
HEAD = """
sources:
  sold: {{type: python, function: feeds:fetch, partitions: {{{sold}}}, columns: {columns}}}
  daily: {{type: python, function: feeds:fetch, partitions: {{every: day, start: 2024-01-01}},
          columns: {columns}}}
staging:
  sold:
    from: raw.sold
    on_violation: fail
    quality:
      - {rule}
"""
COLUMNS = "{n: {type: bigint}, at: {type: timestamp}}"


def declare(project: Project, partitions: str, rule: str) -> None:
    project.declare(HEAD.format(sold=partitions, rule=rule, columns=COLUMNS))
    (project.pipelines / "shop" / "feeds.py").write_text("def fetch(partition): ...\n")


def failed(project: Project, rows: Mapping[str, str]) -> list[str]:
    project.land_all("raw/sold", rows)
    return list(project.compute("staging/sold", *rows).failed)


def counted(count: int) -> str:
    return f"SELECT i AS n, TIMESTAMP '2024-01-01' AS at FROM range({count}) t(i)"


def test_drift_of_a_region_is_against_earlier_days_of_the_region(project: Project) -> None:
    rule = "drift: {metric: row_count, max_change_percentage: 20}"
    declare(project, f"every: day, start: 2024-01-01, {REGIONS}", rule)
    days = [f"2024-01-{day:02}" for day in range(1, 7)]
    usual = {f"{day}|eu": counted(10) for day in days} | {f"{day}|us": counted(50) for day in days}
    assert failed(project, usual) == []
    assert failed(project, {"2024-01-07|eu": counted(50), "2024-01-07|us": counted(50)}) == [
        "2024-01-07|eu"
    ]


def test_drift_of_a_value_is_against_what_was_published_of_it(project: Project) -> None:
    declare(project, REGIONS, "drift: {metric: row_count, max_change_percentage: 20}")
    for count in (10, 11, 10, 9, 10):
        assert failed(project, {"eu": counted(count), "us": counted(5 * count)}) == []
    assert failed(project, {"eu": counted(50), "us": counted(50)}) == ["eu"]


@pytest.mark.parametrize(
    ("partitions", "key", "fails"),
    [
        ("every: month, start: 2024-01-01", "2024-01-01", True),
        ("every: hour, start: 2024-01-01", "2024-01-01-00:00", False),
        (f"every: day, start: 2024-01-01, {REGIONS}", "2024-01-01|eu", False),
        (REGIONS, "eu", True),
        ("dynamic: customers", "any", True),
    ],
)
def test_freshness_is_told_at_the_end_of_a_time_or_now(
    project: Project, partitions: str, key: str, *, fails: bool
) -> None:
    declare(project, partitions, "freshness: {column: at, max_age: 2d}")
    assert bool(failed(project, {key: counted(1)})) == fails


def test_sql_may_ask_for_the_value_of_a_dimension(project: Project) -> None:
    sql = "SELECT COUNT(*) FROM {table} WHERE :region = 'us' AND :partition_key LIKE '%|us'"
    rule = f'sql: {{sql: "{sql}", expected_result: 0}}'
    declare(project, f"every: day, start: 2024-01-01, {REGIONS}", rule)
    rows = {"2024-01-01|eu": counted(1), "2024-01-01|us": counted(1), "2024-01-02|eu": counted(1)}
    assert failed(project, rows) == ["2024-01-01|us"]
    assert failed(project, {"2024-01-03|us": counted(2)}) == ["2024-01-03|us"]


@pytest.mark.parametrize(
    ("partitions", "right", "wrong"),
    [
        ("every: week, start: 2024-01-01", ("2024-01-01", 7), ("2024-01-08", 8)),
        ("every: hour, start: 2024-01-01", ("2024-01-01-05:00", 1), ("2024-01-01-06:00", 2)),
        (f"every: day, start: 2024-01-01, {REGIONS}", ("2024-01-01|eu", 1), ("2024-01-01|us", 2)),
    ],
    ids=["week", "hour", "region"],
)
@pytest.mark.parametrize(
    "rule",
    [
        "reconcile: {with: raw.daily, expression: count(*)}",
        'sql: {sql: "SELECT (SELECT sum(1) FROM {table}) - (SELECT sum(1) FROM raw.daily)"}',
    ],
    ids=["reconcile", "sql"],
)
def test_a_rule_compares_with_what_belongs_to_the_partition(
    project: Project, rule: str, partitions: str, right: tuple[str, int], wrong: tuple[str, int]
) -> None:
    declare(project, partitions, rule)
    days = [f"2024-01-{day:02}" for day in range(1, 15)]
    project.land_all("raw/daily", dict.fromkeys(days, counted(1)))
    rows = {key: counted(count) for key, count in (right, wrong)}
    assert failed(project, rows) == [wrong[0]]


def test_a_key_may_be_unique_in_all_regions(project: Project) -> None:
    declare(project, REGIONS, "unique: {columns: [n], scope: asset}")
    assert failed(project, {"eu": counted(3)}) == []
    assert failed(project, {"us": counted(1)}) == ["us"]
