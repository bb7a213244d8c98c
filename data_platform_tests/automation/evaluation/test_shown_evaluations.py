"""What people read of a condition: all that is true, all that has a name, no more."""

import logging
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.declarative_automation.serialized_objects import (
    AutomationConditionEvaluation,
)
from dagster_shared.serdes import deserialize_value, serialize_value

from data_platform.automation.evaluation.ticking import Ticked, Ticking

DAYS = dg.DailyPartitionsDefinition("2024-01-01")
NOON = datetime(2024, 1, 11, 12, tzinfo=UTC)
IS = dg.AutomationCondition


@dg.asset(partitions_def=DAYS)
def orders() -> None: ...


@dg.asset(
    partitions_def=DAYS,
    deps=[orders],
    automation_condition=(
        (IS.in_latest_time_window() & IS.missing())
        & (~IS.any_deps_missing()).with_label("inputs are there")
        & (
            (IS.missing() & IS.newly_updated()) | IS.newly_requested().with_label("asked for")
        ).with_label("none")
    ).with_label("eager"),
)
def sales() -> None: ...


def look(instance: dg.DagsterInstance) -> Ticked:
    graph = dg.Definitions([orders, sales]).resolve_asset_graph()
    logger = logging.getLogger("automation")
    return Ticking(graph).tick(instance, None, tags={}, logger=logger, now=NOON)


def parts(evaluation: AutomationConditionEvaluation) -> dict[str, int]:
    """What each part is called, and for how many partitions it is true."""
    snapshot = evaluation.condition_snapshot
    found = {snapshot.label or snapshot.name or "": evaluation.true_subset.size}
    for child in evaluation.child_evaluations:
        found |= parts(child)
    return found


def test_what_found_nothing_is_said_in_words_unless_a_part_has_a_name() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        shown = look(instance).evaluations[0]
        instance.report_runless_asset_event(
            dg.AssetMaterialization("orders", partition="2024-01-10")
        )
        then = look(instance).evaluations[0]
    found = parts(shown)
    assert found["eager"] == 0
    assert found["inputs are there"] == 0
    assert found["any_deps_missing"] == 1
    assert found["will_be_requested"] == 0
    found = parts(then)
    assert found["inputs are there"] == 1
    assert found["any_deps_missing"] == found["asked for"] == 0
    assert "will_be_requested" not in found
    assert found["(missing) AND (newly_updated)"] == 0
    assert "newly_updated" not in found


def test_a_few_partitions_are_told_by_their_keys() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        shown = look(instance)
    result = next(iter(shown.results.values()))
    (evaluation,) = shown.evaluations
    back = deserialize_value(serialize_value(evaluation), AutomationConditionEvaluation)
    told = back.child_evaluations[0].true_subset
    whole = result.serializable_evaluation
    assert set(told.subset_value.get_partition_keys()) == {"2024-01-10"}
    assert len(serialize_value(evaluation)) * 2 < len(serialize_value(whole))
