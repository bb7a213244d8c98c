"""Serves Dagster's UI until somebody ends it; what is open then is finished.

Called by the command.
"""

import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from dagster import DagsterInstance
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.workspace.load_target import (
    ModuleTarget,
    WorkspaceFileTarget,
    WorkspaceLoadTarget,
)

from data_platform.webserver.app import PlatformWebserver
from data_platform.webserver.contexts import PlatformProcessContext
from data_platform.webserver.gate import Rules

_STATEMENT_MS = 15_000
_RECYCLE_SECONDS = 3600
_OVERFLOW = 20
"""Dagster's own: how long a statement may take, a connection lives, how many more there may be."""


@dataclass(frozen=True)
class Served:
    """Where a server listens, and how long it takes its leave.

    Attributes:
        host: of this machine, to listen on.
        port: to listen on.
        grace: seconds in which what is open may end.
    """

    host: str
    port: int
    grace: int


def serve(
    instance: DagsterInstance, workspaces: Sequence[Path], rules: Rules, served: Served
) -> None:
    """Serve until interrupted.

    Args:
        instance: Dagster's.
        workspaces: files that say where code locations are; none means this project's own.
        rules: of what it takes.
        served: where.
    """
    with _ended_by_sigterm():
        instance.optimize_for_webserver(_STATEMENT_MS, _RECYCLE_SECONDS, _OVERFLOW)
        _know_storage(instance)
        if rules.read_only:
            launch_nothing(instance)
        with PlatformProcessContext(
            instance, _target(workspaces), read_only=rules.read_only
        ) as context:
            app = PlatformWebserver(context, rules).create_asgi_app()
            uvicorn.run(
                app, host=served.host, port=served.port, log_level="warning",
                server_header=False, timeout_graceful_shutdown=served.grace,
            )  # fmt: skip


class LaunchesNothing(SyncInMemoryRunLauncher):
    """The launcher of a server that only reads; pages tell it by this name."""


def launch_nothing(instance: DagsterInstance) -> None:
    """Let pages that tell of the launcher be shown where that of dagster.yaml can't begin.

    The one of Kubernetes wants an account of the cluster as soon as it is asked for, and a server
    that only reads has none.
    """
    launcher = LaunchesNothing()
    launcher.register_instance(instance)
    instance._run_launcher = launcher  # noqa: SLF001 -- an instance is given one only when it is made


def _know_storage(instance: DagsterInstance) -> None:
    """Have the storage named, which else the first page that is asked for does."""
    if isinstance(instance.run_storage, SqlRunStorage):
        instance.run_storage.get_run_storage_id()


def _target(workspaces: Sequence[Path]) -> WorkspaceLoadTarget:
    if workspaces:
        return WorkspaceFileTarget([str(path) for path in workspaces])
    return ModuleTarget(
        module_name="data_platform.definitions",
        attribute=None,
        working_directory=str(Path.cwd()),
        location_name=None,
    )


@contextmanager
def _ended_by_sigterm() -> Generator[None]:
    """SIGTERM ends the process as its own end does: code servers that it started are ended."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
