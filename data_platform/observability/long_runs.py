"""Runs that stand still, and runs that go on for hours, with the assets at which they are.

Called by `overview`. Whether a run has a process is told by its lock, see `instance.liveness`.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.execution.stats import StepEventStatus
from dagster._core.storage.dagster_run import RunRecord

from data_platform.instance.liveness import alive_runs
from data_platform.instance.own_tables import has_tables, transaction
from data_platform.observability.alerts.titles import span_words
from data_platform.observability.platform_troubles import Trouble
from data_platform.plan.keys import Key
from data_platform.plan.pipelines import Plan

LONG = timedelta(hours=1)
"""For which a run goes on without being told."""
_NAMED = 3


def of_runs(instance: DagsterInstance, plan: Plan, now: datetime) -> Iterator[Trouble]:
    """Runs that somebody is to look at, the oldest first.

    Args:
        instance: Dagster's.
        plan: of all pipelines.
        now: an aware moment.
    """
    statuses = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    records = (
        instance.get_run_records(RunsFilter(statuses=statuses)) if has_tables(instance) else ()
    )
    if not records:
        return
    ids = [record.dagster_run.run_id for record in records]
    with transaction(instance) as connection:
        driver: Any = connection.connection.dbapi_connection
        alive = alive_runs(driver, ids)
    steps = {node.step_name: node.key for node in plan.nodes}
    for record in sorted(records, key=_began):
        run_id, span = record.dagster_run.run_id, now - _began(record)
        gone = run_id not in alive
        if gone or span > LONG:
            at = _at(instance, run_id, steps)
            how = "stands still, since its process is gone," if gone else "goes on"
            told = f"run {run_id[:8]} {how} for {span_words(span)}{_words(at)}"
            yield Trouble("runs", "yellow", told, f"data-platform why {at[0]}" if at else "")


def _began(record: RunRecord) -> datetime:
    started = record.start_time or record.create_timestamp.replace(tzinfo=UTC).timestamp()
    return datetime.fromtimestamp(started, UTC)


def _at(instance: DagsterInstance, run_id: str, steps: Mapping[str, Key]) -> list[Key]:
    """The assets whose steps have begun and not ended."""
    stats = instance.get_run_step_stats(run_id)
    going = [one.step_key for one in stats if one.status is StepEventStatus.IN_PROGRESS]
    return [steps[key] for key in going if key in steps]


def _words(keys: list[Key]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return f", at {', '.join(map(str, keys[:_NAMED]))}{more}"
