"""What the presets make of other operands that Dagster's own operators can't.

Called by `conditions`, evaluated by Dagster in the code server. `asks_of` says what can change the
answers of ours, for whoever evaluates only what may have changed.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Literal

from dagster import AssetKey, AutomationCondition
from dagster._core.definitions.declarative_automation.automation_condition import (
    AutomationResult,
    BuiltinAutomationCondition,
)
from dagster._core.definitions.partitions.subset import TimeWindowPartitionsSubset
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.event_log.base import AssetRecord
from dagster._record import record
from typing_extensions import override

from data_platform.automation.operands import (
    Asked,
    BeforeLastTick,
    Busy,
    Context,
    NotOver,
    Stale,
    Subset,
    in_progress,
    subset_of,
)
from data_platform.plan.automating import canaries_of
from data_platform.plan.partitions import Partitions


@record
class Wanted(BuiltinAutomationCondition[AssetKey]):
    """True from the trigger until the asset is requested or has been built from what is there.

    Dagster's `since` forgets a trigger of the very tick in which an earlier request or update is
    seen. Here a request settles what was wanted before it only, and an update only where its run
    began after the last change of an input, or made that change itself: else an input that changes
    while the asset is being built would be forgotten.
    """

    trigger: AutomationCondition[Any]

    @property
    @override
    def name(self) -> str:
        return "WANTED"

    @property
    @override
    def children(self) -> Sequence[AutomationCondition[AssetKey]]:
        return [self.trigger]

    @override
    def get_node_unique_id(self, *, target_key: Any, **_: Any) -> str:
        return self._get_stable_unique_id(target_key)

    @override
    async def evaluate(self, context: Context) -> AutomationResult[AssetKey]:  # pyright: ignore[reportIncompatibleMethodOverride]
        trigger = await context.for_child_condition(
            self.trigger,
            child_indices=[0],
            candidate_subset=context.asset_graph_view.get_full_subset(key=context.key),
        ).evaluate_async()
        wanted = context.previous_true_subset or context.get_empty_subset()
        if requested := context.get_previous_requested_subset(context.key):
            wanted = wanted.compute_difference(requested)
        wanted = wanted.compute_union(trigger.true_subset)
        if not wanted.is_empty:
            wanted = wanted.compute_difference(await _built_since(context))
        return AutomationResult(context, wanted, child_results=[trigger])


async def _built_since(context: Context) -> Subset:
    """The partitions that were built since the last look, unless an input changed meanwhile."""
    if context.previous_temporal_context is None:
        return context.get_empty_subset()
    view = context.asset_graph_view
    updated = await view.compute_updated_since_temporal_context_subset(
        key=context.key, temporal_context=context.previous_temporal_context
    )
    own = await _last(context, context.key) if not updated.is_empty else None
    if own is None:
        return updated
    run = await RunRecord.gen(view, own.run_id) if own.run_id else None
    began = (run.start_time if run else None) or own.timestamp
    for parent in context.asset_graph.get(context.key).parent_keys:
        other = await _last(context, parent)
        if other and other.timestamp > began and not (run and other.run_id == own.run_id):
            return context.get_empty_subset()
    return updated


async def _last(context: Context, key: AssetKey) -> Any:
    """The last materialization of an asset, of any partition."""
    found = await AssetRecord.gen(context.asset_graph_view, key)
    return found.asset_entry.last_materialization_record if found else None


class OfOne(BuiltinAutomationCondition[AssetKey]):
    """What remembers nothing itself, over one operand."""

    operand: AutomationCondition[Any]

    @property
    @override
    def children(self) -> Sequence[AutomationCondition[AssetKey]]:
        return [self.operand]

    @property
    @override
    def requires_cursor(self) -> bool:
        return False


@record
class Others(OfOne):
    """True for partitions of which another one, or several, of the same asset match.

    Attributes:
        partitions: of the asset.
        canary: those are the partitions that go first; else it is the one before.
    """

    operand: AutomationCondition[Any]
    partitions: Partitions
    canary: tuple[str, ...] = ()

    @property
    @override
    def name(self) -> str:
        return f"CANARY {', '.join(self.canary)}" if self.canary else "THE ONE BEFORE"

    @override
    async def evaluate(self, context: Context) -> AutomationResult[AssetKey]:  # pyright: ignore[reportIncompatibleMethodOverride]
        asked = {
            str(key): set(self._others(str(key)))
            for key in context.candidate_subset.expensively_compute_partition_keys()
        }
        others = subset_of(context, {one for found in asked.values() for one in found})
        child = await context.for_child_condition(
            self.operand, child_indices=[0], candidate_subset=others
        ).evaluate_async()
        matching = {str(key) for key in child.true_subset.expensively_compute_partition_keys()}
        true = subset_of(context, {key for key, found in asked.items() if found & matching})
        return AutomationResult(context, true, child_results=[child])

    def _others(self, key: str) -> Sequence[str]:
        if self.canary:
            return canaries_of(self.partitions, self.canary, key)
        return self.partitions.trailing(key, 2)[:-1]


@record
class Oldest(OfOne):
    """The first partitions of those that match: as many as there is room for.

    Attributes:
        partitions: of the asset.
        at_most: how many may be requested or in progress at once.
    """

    operand: AutomationCondition[Any]
    partitions: Partitions
    at_most: int

    @property
    @override
    def name(self) -> str:
        return f"OLDEST {self.at_most}"

    @override
    async def evaluate(self, context: Context) -> AutomationResult[AssetKey]:  # pyright: ignore[reportIncompatibleMethodOverride]
        child = await context.for_child_condition(
            self.operand, child_indices=[0], candidate_subset=context.candidate_subset
        ).evaluate_async()
        true = child.true_subset
        if not true.is_empty:
            room = max(0, self.at_most - (await _taken(context)).size)
            if true.size > room:
                true = subset_of(context, set(islice(_in_order(true, self.partitions), room)))
        return AutomationResult(context, true, child_results=[child])


async def _taken(context: Context) -> Subset:
    """The partitions that are in progress, or were requested by the last look and aren't there."""
    busy = await in_progress(context)
    if requested := context.get_previous_requested_subset(context.key):
        missing = context.asset_graph_view.compute_missing_subset
        busy = busy.compute_union(await missing(key=context.key, from_subset=requested))
    return busy


def _in_order(subset: Subset, partitions: Partitions) -> Iterator[str]:
    """The keys of a subset, the oldest first; those of time alone one after another."""
    value = subset.get_internal_value()
    if isinstance(value, TimeWindowPartitionsSubset) and partitions.time is not None:
        time = partitions.time
        for window in sorted(value.included_time_windows, key=lambda window: window.start):
            key = time.key_at(window.start)
            while time.window(key)[0] < window.end:
                yield key
                key = time.following(key)
        return
    yield from sorted(map(str, subset.expensively_compute_partition_keys()))


Asks = Literal["asset", "children", "cron", "clock"]


def asks_of(condition: AutomationCondition[Any]) -> Asks | None:
    """What an operand's answer depends on besides time partitions; None if it is none of these.

    `asset`: events, runs, requests and freshness of the asset that it is asked about. `children`:
    these, and what its children ask. `cron`: these, and the ticks of its `crons`. `clock`: these,
    and any moment.
    """
    match condition:
        case Wanted() | Others() | Oldest():
            return "children"
        case BeforeLastTick():
            return "cron"
        case Stale() if condition.policy.deadline is not None:
            return "clock"
        case Stale() | NotOver() | Busy() | Asked():
            return "asset"
        case _:
            return None
