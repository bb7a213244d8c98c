"""Launches runs, stops them, and tells Dagster's run monitoring which of them have died.

Named by `dagster.yaml`. Runs of the platform's own code location on this machine are forked by a
process that has imported everything, see `forker`; all others are launched as Dagster's default
launcher does. The daemon asks every few seconds about every started run, those of the command line
too. `reap_dead_runs` does the same once, for machines where no daemon runs. Whether a run lives is
decided in `liveness`; this module only knows how Dagster asks.
"""

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

from dagster import (
    BoolSource,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultRunLauncher,
    Field,
    RunsFilter,
)
from dagster._config import UserConfigSchema
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
)
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._serdes import ConfigurableClassData, serialize_value
from dagster._utils.env import using_dagster_dev

from data_platform.instance.forker_process import ForkerProcess, ForkerUnavailable
from data_platform.instance.liveness import CHECK_SECONDS, Absences
from data_platform.instance.run_storage import PlatformRunStorage
from data_platform.instance.worker import RunWorker, end_dead_run
from data_platform.settings import environment

MONITOR_PATIENCE_SECONDS = 12.0
"""Of the daemon: six looks of a holder that lost its connection."""

COMMAND_PATIENCE_SECONDS = 2.5 * CHECK_SECONDS
"""Of the command, which a person waits for, and only when a run seems to be dead."""

DEAD = "The process that executed this run is gone: it was killed, or its machine went away."


DEFINITIONS = "data_platform.definitions"

_logger = logging.getLogger("dagster.data_platform.launcher")


class PlatformRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, with forked processes and a health check across processes.

    In `dagster.yaml`: `run_launcher: {module: data_platform.instance.launcher, class:
    PlatformRunLauncher, config: {}}`; `config: {fork: false}` launches all runs as Dagster's
    default launcher does.
    """

    def __init__(
        self, inst_data: ConfigurableClassData | None = None, *, fork: bool = True
    ) -> None:
        super().__init__(inst_data)
        self._absences: Absences | None = None
        # Of Linux: the forker counts its threads and waits for processes in the kernel's way.
        forks = fork and sys.platform == "linux"
        self._forker = ForkerProcess(environment()) if forks else None

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Read by Dagster."""
        return {"fork": Field(BoolSource, is_required=False, default_value=True)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> "PlatformRunLauncher":
        """Called by Dagster."""
        return cls(inst_data, fork=config_value.get("fork", True))

    def prepare(self) -> None:
        """Make the first run as fast as the others. Called by the process that launches runs."""
        if self._forker:
            self._forker.prepare()

    def dispose(self) -> None:
        """End what helps to launch; runs go on."""
        if self._forker:
            self._forker.stop()
        super().dispose()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Fork a process for the run, or let Dagster start one where that can't be."""
        run = context.dagster_run
        if self._forker and self._may_fork(run):
            try:
                self._fork(self._forker, run)
            except ForkerUnavailable as error:
                message = f"The run is started the slow way: {error}."
                _logger.warning("run %s: %s", run.run_id, message)
                self._instance.report_engine_event(message, run, cls=type(self))
            else:
                return
        super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """Interrupt the run's process."""
        run = self._instance.get_run_by_id(run_id)
        worker = RunWorker.of(run) if run else None
        if run is None or (worker is None and not self._sees_it_itself(run)):
            return super().terminate(run_id)
        if run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        if worker is None:
            return True
        try:
            # Who is gone ended the run, or somebody sees to it; here it is known to be cancelled.
            return worker.interrupt() or end_dead_run(self._instance, run_id, DEAD)
        except RuntimeError as error:
            self._instance.report_engine_event(f"Can't stop it: {error}.", run, cls=type(self))
            return False

    def _sees_it_itself(self, run: DagsterRun) -> bool:
        """Whether nobody can tell the run's process, a command's: it looks every few seconds."""
        return self.supports_check_run_worker_health and GRPC_INFO_TAG not in run.tags

    def _may_fork(self, run: DagsterRun) -> bool:
        """Whether a process forked here would be as one that the code server starts."""
        code, remote = run.job_code_origin, run.remote_job_origin
        if code is None or remote is None or not self.supports_check_run_worker_health:
            return False
        ours = code.repository_origin
        if ours.executable_path != sys.executable or ours.container_image:
            return False
        pointer = ours.code_pointer
        if not isinstance(pointer, ModuleCodePointer) or pointer.module != DEFINITIONS:
            return False
        location = remote.repository_origin.code_location_origin
        # A server of this process, or of the `dagster dev` that started both: any other may have
        # another environment, or be on another machine.
        return isinstance(location, ManagedGrpcPythonEnvCodeLocationOrigin) or (
            isinstance(location, GrpcServerCodeLocationOrigin)
            and bool(location.socket)
            and using_dagster_dev()
        )

    def _fork(self, forker: ForkerProcess, run: DagsterRun) -> None:
        def announce(pid: int) -> None:
            try:
                worker = RunWorker.on_this_machine(run.run_id, pid)
            except ProcessLookupError as error:
                raise ForkerUnavailable(f"process {pid} ended before it began") from error
            self._instance.add_run_tags(run.run_id, worker.tags())

        pid = forker.fork(
            {
                "run_id": run.run_id,
                "instance": serialize_value(self._instance.get_ref()),
                "environ": dict(environment()),
            },
            announce,
        )
        self._run_ids.add(run.run_id)
        self._instance.report_engine_event(
            f"Forked process {pid} for the run.", run, cls=type(self)
        )

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
    return [run_id for run_id in sorted(dead) if end_dead_run(instance, run_id, DEAD)]


def _in_progress(instance: DagsterInstance) -> list[str]:
    statuses = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    return [run.run_id for run in instance.get_runs(filters=RunsFilter(statuses=statuses))]


def _absences(instance: DagsterInstance, patience: float) -> Absences:
    storage = instance.run_storage
    if not isinstance(storage, PlatformRunStorage):
        raise TypeError(f"runs of {type(storage).__name__} hold no locks")
    return Absences(storage.postgres_url, patience)
