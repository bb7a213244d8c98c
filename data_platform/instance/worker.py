"""The process of a run that was forked: how it executes the run, is told to stop, and is mourned.

`forker` forks it, `launcher` keeps on the run which process it is. What a run reads, opens
and inherits is decided here: its environment is the launcher's, never the forker's.
"""

import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
)
from dagster import _check as check
from dagster._cli.utils import get_instance_for_cli
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import EngineEventData
from dagster._core.instance.ref import InstanceRef
from dagster._grpc.impl import core_execute_run
from dagster._serdes import deserialize_value
from dagster._utils import get_run_crash_explanation
from dagster._utils.hosted_user_process import recon_job_from_origin
from dagster._utils.interrupts import capture_interrupts

from data_platform.instance.liveness import WORKER_TAG

GO = b"go"

_INTERRUPTS = {"KeyboardInterrupt", "DagsterExecutionInterruptedError"}
_logger = logging.getLogger("dagster.data_platform.worker")


class RunRequest(TypedDict):
    """What a launcher says about a run.

    Attributes:
        run_id: of the run.
        instance: the instance's reference, serialized.
        environ: the environment of the run.
    """

    run_id: str
    instance: str
    environ: Mapping[str, str]


@dataclass(frozen=True)
class RunWorker:
    """One process, among all that ever had its number.

    Attributes:
        run_id: a run that was made from another has the other's tags.
        started: when, in ticks since the machine was started.
    """

    run_id: str
    host: str
    pid: int
    started: int

    @classmethod
    def on_this_machine(cls, run_id: str, pid: int) -> "RunWorker":
        """The process `pid` of now.

        Raises:
            ProcessLookupError: there is none.
        """
        return cls(run_id, socket.gethostname(), pid, _started(pid))

    @classmethod
    def of(cls, run: DagsterRun) -> "RunWorker | None":
        """Which process was forked for the run; None if none was."""
        text = run.tags.get(WORKER_TAG)
        worker = cls(**json.loads(text)) if text else None
        return worker if worker and worker.run_id == run.run_id else None

    def tags(self) -> dict[str, str]:
        """For the run."""
        return {WORKER_TAG: json.dumps(asdict(self))}

    @property
    def is_this_process(self) -> bool:
        """Whether it is the one that asks."""
        return (self.host, self.pid) == (socket.gethostname(), os.getpid())

    def interrupt(self) -> bool:
        """Do as Ctrl-C does. False if the process is gone.

        Raises:
            RuntimeError: it is on another machine.
        """
        if self.host != socket.gethostname():
            raise RuntimeError(f"process {self.pid} of the run is on host {self.host}")
        try:
            if _started(self.pid) != self.started:
                return False
            os.kill(self.pid, signal.SIGINT)
        except ProcessLookupError:
            return False
        return True


def execute(request: RunRequest, permission: int) -> None:
    """Execute a run in this process, once `permission` can be read.

    Args:
        request: the run.
        permission: a pipe; closed without a word, it says that the run was given to another.
    """
    run_id = request["run_id"]
    _take_on(request["environ"])
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(f"run {run_id[:8]}")
    reference = deserialize_value(request["instance"], InstanceRef)
    with capture_interrupts(), get_instance_for_cli(instance_ref=reference) as instance:
        if os.read(permission, len(GO)) == GO:
            _execute(instance, check.not_none(instance.get_run_by_id(run_id)))


def _execute(instance: DagsterInstance, run: DagsterRun) -> None:
    """As the command `dagster api execute_run` does, but an interrupt ends the run."""
    pid = os.getpid()
    data = EngineEventData.in_process(pid)
    instance.report_engine_event(f"Started process for run (pid: {pid}).", run, data)
    job = recon_job_from_origin(check.not_none(run.job_code_origin))
    events = core_execute_run(job, run, instance, inject_env_vars=True)
    try:
        event = next(events)
        while True:
            # Dagster tries an interrupted step again where it may be retried, and a run that
            # somebody wants to end would go on.
            if is_interrupted(event):
                event = events.throw(DagsterExecutionInterruptedError())
            else:
                event = next(events)
    except StopIteration:
        pass
    except (Exception, KeyboardInterrupt, DagsterExecutionInterruptedError) as error:  # noqa: BLE001
        # Dagster has recorded it, and the run as failed or cancelled.
        _logger.info("run %s ended with %s", run.run_id, type(error).__name__)
    finally:
        instance.report_engine_event(f"Process for run exited (pid: {pid}).", run)


def is_interrupted(event: DagsterEvent) -> bool:
    """Whether a step is to be tried again though somebody interrupted it."""
    if event.event_type != DagsterEventType.STEP_UP_FOR_RETRY:
        return False
    error = event.step_retry_data.error
    while error is not None:
        if error.cls_name in _INTERRUPTS:
            return True
        error = error.cause
    return False


def report_death(request: RunRequest, exit_code: int) -> None:
    """End the run of a process that died.

    Args:
        request: the run.
        exit_code: of the process; negative for a signal.
    """
    _take_on(request["environ"])
    run_id = request["run_id"]
    reason = get_run_crash_explanation(f"The process of run {run_id}", exit_code)
    reference = deserialize_value(request["instance"], InstanceRef)
    with get_instance_for_cli(instance_ref=reference) as instance:
        end_dead_run(instance, run_id, reason)


def end_dead_run(instance: DagsterInstance, run_id: str, reason: str) -> bool:
    """End a run whose process is gone, and free its pool slots.

    Returns:
        False if it had ended before.
    """
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    if run.status == DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, reason)
    else:
        instance.report_run_failed(run, reason)
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return True


def _take_on(environ: Mapping[str, str]) -> None:
    # Nothing is read here: a process is given the environment that a new one would begin with.
    os.environ.clear()  # noqa: TID251
    os.environ.update(environ)  # noqa: TID251
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _started(pid: int) -> int:
    """When a process was started; its number alone may belong to a later one.

    Raises:
        ProcessLookupError: it is gone, or dead and not yet buried.
    """
    try:
        # The name in brackets may hold anything, brackets and blanks too.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError as error:
        raise ProcessLookupError(pid) from error
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return int(fields[19])
