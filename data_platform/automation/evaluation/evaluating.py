"""Dagster's evaluation of conditions, of some assets only.

Called by `ticking`.
"""

from typing import Any

from dagster._core.asset_graph_view.entity_subset import EntitySubset
from dagster._core.definitions.asset_key import AssetKey, EntityKey
from dagster._core.definitions.declarative_automation.automation_condition_evaluator import (
    AutomationConditionEvaluator,
)
from dagster._core.definitions.declarative_automation.automation_context import AutomationContext
from dagster._core.storage.partition_status_cache import AssetStatusCacheValue

from data_platform.automation.evaluation.sparing import SparingContext
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
        """Bring what Dagster keeps of partitions up to date for all assets together."""
        super().prefetch()
        wanted = [
            (key, definition)
            for key in self.asset_records_to_prefetch
            if (definition := self.asset_graph.get(key).partitions_def)
        ]
        view = self.asset_graph_view
        found = view.instance.event_log_storage.get_asset_status_cache_values(wanted, view)
        statuses, _ = view.get_loaders_for(AssetStatusCacheValue)
        for one, status in zip(wanted, found, strict=True):
            statuses.prime(one, status)

    async def evaluate_entity(self, key: EntityKey) -> None:
        """Judge an asset, and note what it asks for; as Dagster does, but sparingly."""
        context = SparingContext.of(AutomationContext.create(key, self))
        result = await context.evaluate_async()
        self.current_results_by_key[key] = result
        self._add_request_subset(result.true_subset)
        if isinstance(key, AssetKey):
            self.legacy_expected_data_time_by_key[key] = result.compute_legacy_expected_data_time()
            self._handle_execution_set(result)

    def _add_request_subset(self, subset: EntitySubset) -> None:
        super()._add_request_subset(subset)
        if not subset.is_empty:
            found = self._watching.of([subset.key])
            self.woken |= found
            self.awake |= found
