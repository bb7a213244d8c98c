"""Jobs of Kubernetes that runs and steps were made of: which have had their time, and go.

Called by `pod_launcher`, every minute in the daemon. Kubernetes removes each finished Job after the
time that it was made with, failed ones and others alike; that time is the long one, of those that
failed. What succeeded is removed here, sooner. So are Jobs that work on though their run is over:
whoever made it anew must not share partitions with them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from dagster import DagsterRunStatus
from kubernetes.client import BatchV1Api
from kubernetes.client.rest import ApiException

RUN_ID_LABEL = "dagster/run-id"
_STEP_LABEL = "dagster/op"
_PAGE = 500
_GONE = 404
GRACE_SECONDS = 60.0
"""So long a Job may go on after its run has ended, and a run after its Job has."""
_WAITING = {DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING}
"""Of a run whose Job is over: nobody else ends it before its timeout."""

Due = Literal["delete", "end run"]


@dataclass(frozen=True)
class RunJob:
    """A Job as the cluster has it.

    Attributes:
        run_id: whose it is.
        of_step: whether it is of one step of that run, not of the run itself.
        since: when it was made, or is over: aware.
        state: of its pods.
    """

    name: str
    run_id: str
    of_step: bool
    since: datetime
    state: Literal["active", "succeeded", "failed"]


@dataclass(frozen=True)
class RunSeen:
    """A run as Dagster has it.

    Attributes:
        ended: when, aware; None where it goes on.
    """

    status: DagsterRunStatus
    ended: datetime | None


def due(job: RunJob, run: RunSeen | None, keep_seconds: float, now: datetime) -> Due | None:
    """What is to be done about a Job; None where nothing is.

    Args:
        job: any of a run.
        run: whose it is; None where Dagster has it no longer.
        keep_seconds: for which a Job that succeeded is kept.
        now: aware.
    """
    age = (now - job.since).total_seconds()
    if run is not None and run.ended is None:
        over = job.state != "active" and not job.of_step and age >= GRACE_SECONDS
        return "end run" if over and run.status in _WAITING else None
    if job.state == "active":
        since = run.ended if run is not None and run.ended is not None else job.since
        return "delete" if (now - since).total_seconds() >= GRACE_SECONDS else None
    if job.state == "succeeded":
        return "delete" if age >= keep_seconds else None
    return None


def jobs_of_runs(api: BatchV1Api, namespace: str, labels: Mapping[str, str]) -> Iterator[RunJob]:
    """All Jobs of runs and steps.

    Args:
        api: of the cluster.
        namespace: where they are.
        labels: that all of them have.
    """
    wanted = ",".join([RUN_ID_LABEL, *(f"{name}={text}" for name, text in labels.items())])
    following = None
    while True:
        page: Any = api.list_namespaced_job(
            namespace, label_selector=wanted, limit=_PAGE, _continue=following
        )
        for job in page.items:
            own = job.metadata.labels or {}
            if RUN_ID_LABEL in own and labels.items() <= own.items():
                yield _seen(job)
        following = page.metadata._continue  # noqa: SLF001 -- so is a reserved word called
        if not following:
            return


def delete(api: BatchV1Api, namespace: str, name: str) -> bool:
    """Delete a Job with its pods. False if it was gone."""
    try:
        api.delete_namespaced_job(name, namespace, propagation_policy="Background")
    except ApiException as error:
        if error.status == _GONE:
            return False
        raise
    return True


def _seen(job: Any) -> RunJob:
    labels, status = job.metadata.labels, job.status
    over = bool(status) and not status.active and bool(status.succeeded or status.failed)
    since = _over_since(status) if over else None
    return RunJob(
        name=job.metadata.name,
        run_id=labels[RUN_ID_LABEL],
        of_step=_STEP_LABEL in labels,
        since=since or job.metadata.creation_timestamp or datetime.now(UTC),
        state="active" if not over else "succeeded" if status.succeeded else "failed",
    )


def _over_since(status: Any) -> datetime | None:
    if status.completion_time:
        return status.completion_time
    times = [one.last_transition_time for one in status.conditions or [] if one.status == "True"]
    return max((one for one in times if one), default=None)
