"""The two ways in which a backfill executes its runs: in this process, or through Dagster's queue.

Called by `backfills.driving`.
"""

import asyncio
import logging
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.execution.submit_asset_runs import submit_asset_run
from dagster._core.utils import make_new_run_id
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import (
    ModuleTarget,
    PyProjectFileTarget,
    WorkspaceFileTarget,
    WorkspaceLoadTarget,
)

from data_platform.asset_specs import asset_key
from data_platform.errors import PermanentError
from data_platform.instance.launcher import reap_dead_runs
from data_platform.plan.run_settings import Values
from data_platform.range_runs.parts import Part
from data_platform.run_config import run_config
from data_platform.running.runner import Runner, run_tags

LOOK_SECONDS = 0.5
"""Between two looks at runs of the queue."""
REAP_SECONDS = 10.0
"""Between two looks for runs whose process is gone, where no daemon sees to it."""
LOCATION = "data_platform"
_logger = logging.getLogger("dagster.data_platform.backfills")


class InThisProcess:
    """One run after the other."""

    at_once = 1

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def begin(self, part: Part) -> str:
        """Execute a run to its end."""
        self._runner.run(part)
        return self._runner.run_ids[-1]

    def wait(self) -> None:
        """For a run of a command before this one."""
        time.sleep(LOOK_SECONDS)


class ThroughTheQueue:
    """Several runs at once, each in a process of its own that the daemon starts.

    Args:
        instance: Dagster's.
        workspace: in which the runs' code is.
        at_once: the most of them.
        values: of parameters, by asset.
        tags: of all runs.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        workspace: WorkspaceProcessContext,
        at_once: int,
        values: Values,
        tags: Mapping[str, str],
    ) -> None:
        self.at_once = at_once
        self._instance = instance
        self._workspace = workspace
        self._values = values
        self._tags = tags
        self._submitted: dict[Any, Any] = {}
        self._reaped = time.monotonic()

    def begin(self, part: Part) -> str:
        """Put a run into the queue."""
        run_id = make_new_run_id()
        request = dg.RunRequest(
            asset_selection=[asset_key(node.key) for node in part.nodes],
            tags=run_tags(part, self._values, self._tags),
            run_config=run_config(part.nodes, self._values),
        )
        asyncio.run(
            submit_asset_run(
                run_id,
                request,
                0,
                self._instance,
                self._workspace,
                self._workspace.create_request_context(),
                self._submitted,
                {},
                _logger,
            )
        )
        return run_id

    def wait(self) -> None:
        """Let a moment pass; runs whose process is gone are ended, daemon or not."""
        time.sleep(LOOK_SECONDS)
        if time.monotonic() - self._reaped > REAP_SECONDS:
            reap_dead_runs(self._instance)
            self._reaped = time.monotonic()


@contextmanager
def workspace_of(instance: dg.DagsterInstance, home: Path) -> Iterator[WorkspaceProcessContext]:
    """Where the daemon finds the code.

    Raises:
        PermanentError: the code can't be loaded.
    """
    target = _target(home)
    with WorkspaceProcessContext(instance, target) as workspace:
        entries = workspace.create_request_context().get_code_location_entries()
        for name, entry in entries.items():
            if entry.load_error is not None:
                first = entry.load_error.message.strip().splitlines()[-1]
                raise PermanentError(f"code location {name} can't be loaded: {first}")
        yield workspace


def _target(home: Path) -> WorkspaceLoadTarget:
    """As `dagster dev` looks for it in the project: the queue knows locations by their names."""
    file, project = home / "workspace.yaml", home / "pyproject.toml"
    if file.is_file():
        return WorkspaceFileTarget([str(file)])
    if project.is_file() and "dagster" in tomllib.loads(project.read_text()).get("tool", {}):
        return PyProjectFileTarget(str(project))
    return ModuleTarget("data_platform.definitions", None, str(home), LOCATION)
