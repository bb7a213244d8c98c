"""Tells of the end of each run of a pipeline that has `on_finish`, on from the first start.

Called by `definitions` as a sensor. It looks at runs that have ended lately, again and again: what
was told is marked, so that nothing is missed where clocks differ or the daemon was away.
"""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.endings.telling import tell_end
from data_platform.plan.pipelines import PipelinePlan

SECONDS = 10
TICK_SECONDS = 20.0
"""After which a tick begins no other function."""
BACK = timedelta(minutes=10)
_AT_ONCE = 200
_ENDS = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def endings_sensor(pipelines: Sequence[PipelinePlan]) -> dg.SensorDefinition | None:
    """The sensor; None where no pipeline has `on_finish`."""
    telling = [pipeline for pipeline in pipelines if pipeline.on_finish]
    if not telling:
        return None
    keys = [asset_key(node.key) for pipeline in telling for node in pipeline.nodes]

    @dg.sensor(
        name="endings",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SECONDS,
        description="Calls `on_finish` of pipelines after each of their runs.",
        asset_selection=dg.AssetSelection.assets(*keys),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        first, since = _read(context.cursor)
        until = time.monotonic() + TICK_SECONDS
        complaints: list[str] = []
        done = 0
        for record in _ended(context.instance, max(first, since - BACK)):
            if time.monotonic() >= until:
                break
            complaints += tell_end(context.instance, record.dagster_run.run_id, telling)
            since = max(since, _updated(record))
            done += 1
        told = "; ".join(complaints) or f"looked at {done} runs that have ended"
        return dg.SensorResult(skip_reason=told, cursor=_written(first, since))

    return sensor


def _ended(instance: dg.DagsterInstance, since: datetime) -> Iterator[dg.RunRecord]:
    """The runs that have ended since, the earliest first."""
    while True:
        records = instance.get_run_records(
            dg.RunsFilter(statuses=_ENDS, updated_after=since),
            limit=_AT_ONCE,
            order_by="update_timestamp",
            ascending=True,
        )
        yield from records
        if len(records) < _AT_ONCE:
            return
        since = _updated(records[-1])


def _updated(record: dg.RunRecord) -> datetime:
    return record.update_timestamp.replace(tzinfo=UTC)


def _read(cursor: str | None) -> tuple[datetime, datetime]:
    """Since when this looks, and up to when it has. What ended before it was there isn't told."""
    if cursor is None:
        now = datetime.now(UTC)
        return now, now
    first, since = json.loads(cursor)
    return datetime.fromisoformat(first), datetime.fromisoformat(since)


def _written(first: datetime, since: datetime) -> str:
    return json.dumps([first.isoformat(), since.isoformat()])
