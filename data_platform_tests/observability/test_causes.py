"""What waits for an asset that failed is told once, with it."""

from datetime import UTC, datetime, timedelta

import pytest
from factories import Project

from data_platform.observability.causes import causes_of, with_causes
from data_platform.observability.failures import Failure
from data_platform.observability.status import AssetStatus, Facts, as_json, status_of
from data_platform.plan.keys import Key
from data_platform.plan.naming import LAST_GOOD, WHOLE
from data_platform.plan.nodes import Plan

NOW = datetime(2024, 1, 5, 7, tzinfo=UTC)
OLD = NOW - timedelta(hours=9)
ORDERS = Key("raw", "shop", "orders")
FAILED = Failure("run1", NOW - timedelta(hours=3), "connection refused")
WIDE = 200


@pytest.fixture
def plan(project: Project) -> Plan:
    """Below `raw/orders` are one staging asset and 199 analytics; one asset stands apart."""
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


def test_two_hundred_late_assets_are_one_cause(plan: Plan):
    statuses = standing(plan, staging_rates=Facts(rows={WHOLE: 1}, published_at=NOW))
    (cause,) = causes_of(plan, statuses, {ORDERS: FAILED}, NOW)
    assert (cause.key, cause.run_id, len(cause.waiting)) == (ORDERS, "run1", WIDE)
    assert cause.text == "failed 3 h ago (connection refused)"
    told = with_causes(statuses, [cause], {ORDERS: FAILED})
    (one,) = (as_json(status) for status in told if status.key.name == "t7")
    assert one["cause"] == {
        "key": "raw/shop/orders",
        "text": "failed 3 h ago (connection refused)",
        "run": "run1",
        "waiting": WIDE,
    }


def test_what_is_late_by_itself_is_no_part_of_a_cascade(plan: Plan):
    (cause,) = causes_of(plan, standing(plan), {ORDERS: FAILED}, NOW)
    assert Key("staging", "shop", "rates") not in cause.waiting


def test_a_skipped_step_waits_for_the_one_that_failed(plan: Plan):
    below = Key("staging", "shop", "orders")
    failures = {ORDERS: FAILED, below: Failure("run1", FAILED.at, None, own=False)}
    (cause,) = causes_of(plan, standing(plan), failures, NOW)
    assert below in cause.waiting


def test_a_source_that_stands_on_its_last_good_data_is_the_cause(plan: Plan):
    kept = Facts(rows={WHOLE: 1}, published_at=OLD, warned_checks=(LAST_GOOD,))
    (cause,) = causes_of(plan, standing(plan, raw_orders=kept), {}, NOW)
    assert cause.key == ORDERS
    assert cause.text == "its source can't be read; its last good data stand"
    assert len(cause.waiting) == WIDE


def test_the_nearest_failure_is_the_cause(plan: Plan):
    staging = Key("staging", "shop", "orders")
    second = Failure("run2", NOW - timedelta(minutes=5), "unique: 3 rows")
    causes = causes_of(plan, standing(plan), {ORDERS: FAILED, staging: second}, NOW)
    assert [(one.key, len(one.waiting)) for one in causes] == [(staging, WIDE - 1), (ORDERS, 0)]
