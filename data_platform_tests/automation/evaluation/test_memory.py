"""What is remembered is what Dagster would remember, as far as an operand reads it."""

import logging
import random
from dataclasses import replace

import dagster as dg
from dagster._core.definitions.declarative_automation.serialized_objects import (
    AutomationConditionCursor,
)
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster_shared.serdes import deserialize_value, serialize_value
from histories import History, written_by_hand

from data_platform.automation.evaluation.memory import Memory
from data_platform.automation.evaluation.ticking import Ticking

IS = dg.AutomationCondition


def assets() -> list[dg.AssetsDefinition]:
    @dg.asset(
        partitions_def=dg.HourlyPartitionsDefinition("2024-01-09-00:00"),
        automation_condition=IS.missing().since(IS.newly_requested()) & ~IS.in_progress(),
    )
    def hours() -> None: ...

    @dg.asset(deps=[hours], automation_condition=IS.eager())
    def summed() -> None: ...

    return [*written_by_hand(), hours, summed]


def test_what_is_read_back_is_what_dagster_would_remember() -> None:
    graph = dg.Definitions(assets=assets()).resolve_asset_graph()
    ticking, cursor, seen = Ticking(graph), None, set()
    with dg.DagsterInstance.ephemeral() as instance:
        history = History(instance, graph, random.Random(3))
        for _ in range(12):
            ticked = ticking.tick(
                instance, cursor, tags={}, logger=logging.getLogger("memory"), now=history.now
            )
            cursor = ticked.cursor
            memory = Memory.read(cursor)
            with partition_loading_context(history.now, instance):
                for key, result in ticked.results.items():
                    own = serialize_value(result.get_new_cursor())
                    dagsters = deserialize_value(own, AutomationConditionCursor)
                    ours = memory.get_previous_condition_cursor(key)
                    assert ours
                    seen |= _compared(ours, dagsters)
            history.go_on(set())
    assert {"bool", "TimeWindowPartitionsSubset", "KeyRangesPartitionsSubset"} <= seen


def _compared(ours: AutomationConditionCursor, dagsters: AutomationConditionCursor) -> set[str]:
    """Compares two, but for what nobody reads; gives the kinds of subsets that there were."""
    assert ours.previous_requested_subset == dagsters.previous_requested_subset
    assert ours.temporal_context == dagsters.temporal_context
    for name, node in ours.node_cursors_by_unique_id.items():
        expected = dagsters.node_cursors_by_unique_id[name]
        kept = replace(node, metadata=node.metadata or {})
        assert kept == replace(expected, candidate_subset=kept.candidate_subset)
    return {
        type(node.true_subset.value).__name__ for node in ours.node_cursors_by_unique_id.values()
    }
