"""Run a pipeline from the command line: one Dagster run for a range, then follow-ups.

Called by `cli`. Runs are recorded in Dagster's event log like any other. When partitions fail, what
lies below them is run for the sound ones, over contiguous ranges.
"""

import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, cast, runtime_checkable

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from dagster._core.utils import make_new_run_id

from data_platform.asset_specs import asset_key
from data_platform.automation.pools import apply_limits
from data_platform.engine.inputs import partitions_read
from data_platform.engine.work import Moved
from data_platform.errors import PermanentError
from data_platform.instance.launcher import reap_dead_runs
from data_platform.loading import Loaded
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode, PipelinePlan
from data_platform.plan.partitions import Partitions
from data_platform.plan.run_settings import Values, run_values
from data_platform.reporting.progress import watching
from data_platform.run_config import run_config, settings_tag
from data_platform.run_reports import (
    AssetReport,
    RunReport,
    after_failure,
    is_about,
    is_interrupt,
    why_again,
    with_figures,
)

ORIGIN_TAG = "data_platform/origin"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Dagster's own lines on the terminal; its event log has them all."""


@dataclass(frozen=True)
class Request:
    """What to run.

    Attributes:
        pipeline: its name.
        partition: one partition's key; or
        first, end: a range, `end` not included. None of them means the newest due partition.
        select: keys, `layer/name` or `layer/pipeline/name`; empty means all.
        settings: values of parameters, `name=value` or `layer/name.parameter=value`.
    """

    pipeline: str
    partition: str | None = None
    first: str | None = None
    end: str | None = None
    select: Sequence[str] = field(default_factory=tuple)
    settings: Sequence[str] = field(default_factory=tuple)


class Progress(Protocol):
    """Whoever shows a run while it goes on."""

    def started(self, key: Key, partitions: int) -> None:
        """A step has begun."""
        ...

    def finished(self, report: AssetReport) -> None:
        """A step has ended."""
        ...


@runtime_checkable
class CloseProgress(Protocol):
    """Whoever shows a run row by row and try by try, besides."""

    def moved(self, key: Key, moved: Moved) -> None:
        """A step has moved rows; called from any thread."""
        ...

    def will_retry(self, key: Key, why: str) -> None:
        """A try has failed, and after a while there is another."""
        ...


def run_pipeline(
    definitions: dg.Definitions,
    loaded: Loaded,
    instance: dg.DagsterInstance,
    request: Request,
    progress: Progress,
    now: datetime,
) -> RunReport:
    """Run assets of a pipeline and record it.

    Args:
        definitions: of everything.
        loaded: the pipelines.
        instance: Dagster's.
        request: what to run.
        progress: told of each step.
        now: aware; decides which partitions are due.

    Raises:
        PermanentError: there is no such pipeline, asset, partition or parameter.
    """
    started = time.monotonic()
    pipeline = _pipeline(loaded, request.pipeline)
    nodes = _selected(pipeline, request.select)
    keys = _partition_keys(nodes, request, now)
    values = run_values(request.settings, nodes)
    reap_dead_runs(instance)
    apply_limits(instance, loaded.workspace.platform.pools)
    runner = _Runner(definitions, instance, progress, values)
    reports = runner.run(nodes, keys)
    # Whatever a failed partition is below stays out; the others of what was skipped are run now.
    blocked = {
        key: set(report.failed) for key, report in reports.items() if report.state == "failed"
    }
    for group, ranges in _follow_ups(nodes, keys, reports, blocked):
        for part in ranges:
            for key, report in runner.run(group, part).items():
                reports[key] = reports[key].with_more(report)
    return RunReport(
        tuple(runner.run_ids),
        tuple(reports[node.key] for node in nodes),
        time.monotonic() - started,
    )


class _Runner:
    """Executes runs one after the other."""

    def __init__(
        self,
        definitions: dg.Definitions,
        instance: dg.DagsterInstance,
        progress: Progress,
        values: Values,
    ) -> None:
        self._job = definitions.resolve_implicit_global_asset_job_def()
        self._instance = instance
        self._progress = progress
        self._values = values
        self.run_ids: list[str] = []

    def run(self, nodes: Sequence[AnyNode], keys: Sequence[str]) -> dict[Key, AssetReport]:
        """One run of these assets; partitioned ones over `keys`, which are contiguous."""
        run_id = make_new_run_id()
        self.run_ids.append(run_id)
        progress = self._progress
        watcher = watching.set(progress.moved if isinstance(progress, CloseProgress) else None)
        try:
            return self._execute(run_id, nodes, keys)
        except BaseException:
            self._end(run_id)
            raise
        finally:
            watching.reset(watcher)

    def _execute(
        self, run_id: str, nodes: Sequence[AnyNode], keys: Sequence[str]
    ) -> dict[Key, AssetReport]:
        wanted = {asset_key(node.key) for node in nodes}
        job = self._job.get_subset(asset_selection=wanted)
        run = self._instance.create_run_for_job(
            job,
            run_id=run_id,
            run_config={**_QUIET, **run_config(nodes, self._values)},
            tags={**_tags(nodes, keys), **settings_tag(nodes, self._values)},
            asset_selection=frozenset(wanted),
        )
        reports = {node.key: AssetReport(node.key) for node in nodes}
        by_step: dict[str, list[AnyNode]] = {}
        for node in nodes:
            by_step.setdefault(node.step_name, []).append(node)
        iterator = execute_run_iterator(InMemoryJob(job), run, self._instance)
        with closing(cast("Generator[dg.DagsterEvent]", iterator)) as events:
            for event in events:
                if is_interrupt(event):
                    # Dagster would try the step again, and go on as after a failure. When the
                    # events are closed it records the run as failed.
                    raise KeyboardInterrupt
                for node in by_step.get(event.step_key or "", ()):
                    if is_about(event, node):
                        reports[node.key] = self._after(event, node, reports[node.key], keys)
        return reports

    def _end(self, run_id: str) -> None:
        """Leave no run open and no slot of a pool taken, wherever it was interrupted."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            self._instance.report_run_canceled(run)
        self._instance.event_log_storage.free_concurrency_slots_for_run(run_id)

    def _after(
        self, event: dg.DagsterEvent, node: AnyNode, report: AssetReport, keys: Sequence[str]
    ) -> AssetReport:
        own = tuple(keys) if node.partitions else (WHOLE,)
        match event.event_type:
            case dg.DagsterEventType.STEP_START:
                self._progress.started(node.key, len(own))
            case dg.DagsterEventType.STEP_UP_FOR_RETRY:
                if isinstance(self._progress, CloseProgress):
                    self._progress.will_retry(node.key, why_again(event))
            case dg.DagsterEventType.STEP_OUTPUT:
                return with_figures(report, event.step_output_data.metadata or {})
            case dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                passed = event.asset_check_evaluation_data.passed
                return replace(report, checks=report.checks + 1, passed=report.passed + passed)
            case dg.DagsterEventType.STEP_SUCCESS:
                report = replace(
                    report, state="success", seconds=event.step_success_data.duration_ms / 1000
                )
                self._progress.finished(report)
            case dg.DagsterEventType.STEP_FAILURE:
                report = after_failure(event, report, own)
                self._progress.finished(report)
            case _:
                pass
        return report


def _tags(nodes: Sequence[AnyNode], keys: Sequence[str]) -> dict[str, str]:
    tags = {ORIGIN_TAG: "command"}
    if not any(node.partitions for node in nodes):
        return tags
    if len(keys) == 1:
        return {**tags, PARTITION_NAME_TAG: keys[0]}
    return {
        **tags,
        ASSET_PARTITION_RANGE_START_TAG: keys[0],
        ASSET_PARTITION_RANGE_END_TAG: keys[-1],
    }


def _follow_ups(
    nodes: Sequence[AnyNode],
    keys: Sequence[str],
    reports: Mapping[Key, AssetReport],
    blocked: dict[Key, set[str]],
) -> Iterator[tuple[list[AnyNode], list[Sequence[str]]]]:
    """Groups of skipped assets with the same sound partitions, and these as contiguous ranges."""
    groups: dict[tuple[str, ...], list[AnyNode]] = {}
    for node in nodes:
        if reports[node.key].state != "skipped":
            continue
        own = list(keys) if node.partitions else [WHOLE]
        blocked[node.key] = {key for key in own if _stands_on_failed(node, key, blocked, keys)}
        sound = tuple(key for key in own if key not in blocked[node.key])
        if sound:
            groups.setdefault(sound, []).append(node)
    for sound, group in groups.items():
        partitions = next((node.partitions for node in group if node.partitions), None)
        yield group, partitions.contiguous(sound) if partitions else [list(sound)]


def _stands_on_failed(
    node: AnyNode, key: str, blocked: Mapping[Key, set[str]], keys: Sequence[str]
) -> bool:
    """Whether a partition reads one that failed.

    What reads all published ones reads the others, unless there are none: nothing is new then.
    """
    for given in (*node.inputs, *node.after):
        failed = blocked.get(given.key, set())
        if given.reads == "all":
            if failed >= set(keys):
                return True
        elif failed & set(partitions_read(given, node, [key], ())):
            return True
    return False


def _pipeline(loaded: Loaded, name: str) -> PipelinePlan:
    pipeline = loaded.plan.pipeline(name)
    if pipeline is not None:
        return pipeline
    if name in loaded.broken:
        raise PermanentError(f"pipeline {name} has mistakes; `data-platform check` lists them")
    known = ", ".join(pipeline.name for pipeline in loaded.plan.pipelines) or "none"
    raise PermanentError(f"there is no pipeline {name!r}; there are {known}")


def _selected(pipeline: PipelinePlan, select: Iterable[str]) -> list[AnyNode]:
    wanted = list(select)
    if not wanted:
        return list(pipeline.nodes)
    names = {f"{node.key.layer}/{node.key.name}": node for node in pipeline.nodes}
    names |= {str(node.key): node for node in pipeline.nodes}
    unknown = [name for name in wanted if name.replace(".", "/") not in names]
    if unknown:
        known = ", ".join(f"{node.key.layer}/{node.key.name}" for node in pipeline.nodes)
        raise PermanentError(
            f"pipeline {pipeline.name} has no asset {unknown[0]!r}; it has {known}"
        )
    chosen = {names[name.replace(".", "/")].key for name in wanted}
    # A function that makes several assets makes all of them.
    steps = {node.step_name for node in pipeline.nodes if node.key in chosen}
    return [node for node in pipeline.nodes if node.step_name in steps]


def _partition_keys(nodes: Sequence[AnyNode], request: Request, now: datetime) -> list[str]:
    partitions = next((node.partitions for node in nodes if node.partitions), None)
    if partitions is None:
        if request.partition or request.first or request.end:
            raise PermanentError(
                "these assets have no partitions; leave --partition, --from and --to out"
            )
        return [WHOLE]
    keys = _asked_for(partitions, request, now)
    if not keys:
        raise PermanentError(f"no partition lies in that range; {_extent(partitions)}")
    return keys


def _asked_for(partitions: Partitions, request: Request, now: datetime) -> list[str]:
    time = partitions.time
    for text in (request.first, request.end):
        if text is not None and (time is None or not time.is_moment(text)):
            raise PermanentError(f"{text!r} bounds no range of partitions; {_extent(partitions)}")
    if request.partition is not None:
        if not partitions.is_key(request.partition):
            raise PermanentError(
                f"there is no partition {request.partition!r}; {_extent(partitions)}"
            )
        return [request.partition]
    if request.first is None and request.end is None:
        return partitions.newest_due(now)
    if time is None:
        return partitions.due(now)
    return partitions.within(request.first, request.end, now)


def _extent(partitions: Partitions) -> str:
    time = partitions.time
    if time is None:
        return f"there are {', '.join(partitions.first_keys) or 'those that are registered'}"
    example = f"a key is such as {partitions.first_keys[0]}"
    return f"the first begins on {time.start}, the end is {time.end or 'open'}; {example}"
