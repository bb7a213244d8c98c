"""Launches runs, and tells Dagster's run monitoring which of them have died.

Named by `dagster.yaml`; the daemon asks it every few seconds about every started run, those of the
command line too. `reap_dead_runs` does the same once, for machines where no daemon runs. Whether a
run lives is decided in `liveness`; this module only knows how Dagster asks.
"""

import time
from collections.abc import Mapping
from typing import Any

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, DefaultRunLauncher, RunsFilter
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._serdes import ConfigurableClassData

from data_platform.instance import PlatformRunStorage
from data_platform.liveness import CHECK_SECONDS, Absences

MONITOR_PATIENCE_SECONDS = 12.0
"""Of the daemon: six looks of a holder that lost its connection."""

COMMAND_PATIENCE_SECONDS = 2.5 * CHECK_SECONDS
"""Of the command, which a person waits for, and only when a run seems to be dead."""

DEAD = "The process that executed this run is gone: it was killed, or its machine went away."


class PlatformRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, with a health check that works across processes and hosts."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._absences: Absences | None = None

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData,
        config_value: Mapping[str, Any],  # noqa: ARG003 -- there is nothing to configure
    ) -> "PlatformRunLauncher":
        """Called by Dagster."""
        return cls(inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Only where started runs hold their lock of life."""
        return isinstance(self._instance.run_storage, PlatformRunStorage)

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Say FAILED for a run whose process has been gone for a while, RUNNING otherwise.

        Asked about runs in the state STARTED only; those that are still starting have
        `start_timeout_seconds` of the run monitoring.
        """
        if self._absences is None:
            self._absences = _absences(self._instance, MONITOR_PATIENCE_SECONDS)
        if self._absences.dead([run.run_id]):
            return CheckRunHealthResult(WorkerStatus.FAILED, DEAD)
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def reap_dead_runs(instance: DagsterInstance) -> list[str]:
    """End the runs whose process is gone, and free their pool slots.

    Started runs are failed, those being cancelled are cancelled. Takes a few milliseconds, and some
    seconds if there are any.

    Returns:
        The ids of the runs that were ended.
    """
    if not isinstance(instance.run_storage, PlatformRunStorage):
        return []
    absences = _absences(instance, COMMAND_PATIENCE_SECONDS)
    dead = absences.dead(_in_progress(instance))
    if absences.suspected():
        time.sleep(COMMAND_PATIENCE_SECONDS)
        dead = absences.dead(_in_progress(instance))
    return [run_id for run_id in sorted(dead) if _end(instance, run_id)]


def _in_progress(instance: DagsterInstance) -> list[str]:
    statuses = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    return [run.run_id for run in instance.get_runs(filters=RunsFilter(statuses=statuses))]


def _end(instance: DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    if run is None:
        return False
    if run.status == DagsterRunStatus.STARTED:
        instance.report_run_failed(run, DEAD)
    elif run.status == DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, DEAD)
    else:
        return False
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return True


def _absences(instance: DagsterInstance, patience: float) -> Absences:
    storage = instance.run_storage
    if not isinstance(storage, PlatformRunStorage):
        raise TypeError(f"runs of {type(storage).__name__} hold no locks")
    return Absences(storage.postgres_url, patience)
