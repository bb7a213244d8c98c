"""An evaluation of automation is written as Dagster writes it, to the letter."""

import logging
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.definitions.declarative_automation.serialized_objects import (
    AssetSubsetWithMetadata,
    AutomationConditionEvaluation,
)
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster_shared.serdes import serialize_value

from data_platform.automation.evaluation.ticking import Ticking
from data_platform.instance.evaluation_texts import text_of

NOON = datetime(2024, 1, 11, 12, tzinfo=UTC)
IS = dg.AutomationCondition
CONDITION = (
    IS.eager().with_label('"eager"\n größer')
    | (IS.missing() & ~IS.in_progress())
    | IS.missing().since(IS.newly_updated())
)
CITIES = dg.DynamicPartitionsDefinition(name="cities")
SPLIT = dg.MultiPartitionsDefinition(
    {
        "day": dg.DailyPartitionsDefinition("2024-01-09"),
        "shop": dg.StaticPartitionsDefinition(["a", "b"]),
    }
)


def evaluations(partitions: dg.PartitionsDefinition | None) -> list[AutomationConditionEvaluation]:
    """What two ticks find, as it is shown and whole."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("cities", ["Rome", "Köln"])

        @dg.asset(partitions_def=partitions, deps=["source"], automation_condition=CONDITION)
        def made() -> None: ...

        @dg.asset_check(asset=made, automation_condition=IS.missing())
        def checked() -> dg.AssetCheckResult: ...

        graph = dg.Definitions([made], asset_checks=[checked]).resolve_asset_graph()
        ticking, cursor = Ticking(graph), None
        found: list[AutomationConditionEvaluation] = []
        for _ in range(2):
            logger = logging.getLogger("automation")
            ticked = ticking.tick(instance, cursor, tags={}, logger=logger, now=NOON)
            cursor = ticked.cursor
            found += ticked.evaluations
            with partition_loading_context(NOON, instance):
                found += [result.serializable_evaluation for result in ticked.results.values()]
        return found


@pytest.mark.parametrize(
    "partitions",
    [
        None,
        dg.DailyPartitionsDefinition("2024-01-01"),
        dg.StaticPartitionsDefinition(["a", 'b"']),
        CITIES,
        SPLIT,
    ],
    ids=["none", "days", "names", "registered", "days and names"],
)
def test_the_text_is_dagsters(partitions: dg.PartitionsDefinition | None) -> None:
    found = evaluations(partitions)
    assert len(found) > 3
    for evaluation in found:
        assert text_of(evaluation) == serialize_value(evaluation)


def test_metadata_is_written_too() -> None:
    evaluation = evaluations(None)[0]
    evaluation.metadata = {"why": dg.MetadataValue.text("for this")}
    evaluation.subsets_with_metadata = [
        AssetSubsetWithMetadata(evaluation.true_subset, {"why": dg.MetadataValue.int(1)})
    ]
    evaluation.start_timestamp = None
    assert text_of(evaluation) == serialize_value(evaluation)
