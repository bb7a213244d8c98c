"""Dagster's evaluation of conditions, of some assets only.

Called by `ticking`.
"""

from typing import Any

from dagster import PartitionsDefinition
from dagster._core.asset_graph_view.entity_subset import EntitySubset
from dagster._core.definitions.asset_key import EntityKey
from dagster._core.definitions.declarative_automation.automation_condition_evaluator import (
    AutomationConditionEvaluator,
)
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.partition_status_cache import AssetStatusCacheValue

from data_platform.automation.evaluation.events import last_planned
from data_platform.automation.evaluation.watching import Watching


class WakingEvaluator(AutomationConditionEvaluator):
    """Evaluates the assets that it was told, and those for which one of them is requested.

    Attributes:
        awake: what is evaluated, level by level of the graph; grows while that goes on.
        woken: those that a request of this tick has added, or would have.
    """

    def __init__(self, watching: Watching, **arguments: Any) -> None:
        self.awake: set[EntityKey] = set()
        self.woken: set[EntityKey] = set()
        self._watching = watching
        super().__init__(entity_keys=self.awake, **arguments)

    def prefetch(self) -> None:
        """Take what Dagster knows of partitions as it is, where nothing has come since.

        Dagster asks for each asset by itself whether something has, twice.
        """
        super().prefetch()
        definitions = {
            key: definition
            for key in self.asset_records_to_prefetch
            if (definition := self.asset_graph.get(key).partitions_def)
        }
        view = self.asset_graph_view
        planned = last_planned(view.instance, definitions)
        statuses, _ = view.get_loaders_for(AssetStatusCacheValue)
        for key, definition in definitions.items():
            record = self.instance_queryer.get_asset_record(key)
            status = record.asset_entry.cached_status if record else None
            if (
                record
                and status
                and _holds(status, definition, record, planned.get(key.to_string(), 0))
            ):
                statuses.prime((key, definition), status)

    def _add_request_subset(self, subset: EntitySubset) -> None:
        super()._add_request_subset(subset)
        if not subset.is_empty:
            found = self._watching.of([subset.key])
            self.woken |= found
            self.awake |= found


def _holds(
    status: AssetStatusCacheValue,
    definition: PartitionsDefinition,
    record: AssetRecord,
    planned: int,
) -> bool:
    """Whether Dagster would find the very same again."""
    newest = max(record.asset_entry.last_materialization_storage_id or 0, planned)
    return (
        status.latest_storage_id == newest
        and status.earliest_in_progress_materialization_event_id is None
        and status.partitions_def_id == definition.get_serializable_unique_identifier()
    )
