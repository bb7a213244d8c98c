"""What waits for an asset that failed is told once, with it."""

from datetime import UTC, datetime, timedelta

import pytest
from factories import Project

from data_platform.observability.causes import causes_of, with_causes
from data_platform.observability.failures import Cause, Failure
from data_platform.observability.status import AssetStatus, Facts, as_json, status_of
from data_platform.plan.keys import Key
from data_platform.plan.naming import LAST_GOOD, WHOLE
from data_platform.plan.pipelines import Plan

NOW = datetime(2024, 1, 5, 7, tzinfo=UTC)
OLD = NOW - timedelta(hours=9)
ORDERS, RATES = Key("raw", "shop", "orders"), Key("staging", "shop", "rates")
FAILED = Failure("run1", NOW - timedelta(hours=3), "connection refused")
WIDE = 200


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Below `raw/orders` are one staging asset and 199 analytics; one asset stands apart."""
    project = Project(tmp_path_factory.mktemp("causes"))
    many = "".join(
        f"  t{n}: {{query: select 1 as one from staging.orders, freshness: {{fail_after: 8h}}}}\n"
        for n in range(WIDE - 1)
    )
    project.declare(
        "sources:\n  orders: {type: file, path: orders.parquet, partitions: none}\n"
        "  rates: {type: file, path: rates.parquet, partitions: none}\n"
        "staging:\n  orders: {from: raw.orders, freshness: {fail_after: 8h}}\n"
        f"  rates: {{from: raw.rates, freshness: {{fail_after: 8h}}}}\nanalytics:\n{many}"
    )
    project.know(orders={"id": "BIGINT"}, rates={"id": "BIGINT"})
    return project.build().plan


def standing(plan: Plan, **facts: Facts) -> list[AssetStatus]:
    """All assets late; or what is said of some, by layer and name."""
    late = Facts(rows={WHOLE: 1}, published_at=OLD)
    return [
        status_of(node, facts.get(f"{node.key.layer}_{node.key.name}", late), NOW)
        for node in plan.nodes
    ]


def causes(
    plan: Plan, failures: dict[Key, Failure], /, **facts: Facts
) -> tuple[list[AssetStatus], list[Cause]]:
    """How assets stand and why, where nothing is wrong with the rates but what is said."""
    known = {"staging_rates": Facts(rows={WHOLE: 1}, published_at=NOW), **facts}
    statuses = standing(plan, **known)
    return statuses, causes_of(plan, statuses, failures, NOW)


def test_two_hundred_late_assets_are_one_cause(plan: Plan):
    statuses, (cause,) = causes(plan, {ORDERS: FAILED})
    assert (cause.key, cause.run_id, len(cause.waiting)) == (ORDERS, "run1", WIDE)
    assert cause.text == "failed 3 h ago (connection refused)"
    assert (cause.level, cause.since) == ("red", FAILED.at)
    told = with_causes(statuses, [cause], {ORDERS: FAILED})
    (one,) = (as_json(status) for status in told if status.key.name == "t7")
    assert one["cause"] == {
        "key": "raw/shop/orders",
        "text": "failed 3 h ago (connection refused)",
        "run": "run1",
        "waiting": WIDE,
    }


def test_what_is_late_by_itself_is_a_cause_of_its_own(plan: Plan):
    late = Facts(rows={WHOLE: 1}, published_at=OLD)
    _, (first, second) = causes(plan, {ORDERS: FAILED}, staging_rates=late)
    assert (first.key, second.key) == (ORDERS, RATES)
    assert RATES not in first.waiting
    assert second.text == "published 9h ago, later than 8h"


def test_late_assets_wait_for_the_topmost_late_one(plan: Plan):
    _, (cause,) = causes(plan, {})
    assert (cause.key, len(cause.waiting)) == (Key("staging", "shop", "orders"), WIDE - 1)
    assert cause.run_id is None


def test_what_was_never_built_is_yellow_and_one_cause(plan: Plan):
    fresh = Facts(rows={WHOLE: 1}, published_at=NOW)
    others = {f"analytics_t{n}": fresh for n in range(WIDE - 1)}
    _, (cause,) = causes(plan, {}, raw_orders=Facts(), staging_orders=fresh, **others)
    assert (cause.key, cause.level, cause.text) == (ORDERS, "yellow", "never published")


def test_a_check_that_warns_holds_nothing_up(plan: Plan):
    warned = Facts(rows={WHOLE: 1}, published_at=NOW, warned_checks=("row_count",))
    found = causes(plan, {}, staging_orders=warned)[1]
    told = {cause.key: cause for cause in found}
    assert told.pop(Key("staging", "shop", "orders")).waiting == ()
    assert {cause.level for cause in told.values()} == {"red"}
    assert found[-1].text == "warned row_count"


def test_what_is_disabled_is_told_only_where_it_holds_others_up(project: Project):
    project.declare(
        "sources:\n  rates: {type: file, path: r.parquet, partitions: none, enabled: false}\n"
        "staging:\n  rates: {from: raw.rates}\n"
    )
    project.know(rates={"id": "BIGINT"})
    plan = project.build().plan
    there = Facts(rows={WHOLE: 1}, published_at=NOW)
    assert causes(plan, {}, raw_rates=Facts(), staging_rates=there)[1] == []
    (cause,) = causes(plan, {}, raw_rates=Facts(), staging_rates=Facts())[1]
    assert (cause.text, cause.waiting) == ("disabled, nothing starts it", (RATES,))


def test_worse_causes_come_first(project: Project):
    for name, criticality in (("a", "low"), ("b", "critical"), ("c", "medium"), ("d", "critical")):
        source = "{type: file, path: orders.parquet, partitions: none}"
        project.declare(f"criticality: {criticality}\nsources:\n  orders: {source}\n", name=name)
    plan = project.build().plan
    failures = {Key("raw", name, "orders"): FAILED for name in "abc"}
    warned = Facts(rows={WHOLE: 1}, published_at=NOW, warned_checks=("row_count",))
    found = causes_of(plan, standing(plan, raw_orders=warned), failures, NOW)
    assert [cause.key.pipeline for cause in found] == ["b", "c", "a", "d"]


def test_what_promises_freshness_is_named_first_of_what_waits(project: Project):
    project.declare(
        "staging:\n  orders: {from: raw.orders}\nanalytics:\n"
        "  one: {query: select 1 as one from staging.orders}\n"
        "  two: {query: select 1 as one from staging.orders, freshness: {fail_after: 8h}}\n"
    )
    project.know(orders={"id": "BIGINT"})
    plan = project.build().plan
    (cause,) = causes_of(plan, standing(plan, analytics_one=Facts()), {ORDERS: FAILED}, NOW)
    assert [key.name for key in cause.waiting] == ["two", "one"]


def test_a_skipped_step_waits_for_the_one_that_failed(plan: Plan):
    below = Key("staging", "shop", "orders")
    failures = {ORDERS: FAILED, below: Failure("run1", FAILED.at, None, own=False)}
    _, (cause,) = causes(plan, failures)
    assert below in cause.waiting


def test_what_a_run_left_out_long_ago_is_a_cause_where_nothing_above_is_wrong(plan: Plan):
    fresh = Facts(rows={WHOLE: 1}, published_at=NOW)
    others = {f"analytics_t{n}": fresh for n in range(WIDE - 1)}
    failures = {RATES: Failure("run1", FAILED.at, None, own=False)}
    _, (cause,) = causes(plan, failures, staging_orders=fresh, **others)
    assert (cause.key, cause.level) == (RATES, "yellow")
    assert cause.text == "was left out of a run that failed 3 h ago"


def test_a_source_that_stands_on_its_last_good_data_is_the_cause(plan: Plan):
    kept = Facts(rows={WHOLE: 1}, published_at=OLD, warned_checks=(LAST_GOOD,))
    _, (cause,) = causes(plan, {}, raw_orders=kept)
    assert cause.key == ORDERS
    assert cause.text == "its source can't be read; its last good data stand"
    assert len(cause.waiting) == WIDE
    assert cause.level == "red"  # since what waits for it is


def test_the_nearest_failure_is_the_cause(plan: Plan):
    staging = Key("staging", "shop", "orders")
    second = Failure("run2", NOW - timedelta(minutes=5), "unique: 3 rows")
    _, found = causes(plan, {ORDERS: FAILED, staging: second})
    assert [(one.key, len(one.waiting)) for one in found] == [(staging, WIDE - 1), (ORDERS, 0)]
