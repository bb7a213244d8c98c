"""After a run of a range in which partitions failed: what is below is built for the sound ones.

Called by `definitions` as a sensor. It looks after runs that the UI, a backfill of Dagster's, a
schedule or a condition started; commands do it themselves. Whatever a follow-up leaves undone
counts as failed, so that it ends.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from data_platform.asset_specs import asset_key
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode
from data_platform.plan.pipelines import Plan
from data_platform.range_runs.open_work import Standing, open_work
from data_platform.range_runs.outcomes import assets_of, outcomes_of
from data_platform.range_runs.parts import Part, parts_of, waits
from data_platform.range_runs.tags import partition_tags, partitions_of
from data_platform.run_tags import (
    CAUSE_TAG,
    FORCE_TAG,
    ORIGIN_TAG,
    PINNED_EVENTS_TAG,
    PINNED_TAG,
)

FOLLOWS_TAG = "data_platform/follow_up_of"
"""Of a follow-up: the run after which it comes."""
SECONDS = 15
LOOKED_AT = 50
"""Runs that failed, in one tick."""
_CARRIED = (FORCE_TAG, PINNED_TAG, PINNED_EVENTS_TAG)
_OTHERS = (ORIGIN_TAG, FOLLOWS_TAG)
"""Runs that somebody else looks after: a command, or this sensor by the run that they follow."""


def follow_ups_sensor(plan: Plan) -> dg.SensorDefinition:
    """Looks at runs that failed, on from the first start."""
    nodes = [node for pipeline in plan.pipelines for node in pipeline.nodes]

    @dg.sensor(
        name="follow_ups",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SECONDS,
        description="Builds what is below for the sound partitions of a run in which some failed.",
        asset_selection=dg.AssetSelection.assets(*(asset_key(node.key) for node in nodes)),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        since, looked_after = _read(context.cursor)
        failed = _failed_since(context.instance, since)
        if failed:
            since = failed[-1].update_timestamp
        looked_after += [one.dagster_run.run_id for one in failed if _concerns(one.dagster_run)]
        requests: list[dg.RunRequest] = []
        left: list[str] = []
        for run_id in dict.fromkeys(looked_after):
            run = context.instance.get_run_by_id(run_id)
            found = _follow_ups(context.instance, run, nodes) if run else None
            if found is not None:
                requests += found
                left.append(run_id)
        cursor = json.dumps({"since": since.isoformat(), "open": left})
        why = None if requests else dg.SkipReason(_in_words(failed, left))
        return dg.SensorResult(requests or None, skip_reason=why, cursor=cursor)

    return sensor


def _follow_ups(
    instance: dg.DagsterInstance, run: dg.DagsterRun, nodes: Sequence[AnyNode]
) -> list[dg.RunRequest] | None:
    """What can begin now; None where nothing is left, or ever was."""
    selected = assets_of(instance, run)
    own = [node for node in nodes if asset_key(node.key) in selected and node.enabled]
    outcomes = outcomes_of(instance, run, own)
    if not any(one.report.failed for one in outcomes.values()):
        return None
    wanted = {key: one.partitions for key, one in outcomes.items()}
    standing = Standing()
    for key, one in outcomes.items():
        standing.add(key, one.done, one.report.failed)
    follow_ups = instance.get_runs(dg.RunsFilter(tags={FOLLOWS_TAG: run.run_id}))
    for one in follow_ups:
        if one.is_finished:
            for key, made in outcomes_of(instance, one, own).items():
                standing.add(key, made.done, set(made.partitions) - made.done)
    left = open_work(own, wanted, standing)
    for node in own:
        if node.key in left:
            standing.add(node.key, _made_since(instance, run, node, left[node.key]))
    left = open_work(own, wanted, standing)
    if not left:
        return None
    flying = _flying(instance, own)
    idle = {key: set(keys) - flying.get(key, set()) for key, keys in left.items()}
    ready = [part for part in parts_of(own, idle) if not waits(part, left)]
    return [
        _request(run, part, f"{run.run_id}/{len(follow_ups) + number}")
        for number, part in enumerate(ready)
    ]


def _request(run: dg.DagsterRun, part: Part, run_key: str) -> dg.RunRequest:
    """A follow-up, with the values that the run was given."""
    steps = {node.step_name for node in part.nodes}
    given = cast("Mapping[str, Any]", (run.run_config or {}).get("ops", {}))
    config = {name: value for name, value in given.items() if name in steps}
    carried = {tag: run.tags[tag] for tag in _CARRIED if tag in run.tags}
    return dg.RunRequest(
        run_key=run_key,
        asset_selection=[asset_key(node.key) for node in part.nodes],
        run_config={"ops": config} if config else {},
        tags={
            **carried,
            **partition_tags(part.partitions, part.keys),
            FOLLOWS_TAG: run.run_id,
            CAUSE_TAG: f"follow-up of run {run.run_id[:8]}",
        },
    )


def _made_since(
    instance: dg.DagsterInstance, run: dg.DagsterRun, node: AnyNode, keys: Iterable[str]
) -> set[str]:
    """The partitions that others have published since the run ended."""
    ends = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    if not ends:
        return set()
    after = ends[0].storage_id
    if node.partitions is None:
        [record] = instance.get_asset_records([asset_key(node.key)]) or [None]
        newest = record.asset_entry.last_materialization_storage_id if record else None
        return {WHOLE} if newest is not None and newest > after else set()
    return set(
        instance.event_log_storage.get_latest_storage_id_by_partition(
            asset_key(node.key), dg.DagsterEventType.ASSET_MATERIALIZATION, set(keys), after
        )
    )


def _flying(instance: dg.DagsterInstance, nodes: Sequence[AnyNode]) -> dict[Key, set[str]]:
    """The partitions that some run is making, or will."""
    found: dict[Key, set[str]] = {}
    for run in instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)):
        for node in nodes:
            if asset_key(node.key) in (run.asset_selection or ()):
                keys = partitions_of(run.tags, node.partitions, instance)
                found.setdefault(node.key, set()).update(keys)
    return found


def _failed_since(instance: dg.DagsterInstance, since: datetime) -> Sequence[dg.RunRecord]:
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    return instance.get_run_records(
        wanted, limit=LOOKED_AT, order_by="update_timestamp", ascending=True
    )


def _concerns(run: dg.DagsterRun) -> bool:
    return not any(tag in run.tags for tag in _OTHERS)


def _read(cursor: str | None) -> tuple[datetime, list[str]]:
    """From when on runs are new, and those that aren't done with."""
    if cursor is None:
        return datetime.now(UTC), []
    said = json.loads(cursor)
    return datetime.fromisoformat(said["since"]), list(said["open"])


def _in_words(failed: Sequence[dg.RunRecord], left: Sequence[str]) -> str:
    if left:
        return f"waits for what goes on below {', '.join(_short(left))}"
    if failed:
        ids = (one.dagster_run.run_id for one in failed)
        return f"nothing sound is left to build below {', '.join(_short(ids))}"
    return "no run failed since the last look"


def _short(run_ids: Iterable[str]) -> Iterator[str]:
    return (run_id[:8] for run_id in run_ids)
