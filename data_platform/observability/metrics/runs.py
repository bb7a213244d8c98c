"""When runs were asked for and started, and of which pipelines they are.

Called by `counting` for the runs of a batch of events: one query.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC

from dagster import DagsterInstance, RunsFilter
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.tags import BACKFILL_ID_TAG, CODE_LOCATION_TAG

from data_platform.observability.metrics.catalogue import NO_PIPELINE
from data_platform.observability.metrics.known import key_of
from data_platform.run_tags import CAUSE_TAG, is_forced


@dataclass(frozen=True)
class RunTimes:
    """What counters need of a run.

    Attributes:
        pipelines: of its assets.
        asked_at, started_at: in seconds since 1970; None where that isn't so yet.
        location: what Dagster calls the code location that it is of, where that is known.
        catches_up: whether it builds what was due long ago, or is there already.
    """

    pipelines: tuple[str, ...] = (NO_PIPELINE,)
    asked_at: float | None = None
    started_at: float | None = None
    catches_up: bool = False
    location: str | None = None


def read_runs(instance: DagsterInstance, run_ids: Collection[str]) -> dict[str, RunTimes]:
    """The runs that are still there, by their identities."""
    if not run_ids:
        return {}
    records = instance.get_run_records(RunsFilter(run_ids=sorted(run_ids)))
    return {record.dagster_run.run_id: _times(record) for record in records}


def _times(record: RunRecord) -> RunTimes:
    run = record.dagster_run
    keys = map(key_of, run.asset_selection or ())
    pipelines = {key.pipeline for key in keys if key}
    backfill = BACKFILL_ID_TAG in run.tags or run.tags.get(CAUSE_TAG, "").startswith("backfill")
    return RunTimes(
        tuple(sorted(pipelines)) or (NO_PIPELINE,),
        record.create_timestamp.replace(tzinfo=UTC).timestamp(),
        record.start_time,
        backfill or is_forced(run.tags),
        run.tags.get(CODE_LOCATION_TAG),
    )
