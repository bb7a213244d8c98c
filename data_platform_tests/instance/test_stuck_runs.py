"""Runs that are stuck in a state are ended by Dagster's monitoring, and their slots are free.

Each state is written, and the clock of the monitoring moved; nothing waits. Dagster's daemon asks
as here, with the instance's own settings and launcher.
"""

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import should_retry
from dagster._daemon.monitoring import concurrency, run_monitoring

from data_platform.instance import launcher as run_launcher
from data_platform.instance.pool_slots import POOL_SLOTS_TAG

POOL = "memory"
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(
        GrpcServerCodeLocationOrigin("localhost", port=4000, location_name="x"), "__repository__"
    ),
    "job",
)
Status = dg.DagsterRunStatus
Kind = dg.DagsterEventType
_logger = logging.getLogger("test")


class Monitoring:
    """Dagster's monitoring of runs, at moments of ours."""

    def __init__(
        self, instance: dg.DagsterInstance, workspace: WorkspaceProcessContext,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        self.instance = instance
        self._workspace = workspace
        self._patch = monkeypatch

    def look(self, seconds: float) -> None:
        """As the daemon looks after so many seconds."""
        now = time.time() + seconds
        with self._patch.context() as patch:
            patch.setattr(run_monitoring, "get_current_timestamp", lambda: now)
            patch.setattr(run_monitoring, "time", SimpleNamespace(time=lambda: now))
            look = run_monitoring.execute_run_monitoring_iteration
            assert not any(look(self._workspace, _logger))

    def free(self) -> None:
        """As the daemon frees slots of runs that are over for a second."""
        later = concurrency.get_current_datetime() + timedelta(seconds=5)
        with self._patch.context() as patch:
            patch.setattr(concurrency, "get_current_datetime", lambda: later)
            free = concurrency.execute_concurrency_slots_iteration
            assert not any(free(self._workspace, _logger))

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def slots(self) -> int:
        return self.instance.event_log_storage.get_concurrency_info(POOL).active_slot_count


@pytest.fixture
def monitoring(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Monitoring]:
    instance.event_log_storage.set_concurrency_slots(POOL, 4)
    with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as workspace:
        yield Monitoring(instance, workspace, monkeypatch)


def stuck(instance: dg.DagsterInstance, *kinds: dg.DagsterEventType) -> str:
    """A run that no process executes, after events; its step holds three slots of a pool."""
    asset = dg.asset(name="step", pool=POOL, op_tags={POOL_SLOTS_TAG: "3"})(lambda: None)
    job = dg.Definitions([asset]).resolve_implicit_global_asset_job_def()
    run_id = instance.create_run_for_job(job, tags={"dagster/max_retries": "3"}).run_id
    for kind in kinds:
        instance.report_dagster_event(dg.DagsterEvent(kind.value, "job"), run_id)
    instance.run_storage._locks.release(run_id)
    assert instance.event_log_storage.claim_concurrency_slot(POOL, run_id, "step").is_claimed
    return run_id


@pytest.mark.parametrize(
    ("kinds", "seconds", "end"),
    [
        ((), 60, Status.FAILURE),  # whoever made it was killed before it was launched
        ((Kind.PIPELINE_STARTING,), 60, Status.FAILURE),
        ((Kind.PIPELINE_STARTING, Kind.PIPELINE_CANCELING), 60, Status.CANCELED),
        ((Kind.PIPELINE_START, Kind.PIPELINE_CANCELING), 60, Status.CANCELED),
    ],
)
def test_run_that_is_stuck_is_ended_and_all_its_slots_are_free(
    monitoring: Monitoring,
    kinds: tuple[dg.DagsterEventType, ...],
    seconds: int,
    end: dg.DagsterRunStatus,
) -> None:
    run_id = stuck(monitoring.instance, *kinds)
    monitoring.look(seconds - 10)
    assert monitoring.status(run_id) != end
    assert monitoring.slots() == 3
    monitoring.look(seconds + 1)
    assert monitoring.status(run_id) == end
    monitoring.free()
    assert monitoring.slots() == 0
    ended = monitoring.instance.get_run_by_id(run_id)
    assert ended is not None
    # One that never began is made anew as its retries say, one that somebody ended isn't.
    assert should_retry(ended, monitoring.instance) == (end == Status.FAILURE)


def test_run_whose_process_is_gone_is_failed_and_all_its_slots_are_free(
    monitoring: Monitoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_launcher, "MONITOR_PATIENCE_SECONDS", 0.0)
    run_id = stuck(monitoring.instance, Kind.PIPELINE_START)
    monitoring.look(0)
    assert monitoring.status(run_id) == Status.FAILURE
    monitoring.free()
    assert monitoring.slots() == 0


def test_run_that_waits_in_the_queue_is_let_be(monitoring: Monitoring) -> None:
    waiting = create_run_for_test(
        monitoring.instance, status=Status.QUEUED, remote_job_origin=ORIGIN
    ).run_id
    monitoring.look(24 * 3600)
    assert monitoring.status(waiting) == Status.QUEUED
    assert run_launcher.reap_dead_runs(monitoring.instance) == []


def test_run_that_lives_is_let_be(monitoring: Monitoring) -> None:
    run_id = create_run_for_test(monitoring.instance).run_id
    for kind in (Kind.PIPELINE_STARTING, Kind.PIPELINE_START):
        monitoring.instance.report_dagster_event(dg.DagsterEvent(kind.value, "job"), run_id)
    monitoring.look(24 * 3600)
    assert monitoring.status(run_id) == Status.STARTED
    monitoring.instance.run_storage._locks.release(run_id)
