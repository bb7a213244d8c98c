"""How an asset stands, told from facts and a clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from factories import Project

from data_platform.observability.failures import Failure
from data_platform.observability.status import Facts, as_json, status_of
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import StagingNode

NOW = datetime(2024, 1, 5, 7, tzinfo=UTC)
BUILT = NOW - timedelta(hours=3)
BODY = (
    "staging:\n  orders:\n    from: raw.orders\n    freshness: {warn_after: 6h, fail_after: 8h}\n"
)


@pytest.fixture
def daily(project: Project) -> StagingNode:
    """Partitions from 1 January to 31 January, of which four are due."""
    project.declare(BODY, daily=True)
    return project.staging("orders")


@pytest.fixture
def whole(project: Project) -> StagingNode:
    project.declare(BODY)
    return project.staging("orders")


def days(*numbers: int) -> dict[str, int]:
    return {f"2024-01-{number:02}": 10 * number for number in numbers}


def test_published_and_due_partitions_are_counted(daily: StagingNode):
    status = status_of(daily, Facts(rows=days(1, 2, 3), published_at=BUILT), NOW)
    assert (status.newest, status.published, status.due) == ("2024-01-03", 3, 4)
    assert (status.rows, status.age) == (60, timedelta(hours=3))
    assert status.freshness.state == "warn"


def test_a_gap_lowers_the_count_and_not_the_newest(daily: StagingNode):
    status = status_of(daily, Facts(rows=days(1, 4), published_at=BUILT), NOW)
    assert (status.newest, status.published, status.freshness.state) == ("2024-01-04", 2, "pass")


def test_a_partition_before_its_day_is_over_is_not_due(daily: StagingNode):
    status = status_of(daily, Facts(rows=days(1, 2, 3, 4, 5), published_at=BUILT), NOW)
    assert (status.newest, status.published, status.due) == ("2024-01-05", 4, 4)


def test_an_empty_partition_is_published(daily: StagingNode):
    facts = Facts(rows={"2024-01-04": 0}, published_at=BUILT)
    status = status_of(daily, facts, NOW)
    assert (status.published, status.rows, status.freshness.state) == (1, 0, "pass")


def test_partitions_that_the_asset_no_longer_has_do_not_count(daily: StagingNode):
    rows = {"2023-12-31": 99, WHOLE: 99, **days(1)}
    status = status_of(daily, Facts(rows=rows, published_at=BUILT), NOW)
    assert (status.newest, status.published, status.rows) == ("2024-01-01", 1, 10)


def test_nothing_is_due_after_the_end(daily: StagingNode):
    later = datetime(2030, 1, 1, tzinfo=UTC)
    status = status_of(daily, Facts(rows=days(*range(1, 32)), published_at=BUILT), later)
    assert (status.published, status.due, status.freshness.state) == (31, 31, "pass")


def test_an_asset_without_partitions_is_there_or_not(whole: StagingNode):
    nothing = status_of(whole, Facts(), NOW)
    assert (nothing.newest, nothing.published, nothing.due, nothing.age) == (None, 0, 1, None)
    assert nothing.freshness.state == "fail"
    there = status_of(whole, Facts(rows={WHOLE: 7}, published_at=BUILT), NOW)
    assert (there.newest, there.published, there.rows) == (None, 1, 7)
    assert there.freshness.state == "pass"


def test_a_materialization_without_data_is_no_publication(whole: StagingNode):
    """The lake was removed, the event log still knows."""
    status = status_of(whole, Facts(published_at=BUILT), NOW)
    assert (status.age, status.freshness.state) == (None, "fail")


def test_what_is_not_known_is_not_judged(daily: StagingNode):
    status = status_of(daily, Facts(unknown="the warehouse can't be reached"), NOW)
    assert status.freshness.state == "none"
    assert status.freshness.reason == "the warehouse can't be reached"


def test_json_holds_what_was_found(daily: StagingNode):
    facts = Facts(days(1), BUILT, ("not_null",), ("range_price",), 12)
    assert as_json(status_of(daily, facts, NOW)) == {
        "key": "staging/shop/orders",
        "level": "red",
        "partitioned": True,
        "enabled": True,
        "last_good_partition": "2024-01-01",
        "partitions_published": 1,
        "partitions_due": 4,
        "rows": 10,
        "published_at": "2024-01-05T04:00:00+00:00",
        "age_seconds": 10_800,
        "freshness": "fail",
        "freshness_reason": "2024-01-02 was due 2d ago, later than 8h",
        "failed_checks": ["not_null"],
        "warned_checks": ["range_price"],
        "quarantined_rows": 12,
        "unknown": None,
        "position": None,
        "circuit": None,
        "late": [],
        "early": [],
        "late_since": None,
        "failure": None,
        "cause": None,
    }


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        (Facts(days(1, 2, 3, 4), NOW), "green"),
        (Facts(days(1, 2, 3), NOW), "green"),  # the newest is just due
        (Facts(days(1, 2, 4), NOW), "yellow"),
        (Facts(), "yellow"),
        (Facts(days(1, 2, 3, 4), NOW, warned_checks=("not_empty",)), "yellow"),
        (Facts(days(1, 2, 3, 4), NOW, failed_checks=("not_null",)), "red"),
        (Facts(unknown="nobody answers"), "red"),
    ],
)
def test_red_is_to_be_mended_and_yellow_to_be_looked_at(
    daily: StagingNode, facts: Facts, level: str
):
    status = status_of(replace(daily, freshness=None), facts, NOW)
    assert status.level == level
    failed = replace(status, failure=Failure("run", NOW, "why"))
    assert failed.level == "red"
    skipped = replace(status, failure=Failure("run", NOW, None, own=False))
    assert skipped.level == ("red" if level == "red" else "yellow")
    disabled = status_of(replace(daily, freshness=None, enabled=False), facts, NOW)
    assert disabled.level == "off"
    assert replace(disabled, failure=Failure("run", NOW, "why")).level == "red"


def test_a_late_asset_is_red_when_it_is_too_late(daily: StagingNode):
    for rows, level in (((1, 2, 3), "yellow"), ((1, 2), "red"), ((1, 2, 3, 4), "green")):
        assert status_of(daily, Facts(days(*rows), BUILT), NOW).level == level


def test_without_a_promise_freshness_is_not_asked(daily: StagingNode):
    node = replace(daily, freshness=None)
    assert status_of(node, Facts(), NOW).freshness.state == "none"


@pytest.mark.parametrize(
    ("partitions", "rows", "registered", "told"),
    [
        ("every: hour, start: 2024-01-05", ["2024-01-05-05:00"], [], ("2024-01-05-05:00", 1, 7)),
        ("every: week, start: 2024-01-01", [], [], (None, 0, 0)),
        ("every: month, start: 2023-11-01", ["2023-12-01"], [], ("2023-12-01", 1, 2)),
        ("by: {region: {values: [eu, us]}}", ["us", "asia"], [], (None, 1, 2)),
        (
            "every: day, start: 2024-01-01, by: {region: {values: [eu, us]}}",
            ["2024-01-03|eu", "2024-01-03|us", "2024-01-04|eu"],
            [],
            ("2024-01-04", 3, 8),
        ),
        ("dynamic: customers", ["anna", "gone"], ["anna", "ben"], (None, 1, 2)),
        ("dynamic: customers", [], [], (None, 0, 0)),
    ],
)
def test_partitions_of_every_kind_are_counted(
    project: Project,
    partitions: str,
    rows: list[str],
    registered: list[str],
    told: tuple[str | None, int, int],
):
    project.declare(
        "sources:\n  fed: {type: python, function: feeds:fetch, "
        f"partitions: {{{partitions}}}}}\nstaging:\n  orders: {{from: raw.fed}}\n"
    )
    (project.pipelines / "shop" / "feeds.py").write_text("def fetch(partition): ...\n")
    facts = Facts(dict.fromkeys(rows, 1), BUILT, registered=tuple(registered))
    status = status_of(project.staging("orders"), facts, NOW)
    assert (status.newest, status.published, status.due) == told


def test_files_that_are_late_are_named(project: Project) -> None:
    days = "partitions: {every: day, start: 2024-01-01, end: 2024-02-01}"
    project.declare(
        "sources:\n  orders:\n    type: file\n    path: in/{partition_key}.csv\n"
        f"    deadline: 5h\n    {days}\n"
    )
    node = project.node("raw/orders")
    at_five = datetime(2024, 1, 4, 5, tzinfo=UTC)
    status = status_of(node, Facts({"2024-01-02": 3}), at_five)
    assert status.late == ("2024-01-01", "2024-01-03")
    assert status_of(node, Facts({"2024-01-02": 3}), at_five - timedelta(minutes=1)).late == (
        "2024-01-01",
    )
    assert status_of(replace(node, enabled=False), Facts(), at_five).late == ()


def test_a_source_without_partitions_is_late_since_its_file_was_due(project: Project) -> None:
    head = "schedule: '0 6 * * *'\n"
    project.declare(
        f"{head}sources:\n  orders: {{type: file, path: in.csv, partitions: none, deadline: 2h}}\n"
    )
    node, schedule = project.node("raw/orders"), project.build().plan.pipelines[0].schedule
    at = datetime(2024, 1, 4, 8, 1, tzinfo=UTC)
    old = Facts({WHOLE: 3}, published_at=at, changed_at=datetime(2024, 1, 3, 5, tzinfo=UTC))
    status = status_of(node, old, at, schedule)
    assert status.late_since == datetime(2024, 1, 4, 8, tzinfo=UTC)
    assert as_json(status)["late_since"] == "2024-01-04T08:00:00+00:00"
    new = replace(old, changed_at=datetime(2024, 1, 3, 6, tzinfo=UTC))
    assert status_of(node, new, at, schedule).late_since is None
    assert status_of(node, old, at - timedelta(minutes=2), schedule).late_since is None
    # Without a schedule the deadline counts from the last file.
    assert status_of(node, old, at).late_since == datetime(2024, 1, 3, 7, tzinfo=UTC)
    assert status_of(node, Facts(), at).late_since is None


def test_partitions_that_are_published_and_not_over_are_told(daily: StagingNode):
    facts = Facts(rows=days(1, 2, 3, 4, 5, 6), published_at=NOW)
    status = status_of(daily, facts, NOW)
    assert (status.early, status.level) == (("2024-01-05", "2024-01-06"), "yellow")
    assert as_json(status)["early"] == ["2024-01-05", "2024-01-06"]
    assert status_of(daily, facts, NOW + timedelta(days=2)).early == ()
