"""What the command asks of backfills: to plan one, to begin it, to go on with it, to end it.

Called by `commands.backfill` and by tests. It prints nothing.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import dagster as dg
from dagster._core.storage.tags import BACKFILL_ID_TAG

from data_platform.automation.pools import set_pools
from data_platform.backfills import records
from data_platform.backfills.choosing import Which, chosen
from data_platform.backfills.driving import Course, Launcher, Watcher, drive, only_one
from data_platform.backfills.estimating import Estimate, estimates
from data_platform.backfills.holding import code_of, inputs_of_others, require_same_code
from data_platform.backfills.launching import InThisProcess, ThroughTheQueue, workspace_of
from data_platform.backfills.records import Backfill
from data_platform.errors import PermanentError
from data_platform.instance.launcher import reap_dead_runs
from data_platform.loading import Loaded
from data_platform.plan.nodes import AnyNode
from data_platform.plan.pipelines import Plan
from data_platform.plan.run_settings import run_values
from data_platform.range_runs.parts import Part, parts_of
from data_platform.run_reports import RunReport
from data_platform.running.asked import all_due, asked_for
from data_platform.running.pipelines import registered_in
from data_platform.running.requests import Request, enabled, pipeline_of, selected
from data_platform.running.runner import Progress, Runner

CODE_SECONDS = 2.0
"""Between two looks at the pipeline's files."""


@dataclass(frozen=True)
class Limits:
    """How much of it runs together, and when it gives up.

    Attributes:
        size: the most partitions of a run; None means what the assets say, else a range is one run.
        at_once: the most runs at once, through Dagster's queue; None means one after the other, in
            this process.
        max_failures: runs that may fail before it stops.
    """

    size: int | None = None
    at_once: int | None = None
    max_failures: int = 3


@dataclass(frozen=True)
class Planned:
    """A backfill that has not begun.

    Attributes:
        backfill: what it would be.
        nodes: its assets, upstreams first.
        parts: its runs, if nothing fails.
        estimates: what each asset will take.
    """

    backfill: Backfill
    nodes: Sequence[AnyNode]
    parts: Sequence[Part]
    estimates: Sequence[Estimate]


@dataclass(frozen=True)
class Ground:
    """What a command stands on.

    Attributes:
        loaded: the pipelines.
        definitions: of everything.
        instance: Dagster's.
        home: of the project.
        reload: gives the plan as it is by now.
    """

    loaded: Loaded
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    home: Path
    reload: Callable[[], Plan]


class Shown(Watcher, Progress, Protocol):
    """Whoever shows a backfill, and each step of runs in this process."""


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        report: of all its runs together, those of commands before this one included.
        stopped: why it stopped before its end; None where it didn't.
    """

    report: RunReport
    stopped: str | None

    @property
    def succeeded(self) -> bool:
        """Whether everything was built."""
        return self.stopped is None and self.report.succeeded


def plan_backfill(
    loaded: Loaded,
    instance: dg.DagsterInstance,
    request: Request,
    which: Which | None,
    limits: Limits,
    now: datetime,
) -> Planned | None:
    """What a backfill would do; None where there is nothing to do.

    Args:
        loaded: the pipelines.
        instance: Dagster's.
        request: what is meant; without partitions and range all that is due.
        which: only those that failed, are missing, or are stale.
        limits: how it runs.
        now: aware; decides which partitions are due.

    Raises:
        PermanentError: there is no such pipeline, asset, partition or parameter.
    """
    nodes = enabled(selected(pipeline_of(loaded, request.pipeline), request.select))
    run_values(request.settings, nodes)
    registered = registered_in(instance)
    ranged = request.partition or request.first or request.end
    wanted = (
        asked_for(nodes, request, now, registered) if ranged else all_due(nodes, now, registered)
    )
    if which is not None:
        reap_dead_runs(instance)
        wanted = chosen(which, nodes, wanted, instance, loaded)
    nodes = [node for node in nodes if wanted.get(node.key)]
    if not nodes:
        return None
    versions, events = inputs_of_others(nodes, loaded.lake(), instance)
    said = [node.partitions_per_run for node in nodes if node.partitions_per_run]
    backfill = Backfill(
        uuid.uuid4().hex[:8],
        request.pipeline,
        now,
        {node.key: wanted[node.key] for node in nodes},
        tuple(request.settings),
        request.force,
        limits.size or min(said, default=None),
        limits.at_once,
        limits.max_failures,
        code_of(nodes),
        versions,
        events,
        loaded.lake().root,
    )
    parts = parts_of(nodes, wanted, backfill.size)
    return Planned(backfill, nodes, parts, estimates(nodes, wanted, instance))


def begin(
    planned: Planned, ground: Ground, shown: Shown, *, allow_new_code: bool = False
) -> Result:
    """Keep a backfill, and run it."""
    records.save(ground.instance, ground.definitions, planned.backfill)
    return _drive(planned.backfill, ground, shown, allow_new_code=allow_new_code)


def resume(
    backfill_id: str, ground: Ground, shown: Shown, *, allow_new_code: bool = False
) -> Result:
    """Go on with a backfill where it is; what failed is tried again.

    Raises:
        PermanentError: there is none, it has succeeded, another command is at work on it, or it
            can't go on as it began.
    """
    loaded = ground.loaded
    found = records.find(ground.instance, backfill_id)
    backfill = found.backfill
    if found.status == "succeeded":
        raise PermanentError(f"backfill {backfill.backfill_id} has succeeded: nothing is left")
    if loaded.lake().root != backfill.lake:
        raise PermanentError(
            f"backfill {backfill.backfill_id} writes to {backfill.lake}, and the lake is "
            f"{loaded.lake().root} now: set it back, or cancel the backfill and begin another"
        )
    missing = [str(key) for key in backfill.wanted if loaded.plan.get(key) is None]
    if missing:
        raise PermanentError(
            f"backfill {backfill.backfill_id} is of {missing[0]}, which isn't there any more: "
            "cancel it and begin another"
        )
    if allow_new_code:
        code = code_of(loaded.plan[key] for key in backfill.wanted)
        backfill = replace(backfill, code=code)
    else:
        require_same_code(backfill.backfill_id, backfill.code, loaded.plan)
    return _drive(backfill, ground, shown, again=True, allow_new_code=allow_new_code)


def cancel(instance: dg.DagsterInstance, backfill_id: str) -> str:
    """End a backfill and its runs; what they published stays. Gives its whole id.

    Raises:
        PermanentError: there is none, or it is over.
    """
    found = records.find(instance, backfill_id)
    whole = found.backfill.backfill_id
    if found.status in {"succeeded", "cancelled"}:
        raise PermanentError(f"backfill {whole} has {found.status} already")
    records.close(instance, whole, "cancelled")
    runs = instance.get_runs(dg.RunsFilter(tags={BACKFILL_ID_TAG: whole}))
    for run in runs:
        if not run.is_finished:
            instance.run_coordinator.cancel_run(run.run_id)
    return whole


def _drive(
    backfill: Backfill,
    ground: Ground,
    shown: Shown,
    *,
    again: bool = False,
    allow_new_code: bool,
) -> Result:
    started, instance = time.monotonic(), ground.instance
    nodes = [ground.loaded.plan[key] for key in backfill.wanted]
    with ExitStack() as stack:
        stack.enter_context(only_one(instance, backfill.backfill_id))
        reap_dead_runs(instance)
        set_pools(instance, ground.loaded.workspace.platform)
        if again:
            records.open_again(instance, backfill)
        launcher = _launcher(backfill, nodes, ground, shown, stack)
        unchanged = _same_code(backfill, ground, allow_new_code=allow_new_code)
        course = drive(backfill, nodes, instance, launcher, shown, unchanged)
        result = _result(backfill, nodes, course, time.monotonic() - started)
        if not records.is_cancelled(instance, backfill.backfill_id):
            status = "succeeded" if result.succeeded else "failed"
            records.close(instance, backfill.backfill_id, status)
    return result


def _launcher(
    backfill: Backfill,
    nodes: Sequence[AnyNode],
    ground: Ground,
    shown: Shown,
    stack: ExitStack,
) -> Launcher:
    values = run_values(backfill.settings, nodes)
    if backfill.at_once is None:
        names = {node.key.pipeline for node in nodes}
        pipelines = [one for one in ground.loaded.plan.pipelines if one.name in names]
        tags = backfill.run_tags
        return InThisProcess(
            Runner(ground.definitions, ground.instance, shown, values, tags, pipelines)
        )
    workspace = stack.enter_context(workspace_of(ground.instance, ground.home))
    tags = backfill.run_tags
    return ThroughTheQueue(ground.instance, workspace, backfill.at_once, values, tags)


def _same_code(backfill: Backfill, ground: Ground, *, allow_new_code: bool) -> Callable[[], None]:
    """Raises where the code has changed; what was looked at a moment ago isn't read again."""
    looked = time.monotonic()

    def require() -> None:
        nonlocal looked
        if not allow_new_code and time.monotonic() - looked >= CODE_SECONDS:
            require_same_code(backfill.backfill_id, backfill.code, ground.reload())
            looked = time.monotonic()

    return require


def _result(backfill: Backfill, nodes: Sequence[AnyNode], course: Course, seconds: float) -> Result:
    reports = tuple(course.report(node, backfill.wanted[node.key]) for node in nodes)
    return Result(RunReport(tuple(course.run_ids), reports, seconds), course.stopped)
