"""What the presets ask that Dagster's own operands of conditions can't say.

Called by `conditions`, evaluated by Dagster in the code server. `asks_of` says what can change
their answers, for whoever evaluates only what may have changed.

Every operand answers for the partitions that it is asked about, by keys of the plan; so nothing
here lists ten years of hours.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal

import dagster as dg
from dagster import AssetKey, AutomationCondition
from dagster._core.asset_graph_view.entity_subset import EntitySubset
from dagster._core.definitions.assets.graph.asset_graph import executable_in_same_run
from dagster._core.definitions.declarative_automation.automation_condition import (
    AutomationResult,
    BuiltinAutomationCondition,
)
from dagster._core.definitions.declarative_automation.automation_context import AutomationContext
from dagster._core.definitions.declarative_automation.operands.subset_automation_condition import (
    SubsetAutomationCondition,
)
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateRecord
from dagster._core.definitions.partitions.subset import TimeWindowPartitionsSubset
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.event_log.base import AssetRecord
from dagster._record import record
from dagster._utils.schedules import reverse_cron_string_iterator
from typing_extensions import override

from data_platform.instance.freshness import published_by
from data_platform.plan.automating import canaries_of
from data_platform.plan.freshness import to_refresh
from data_platform.plan.partitions import Partitions, TimePartitions
from data_platform.plan.partitions.kinds import TIME
from data_platform.spec.automation import Freshness, Schedule

_Context = AutomationContext[Any]
_Subset = EntitySubset[Any]


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
    async def evaluate(self, context: _Context) -> AutomationResult[AssetKey]:  # pyright: ignore[reportIncompatibleMethodOverride]
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


async def _built_since(context: _Context) -> _Subset:
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


async def _last(context: _Context, key: AssetKey) -> Any:
    """The last materialization of an asset, of any partition."""
    found = await AssetRecord.gen(context.asset_graph_view, key)
    return found.asset_entry.last_materialization_record if found else None


@record
class Others(BuiltinAutomationCondition[AssetKey]):
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

    @property
    @override
    def children(self) -> Sequence[AutomationCondition[AssetKey]]:
        return [self.operand]

    @property
    @override
    def requires_cursor(self) -> bool:
        return False

    @override
    async def evaluate(self, context: _Context) -> AutomationResult[AssetKey]:  # pyright: ignore[reportIncompatibleMethodOverride]
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
class Oldest(BuiltinAutomationCondition[AssetKey]):
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

    @property
    @override
    def children(self) -> Sequence[AutomationCondition[AssetKey]]:
        return [self.operand]

    @property
    @override
    def requires_cursor(self) -> bool:
        return False

    @override
    async def evaluate(self, context: _Context) -> AutomationResult[AssetKey]:  # pyright: ignore[reportIncompatibleMethodOverride]
        child = await context.for_child_condition(
            self.operand, child_indices=[0], candidate_subset=context.candidate_subset
        ).evaluate_async()
        true = child.true_subset
        if not true.is_empty:
            room = max(0, self.at_most - (await _busy(context)).size)
            if true.size > room:
                true = subset_of(context, set(islice(_in_order(true, self.partitions), room)))
        return AutomationResult(context, true, child_results=[child])


async def _busy(context: _Context) -> _Subset:
    """The partitions that are in progress, or were requested by the last look and aren't there."""
    view, key = context.asset_graph_view, context.key
    whole = view.get_full_subset(key=key)
    busy = await view.compute_run_in_progress_subset(key=key, from_subset=whole)
    backfilled = await view.compute_backfill_in_progress_subset(key=key, from_subset=whole)
    busy = busy.compute_union(backfilled)
    if requested := context.get_previous_requested_subset(key):
        busy = busy.compute_union(await view.compute_missing_subset(key=key, from_subset=requested))
    return busy


def _in_order(subset: _Subset, partitions: Partitions) -> Iterator[str]:
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


@record
class NotOver(SubsetAutomationCondition[AssetKey]):
    """False once the last partition was due a whole partition ago: time asks for nothing more."""

    time: TimePartitions

    @property
    @override
    def name(self) -> str:
        return f"BEFORE THE END {self.time.end}"

    @override
    def compute_subset(self, context: _Context) -> _Subset:
        ended = self.time.has_ended(context.evaluation_time)
        return context.get_empty_subset() if ended else context.candidate_subset


@record
class BeforeLastTick(SubsetAutomationCondition[AssetKey]):
    """Partitions of times that were due at the last tick of a schedule, the newest left to it."""

    partitions: Partitions
    schedule: Schedule

    @property
    @override
    def name(self) -> str:
        return f"BEFORE THE LAST TICK OF {' '.join(self.schedule.crons)}"

    @property
    def crons(self) -> list[tuple[str, str]]:
        """Whose ticks change the answer."""
        return [(cron, self.schedule.timezone) for cron in self.schedule.crons]

    @override
    def compute_subset(self, context: _Context) -> _Subset:
        time = self.partitions.timed
        newest = time.newest_due(self._last_tick(context.evaluation_time))
        if newest is None or newest == time.first_key:
            return context.get_empty_subset()
        candidates = context.candidate_subset
        if isinstance(candidates.get_internal_value(), TimeWindowPartitionsSubset):
            last = time.trailing(newest, 2)[0]
            past = dg.PartitionKeyRange(time.first_key, last)
            view = context.asset_graph_view
            return candidates.compute_intersection(
                view.get_entity_subset_in_range(context.key, past)
            )
        keys = map(str, candidates.expensively_compute_partition_keys())
        values = self.partitions.values_of
        return subset_of(context, {key for key in keys if values(key)[TIME] < newest})

    def _last_tick(self, now: datetime) -> datetime:
        # The iterator gives what lies before its end; a tick of this very second has passed.
        end = (now + timedelta(seconds=1)).timestamp()
        zone = self.schedule.timezone
        return max(
            next(reverse_cron_string_iterator(end, cron, zone)) for cron in self.schedule.crons
        )


@record
class RequestedApart(SubsetAutomationCondition[AssetKey]):
    """An input that this tick requests, but in a run of its own: what reads it waits for that."""

    @property
    @override
    def name(self) -> str:
        return "REQUESTED IN ANOTHER RUN"

    @override
    def compute_subset(self, context: _Context) -> _Subset:
        requested = context.request_subsets_by_key.get(context.key)
        if requested is None or requested.is_empty:
            return context.get_empty_subset()
        together = executable_in_same_run(
            asset_graph=context.asset_graph,  # pyright: ignore[reportArgumentType]
            child_key=context.root_context.key,
            parent_key=context.key,
        )
        return context.get_empty_subset() if together else requested


@record
class Stale(SubsetAutomationCondition[AssetKey]):
    """What freshness asks to be built: Dagster has called it stale, and it still is.

    What was never built, or what a deadline is near for, is asked for though it isn't stale yet.
    """

    policy: Freshness
    partitions: Partitions | None

    @property
    @override
    def name(self) -> str:
        return "STALE"

    @override
    async def compute_subset(self, context: _Context) -> _Subset:  # pyright: ignore[reportIncompatibleMethodOverride]
        view, now = context.asset_graph_view, context.evaluation_time
        published = await published_by(view, context.key, context.partitions_def, self.partitions)
        if to_refresh(self.policy, self.partitions, published, now) is None:
            return context.get_empty_subset()
        built = published.at if self.partitions is None else published.newest or published.at
        if self.policy.deadline is None and built is not None:
            state = await FreshnessStateRecord.gen(view, context.key)
            known = state.freshness_state if state else None
            if known not in {FreshnessState.WARN, FreshnessState.FAIL}:
                return context.get_empty_subset()
        return await self._lacking(context)

    async def _lacking(self, context: _Context) -> _Subset:
        """Of partitions of time those of the newest that aren't there, else all."""
        if self.partitions is None or self.partitions.time is None:
            return context.candidate_subset
        newest = subset_of(context, set(self.partitions.newest_due(context.evaluation_time)))
        return await context.asset_graph_view.compute_missing_subset(
            key=context.key, from_subset=newest
        )


def subset_of(context: _Context, keys: set[str]) -> _Subset:
    """Partitions of the asset by their keys."""
    definition = context.partitions_def
    if definition is None or not keys:
        return context.get_empty_subset()
    if isinstance(definition, dg.MultiPartitionsDefinition):
        keys = {definition.get_partition_key_from_str(key) for key in keys}
    view = context.asset_graph_view
    return view.get_subset_from_partition_keys(context.key, definition, keys)


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
        case Stale() | NotOver() | RequestedApart():
            return "asset"
        case _:
            return None
