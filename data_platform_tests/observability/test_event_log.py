"""What the event log knows of assets, in a real one."""

import dagster as dg
import pytest
from factories import Project

from data_platform.observability.event_log import Logged, read_event_log
from data_platform.plan.pipelines import Plan

BODY = """staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, nullable: false}
      price: {type: integer, min: 0}
"""
KEY = dg.AssetKey(["staging", "shop", "orders"])
RAW = dg.AssetKey(["raw", "shop", "orders"])


@pytest.fixture
def plan(project: Project) -> Plan:
    project.declare(BODY, daily=True)
    return project.build().plan


def logged(instance: dg.DagsterInstance, plan: Plan, text: str = "staging/shop/orders") -> Logged:
    found = {str(key): one for key, one in read_event_log(instance, plan.nodes).items()}
    assert set(found) == {"raw/shop/orders", "staging/shop/orders"}
    return found[text]


def evaluate(
    instance: dg.DagsterInstance,
    name: str,
    *,
    passed: bool,
    warn: bool = False,
    key: dg.AssetKey = KEY,
    partition: str | None = None,
) -> None:
    severity = dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=key, check_name=name, passed=passed, severity=severity, partition=partition
        )
    )


def test_an_empty_log_knows_nothing(instance: dg.DagsterInstance, plan: Plan):
    assert logged(instance, plan) == Logged()


def test_the_last_materialization_of_any_partition_counts(instance: dg.DagsterInstance, plan: Plan):
    for day in ("2024-01-02", "2024-01-01"):
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=day))
    last = instance.get_latest_materialization_event(KEY)
    assert last is not None
    moment = logged(instance, plan).materialized_at
    assert moment is not None
    assert moment.timestamp() == pytest.approx(last.timestamp, abs=1)
    assert moment.tzinfo is not None


def test_the_latest_evaluation_of_each_check_counts(instance: dg.DagsterInstance, plan: Plan):
    evaluate(instance, "not_null", passed=False)
    evaluate(instance, "range_price", passed=False, warn=True)
    assert logged(instance, plan).failed_checks == ("not_null",)
    assert logged(instance, plan).warned_checks == ("range_price",)
    evaluate(instance, "not_null", passed=True)
    evaluate(instance, "range_price", passed=False)
    assert logged(instance, plan).failed_checks == ("range_price",)
    assert logged(instance, plan).warned_checks == ()


def test_checks_of_a_source_that_the_platform_makes_count_too(
    instance: dg.DagsterInstance, plan: Plan
):
    evaluate(instance, "new_columns", passed=False, warn=True, key=RAW)
    assert logged(instance, plan, "raw/shop/orders").warned_checks == ("new_columns",)


def test_checks_that_an_asset_no_longer_has_are_left_out(instance: dg.DagsterInstance, plan: Plan):
    evaluate(instance, "removed_last_week", passed=False)
    assert logged(instance, plan).failed_checks == ()


def test_keys_that_are_registered_are_known(instance: dg.DagsterInstance, project: Project):
    project.declare(
        "sources:\n"
        "  orders: {type: python, function: feeds:fetch, partitions: {dynamic: customers}}\n"
        "staging:\n  orders: {from: raw.orders}\n"
    )
    (project.pipelines / "shop" / "feeds.py").write_text("def fetch(partition): ...\n")
    plan = project.build().plan
    assert logged(instance, plan).registered == ()
    instance.add_dynamic_partitions("customers", ["ben", "anna"])
    assert sorted(logged(instance, plan).registered) == ["anna", "ben"]
