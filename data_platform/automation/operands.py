"""What the presets ask that Dagster's own operands of conditions can't say.

Called by `conditions` and `operators`, evaluated by Dagster in the code server.

Every operand answers for the partitions that it is asked about, by keys of the plan; so nothing
here lists ten years of hours.
"""

from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from dagster import AssetKey
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
from dagster._record import record
from dagster._utils.schedules import reverse_cron_string_iterator
from typing_extensions import override

from data_platform.instance.freshness import published_by
from data_platform.plan.freshness import to_refresh
from data_platform.plan.partitions import Partitions, TimePartitions
from data_platform.plan.partitions.kinds import TIME
from data_platform.spec.automation import Freshness, Schedule

Context = AutomationContext[Any]
Subset = EntitySubset[Any]


@record
class NotOver(SubsetAutomationCondition[AssetKey]):
    """False once the last partition was due a whole partition ago: time asks for nothing more."""

    time: TimePartitions

    @property
    @override
    def name(self) -> str:
        return f"BEFORE THE END {self.time.end}"

    @override
    def compute_subset(self, context: Context) -> Subset:
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
        return f"before the last tick of {' '.join(self.schedule.crons)}"

    @property
    def crons(self) -> list[tuple[str, str]]:
        """Whose ticks change the answer."""
        return [(cron, self.schedule.timezone) for cron in self.schedule.crons]

    @override
    def compute_subset(self, context: Context) -> Subset:
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
class Busy(SubsetAutomationCondition[AssetKey]):
    """In progress, in a run or a backfill, or about to be in a run that this one isn't in.

    One operand for several of Dagster's: it stands twice in the condition of nearly every asset.
    """

    @property
    @override
    def name(self) -> str:
        return "in progress"

    @override
    async def compute_subset(self, context: Context) -> Subset:  # pyright: ignore[reportIncompatibleMethodOverride]
        busy = await in_progress(context)
        requested = context.request_subsets_by_key.get(context.key)
        if requested is None or requested.is_empty or context.key == context.root_context.key:
            return busy
        together = executable_in_same_run(
            asset_graph=context.asset_graph,  # pyright: ignore[reportArgumentType]
            child_key=context.root_context.key,
            parent_key=context.key,
        )
        return busy if together else busy.compute_union(requested)


async def in_progress(context: Context) -> Subset:
    """The partitions of the asset that a run or a backfill is at."""
    view, key = context.asset_graph_view, context.key
    whole = view.get_full_subset(key=key)
    busy = await view.compute_run_in_progress_subset(key=key, from_subset=whole)
    backfilled = await view.compute_backfill_in_progress_subset(key=key, from_subset=whole)
    return busy.compute_union(backfilled)


@record
class Asked(BuiltinAutomationCondition[AssetKey]):
    """Requested, and not built since."""

    @property
    @override
    def name(self) -> str:
        return "requested and not built"

    @override
    def get_node_unique_id(self, *, target_key: Any, **_: Any) -> str:
        return self._get_stable_unique_id(target_key)

    @override
    async def evaluate(self, context: Context) -> AutomationResult[AssetKey]:  # pyright: ignore[reportIncompatibleMethodOverride]
        asked = context.previous_true_subset or context.get_empty_subset()
        if requested := context.get_previous_requested_subset(context.key):
            asked = asked.compute_union(requested)
        if not asked.is_empty and context.previous_temporal_context is not None:
            updated = await context.asset_graph_view.compute_updated_since_temporal_context_subset(
                key=context.key, temporal_context=context.previous_temporal_context
            )
            asked = asked.compute_difference(updated)
        return AutomationResult(context, asked)


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
        return "stale"

    @override
    async def compute_subset(self, context: Context) -> Subset:  # pyright: ignore[reportIncompatibleMethodOverride]
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

    async def _lacking(self, context: Context) -> Subset:
        """Of partitions of time those of the newest that aren't there, else all."""
        if self.partitions is None or self.partitions.time is None:
            return context.candidate_subset
        newest = subset_of(context, set(self.partitions.newest_due(context.evaluation_time)))
        return await context.asset_graph_view.compute_missing_subset(
            key=context.key, from_subset=newest
        )


def subset_of(context: Context, keys: set[str]) -> Subset:
    """Partitions of the asset by their keys."""
    definition = context.partitions_def
    if definition is None or not keys:
        return context.get_empty_subset()
    if isinstance(definition, dg.MultiPartitionsDefinition):
        keys = {definition.get_partition_key_from_str(key) for key in keys}
    view = context.asset_graph_view
    return view.get_subset_from_partition_keys(context.key, definition, keys)
