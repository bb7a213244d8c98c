"""Freshness as Dagster's daemon judges it: by the newest due partition, as `plan.freshness` says.

Dagster's own evaluators are content with any partition that was materialized last, and call what
was never materialized unknown. `storage`, which every process of Dagster loads, puts these in their
place; so the UI, automation and the command's `status` say the same. `automation` asks
`published_by` here, too. It must not know pipelines: policies and partitions are Dagster's.

Dagster calls the evaluators for all assets of a look together, and its loaders gather what they
ask: one query for all records, and none for partitions of which nothing has happened since.
"""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
from dagster._core.definitions import freshness_evaluator
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetNode
from dagster._core.definitions.freshness import (
    CronFreshnessPolicy,
    FreshnessPolicy,
    FreshnessState,
    TimeWindowFreshnessPolicy,
)
from dagster._core.definitions.freshness_evaluator import FreshnessPolicyEvaluator
from dagster._core.definitions.partitions.subset import PartitionsSubset, TimeWindowPartitionsSubset
from dagster._core.loader import LoadingContext
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.partition_status_cache import AssetStatusCacheValue
from dagster._time import get_current_datetime

from data_platform.plan.freshness import Published, judge_freshness, published_of
from data_platform.plan.partitions import Dimension, Every, Partitions, TimePartitions
from data_platform.plan.partitions.kinds import TIME
from data_platform.spec.automation import Freshness

_STATES = {
    "pass": FreshnessState.PASS,
    "warn": FreshnessState.WARN,
    "fail": FreshnessState.FAIL,
    "none": FreshnessState.NOT_APPLICABLE,
}
_TICK = timedelta(microseconds=1)


class NewestDueEvaluator(FreshnessPolicyEvaluator):
    """Judges an asset by what is published of what is due."""

    async def evaluate_freshness(
        self, context: LoadingContext, node: BaseAssetNode
    ) -> FreshnessState:
        """How fresh an asset is now."""
        policy = node.freshness_policy_or_from_metadata
        limits = limits_of(policy) if policy else None
        partitions = partitions_of(node.partitions_def)
        published = await published_by(context, node.key, node.partitions_def, partitions)
        return _STATES[judge_freshness(limits, partitions, published, get_current_datetime()).state]


def judge_by_newest_due() -> None:
    """Put the evaluator in the place of Dagster's own, in this process."""
    evaluators = freshness_evaluator.FRESHNESS_EVALUATORS_BY_POLICY_TYPE
    for kind in (TimeWindowFreshnessPolicy, CronFreshnessPolicy):
        evaluators[kind] = NewestDueEvaluator


async def published_by(
    context: LoadingContext,
    key: dg.AssetKey,
    definition: dg.PartitionsDefinition | None,
    partitions: Partitions | None,
) -> Published:
    """What the event log knows to be published of an asset.

    Args:
        context: whose loaders are asked.
        key: of the asset.
        definition: Dagster's partitions of it.
        partitions: the same; None where they are of a kind that the platform doesn't have.
    """
    record = await AssetRecord.gen(context, key)
    last = record.asset_entry.last_materialization_record if record else None
    at = datetime.fromtimestamp(last.timestamp, UTC) if last else None
    if at is None or definition is None or partitions is None:
        return Published(at)
    status = _kept_status(record, definition) if record else None
    if status is None:
        status = await AssetStatusCacheValue.gen(context, (key, definition))
    if status is None:
        return published_of(partitions, (), at)
    subset = status.deserialize_materialized_partition_subsets(definition)
    return _published_of(partitions, subset, at)


def _kept_status(
    record: AssetRecord, definition: dg.PartitionsDefinition
) -> AssetStatusCacheValue | None:
    """What Dagster keeps with the asset, where nothing was materialized since.

    Dagster's own way there asks two questions for each asset, about runs in progress.
    """
    entry = record.asset_entry
    kept, newest = entry.cached_status, entry.last_materialization_storage_id
    if kept is None or newest is None or kept.latest_storage_id < newest:
        return None
    same = kept.partitions_def_id == definition.get_serializable_unique_identifier()
    return kept if same else None


def _published_of(partitions: Partitions, subset: PartitionsSubset, at: datetime) -> Published:
    if isinstance(subset, TimeWindowPartitionsSubset) and partitions.time is not None:
        ends = [window.end for window in subset.included_time_windows]
        return Published(at, partitions.time.key_at(max(ends) - _TICK) if ends else None)
    return published_of(partitions, subset.get_partition_keys(), at)


def limits_of(policy: FreshnessPolicy) -> Freshness | None:
    """A policy of Dagster's as the language has it."""
    match policy:
        case TimeWindowFreshnessPolicy():
            return Freshness(
                fail_after=policy.fail_window.to_timedelta(),
                warn_after=policy.warn_window.to_timedelta() if policy.warn_window else None,
            )
        case CronFreshnessPolicy():
            return Freshness(
                deadline=policy.deadline_cron,
                within=policy.lower_bound_delta,
                timezone=policy.timezone,
            )
        case _:
            return None


def partitions_of(definition: dg.PartitionsDefinition | None) -> Partitions | None:
    """Dagster's partitions as the plan has them; None where the plan has no such kind."""
    match definition:
        case dg.TimeWindowPartitionsDefinition():
            time = _time_of(definition)
            return Partitions(time) if time else None
        case dg.StaticPartitionsDefinition():
            return Partitions(by=(_dimension("value", definition),))
        case dg.MultiPartitionsDefinition():
            return _combined(definition)
        case dg.DynamicPartitionsDefinition(name=str(name)):
            return Partitions(dynamic=name)
        case _:
            return None


def _combined(definition: dg.MultiPartitionsDefinition) -> Partitions | None:
    time, by = None, list[Dimension]()
    for part in definition.partitions_defs:
        match part.partitions_def:
            case dg.StaticPartitionsDefinition() as values:
                by.append(_dimension(part.name, values))
            case dg.TimeWindowPartitionsDefinition() as windows if part.name == TIME:
                time = _time_of(windows)
                if time is None:
                    return None
            case _:
                return None
    return Partitions(time, tuple(by))


def _dimension(name: str, definition: dg.StaticPartitionsDefinition) -> Dimension:
    return Dimension(name, name, tuple(definition.get_partition_keys()))


def _time_of(definition: dg.TimeWindowPartitionsDefinition) -> TimePartitions | None:
    every = _length(definition.cron_schedule)
    if every is None:
        return None
    return TimePartitions(
        every,
        definition.start.date(),
        _day(definition.end),
        definition.timezone,
    )


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _length(cron: str) -> Every | None:
    """The partitions that begin with the ticks of a cron expression, where these are ours."""
    match cron.split():
        case ["0", "*", "*", "*", "*"]:
            return "hour"
        case ["0", "0", "*", "*", "*"]:
            return "day"
        case ["0", "0", "*", "*", weekday] if weekday.isdigit():
            return "week"
        case ["0", "0", "1", "*", "*"]:
            return "month"
        case _:
            return None
