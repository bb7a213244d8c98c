"""What Dagster is told of a destination's rules."""

from dataclasses import replace

import dagster as dg
from dagster_steps import assets_of, failure_of, materialized, run_assets
from factories import DAY, NEXT_DAY
from shop_tables import AMOUNTS, RECONCILE, Shop

from data_platform.asset_specs import asset_spec
from data_platform.destinations.assets import destination_asset
from data_platform.plan.schemas import Masking
from data_platform.resources import LAKE, LakeResource, platform_resources

RANGE = {
    "dagster/asset_partition_range_start": DAY,
    "dagster/asset_partition_range_end": NEXT_DAY,
}

WHY = """\
destinations/shop/orders: the load of 2 partitions was rolled back, since 1 of them broke a rule:
  2024-01-02: range_amount: 1 of 1 rows
The table and its ledger are as they were before.
Its checks show offending rows. Mend what is named, then: \
data-platform run shop --partition 2024-01-02"""


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_checks_stand_on_the_destinations_asset(shop: Shop) -> None:
    shop.declare("not_null: id", RECONCILE)
    [asset] = assets_of(shop.project, "destinations/orders")
    specs = {spec.name: spec for spec in asset.check_specs}
    assert specs.keys() == {"not_null_id", "reconcile_orders"}
    assert {spec.asset_key for spec in specs.values()} == {
        dg.AssetKey(["destinations", "shop", "orders"])
    }
    assert specs["reconcile_orders"].description == "sum(amount) agrees with staging.orders."


def test_a_load_tells_its_checks(shop: Shop, instance: dg.DagsterInstance) -> None:
    shop.declare("not_null: id", "range: {column: amount, max: 15, on_violation: warn}")
    shop.publish(AMOUNTS, DAY, NEXT_DAY)
    result = run_assets(shop.project, instance, "destinations/orders", tags=RANGE)
    assert result.success
    found = checks(result)
    assert found["not_null_id"].passed
    warned = found["range_amount"]
    assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert warned.metadata["offending"].value == 2
    assert warned.metadata["partitions_broken"].value == 2
    assert sorted(map(str, materialized(instance, shop.project, "destinations/orders"))) == [
        DAY,
        NEXT_DAY,
    ]


def test_a_load_that_is_rolled_back_fails_and_names_partitions_and_figures(
    shop: Shop, instance: dg.DagsterInstance
) -> None:
    shop.declare("range: {column: amount, max: 100}")
    shop.publish(AMOUNTS, DAY)
    shop.publish("SELECT 7 AS id, 101.50 AS amount", NEXT_DAY)
    result = run_assets(shop.project, instance, "destinations/orders", tags=RANGE)
    assert failure_of(result) == WHY
    [event] = [event for event in result.all_events if event.is_step_failure]
    told = event.step_failure_data.user_failure_data
    assert told is not None
    assert told.metadata["failed_partitions"].value == [DAY, NEXT_DAY]
    broken = checks(result)["range_amount"]
    assert (broken.passed, broken.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert materialized(instance, shop.project, "destinations/orders") == []


def test_a_load_that_finds_nothing_due_repeats_what_was_judged(
    shop: Shop, instance: dg.DagsterInstance
) -> None:
    shop.declare("range: {column: amount, max: 15, on_violation: warn}")
    shop.publish(AMOUNTS, DAY)
    run_assets(shop.project, instance, "destinations/orders", partition_key=DAY)
    again = run_assets(shop.project, instance, "destinations/orders", partition_key=DAY)
    assert again.success
    check = checks(again)["range_amount"]
    assert not check.passed
    assert check.metadata["offending"].value == 1
    assert check.metadata["as_before"].value == "the table had all that there is"


def test_what_tells_of_a_person_is_in_no_example(shop: Shop, instance: dg.DagsterInstance) -> None:
    shop.declare("range: {column: amount, max: 15, on_violation: warn}")
    shop.publish(AMOUNTS, DAY)
    node = replace(shop.node(), masking=Masking(frozenset({"amount"})))
    resources = platform_resources(shop.project.workspace().platform)
    lake = LakeResource(root=str(shop.project.workbench.lake.root))
    result = dg.materialize(
        [destination_asset(node, asset_spec(node))],
        instance=instance,
        resources={**resources, LAKE: lake},
        partition_key=DAY,
    )
    examples = str(checks(result)["range_amount"].metadata["examples"].value)
    assert "20.25" not in examples
    assert "•••" in examples


def test_a_column_that_a_load_added_is_told(shop: Shop, instance: dg.DagsterInstance) -> None:
    shop.declare()
    shop.publish(AMOUNTS, DAY)
    assert not shop.load(DAY).failed
    shop.publish(f"SELECT *, 'Ulm' AS city FROM ({AMOUNTS})", DAY)
    result = run_assets(shop.project, instance, "destinations/orders", partition_key=DAY)
    assert result.success
    key = dg.AssetKey(["destinations", "shop", "orders"])
    event = instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["table_changes"].value == "added column city text"
    assert metadata["dagster/table_name"].value == "shop.shop.orders"
