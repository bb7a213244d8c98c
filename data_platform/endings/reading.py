"""Reads what came of a run from Dagster's records, whoever started it and however it ended.

Called by `telling`.
"""

from collections.abc import Mapping

import dagster as dg
from dagster._core.storage.tags import (
    AUTOMATION_CONDITION_TAG,
    BACKFILL_ID_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
)

from data_platform.endings.facts import AssetFacts, Outcome, RunFacts
from data_platform.plan.pipelines import PipelinePlan
from data_platform.range_runs.outcomes import Outcome as AssetOutcome
from data_platform.range_runs.outcomes import outcomes_of
from data_platform.run_tags import CAUSE_TAG

_CAUSES = {
    SCHEDULE_NAME_TAG: "schedule {}",
    BACKFILL_ID_TAG: "backfill {}",
    AUTOMATION_CONDITION_TAG: "automation",
    SENSOR_NAME_TAG: "sensor {}",
}
_OUTCOMES: dict[dg.DagsterRunStatus, Outcome] = {
    dg.DagsterRunStatus.SUCCESS: "success",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "canceled",
}


def facts_of(instance: dg.DagsterInstance, run_id: str, pipeline: PipelinePlan) -> RunFacts | None:
    """What came of the assets of a pipeline in a run; None where it isn't over, or has none.

    Args:
        instance: Dagster's.
        run_id: of the run.
        pipeline: of which it may be.
    """
    record = instance.get_run_record_by_id(run_id)
    if record is None or record.dagster_run.status not in _OUTCOMES:
        return None
    run = record.dagster_run
    found = outcomes_of(instance, run, pipeline.nodes)
    if not found:
        return None
    assets = tuple(_asset(outcome) for outcome in found.values())
    outcome = _OUTCOMES[run.status]
    if outcome == "success" and any(asset.outcome != "success" for asset in assets):
        outcome = "failed"
    started, ended = record.start_time, record.end_time
    return RunFacts(
        pipeline.name,
        run_id,
        outcome,
        assets,
        max(0.0, ended - started) if started and ended else 0.0,
        _cause(run.tags),
        f"/runs/{run_id}",
        None if outcome == "success" else _message(instance, run_id),
    )


def _asset(outcome: AssetOutcome) -> AssetFacts:
    report = outcome.report
    return AssetFacts(
        str(report.key),
        report.state,
        len(outcome.done),
        report.failed,
        report.rows_in,
        report.rows_out,
        report.quarantined,
        report.seconds,
        report.message,
    )


def _cause(tags: Mapping[str, str]) -> str | None:
    if CAUSE_TAG in tags:
        return tags[CAUSE_TAG]
    return next((text.format(tags[tag]) for tag, text in _CAUSES.items() if tag in tags), None)


def _message(instance: dg.DagsterInstance, run_id: str) -> str | None:
    ends = {dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED}
    told = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=ends)]
    return next((event.message for event in reversed(told) if event and event.message), None)
