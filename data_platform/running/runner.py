"""Executes runs in this process, one after the other, and tells whoever watches.

Called by `running.pipelines` and `backfills`. Runs are recorded in Dagster's event log like any
other.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Protocol, cast, runtime_checkable

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._core.utils import make_new_run_id

from data_platform.asset_specs import asset_key
from data_platform.endings.telling import tell_end
from data_platform.engine.work import Moved
from data_platform.instance.audit_trail import actor
from data_platform.instance.run_limits import active_runs_tags
from data_platform.instance.users import USER_TAG
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.plan.pipelines import PipelinePlan
from data_platform.plan.run_settings import Values
from data_platform.range_runs.parts import Part
from data_platform.range_runs.tags import partition_tags
from data_platform.reporting.progress import watching
from data_platform.run_config import run_config, settings_tag
from data_platform.run_reports import AssetReport, after_event, is_about, is_interrupt, why_again
from data_platform.run_tags import ORIGIN_TAG

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Dagster's own lines on the terminal; its event log has them all."""


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


class Runner:
    """Executes runs one after the other.

    Args:
        definitions: of everything.
        instance: Dagster's.
        progress: told of each step.
        values: of parameters, by asset.
        tags: of all runs.
        pipelines: of the assets. Runs count for their limits without waiting, and what they have
            as a last step is called after each.

    Attributes:
        run_ids: of the runs so far.
    """

    def __init__(
        self,
        definitions: dg.Definitions,
        instance: dg.DagsterInstance,
        progress: Progress,
        values: Values,
        tags: Mapping[str, str],
        pipelines: Sequence[PipelinePlan],
    ) -> None:
        limits = {one.name: one.max_active_runs for one in pipelines if one.max_active_runs}
        self._pipelines = pipelines
        self._job = definitions.resolve_implicit_global_asset_job_def()
        self._instance = instance
        self._progress = progress
        self._values = values
        own = {ORIGIN_TAG: "command", USER_TAG: actor().name}
        self._given_tags = {**own, **tags, **active_runs_tags(limits, limits)}
        self.run_ids: list[str] = []

    def run(self, part: Part) -> dict[Key, AssetReport]:
        """One run. An asset whose step didn't even begin, though none above it failed, failed."""
        run_id = make_new_run_id()
        self.run_ids.append(run_id)
        progress = self._progress
        watcher = watching.set(progress.moved if isinstance(progress, CloseProgress) else None)
        try:
            return self._execute(run_id, part)
        except BaseException:
            self._end(run_id)
            raise
        finally:
            watching.reset(watcher)
            tell_end(self._instance, run_id, self._pipelines)

    def _execute(self, run_id: str, part: Part) -> dict[Key, AssetReport]:
        wanted = {asset_key(node.key) for node in part.nodes}
        job = self._job.get_subset(asset_selection=wanted)
        run = self._instance.create_run_for_job(
            job,
            run_id=run_id,
            run_config={**_QUIET, **run_config(part.nodes, self._values)},
            tags=run_tags(part, self._values, self._given_tags),
            asset_selection=frozenset(wanted),
        )
        reports = {node.key: AssetReport(node.key) for node in part.nodes}
        by_step: dict[str, list[AnyNode]] = {}
        for node in part.nodes:
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
                        own = part.keys_of(node)
                        reports[node.key] = after_event(event, reports[node.key], own)
                        self._tell(event, reports[node.key], len(own))
        return reports

    def _end(self, run_id: str) -> None:
        """Leave no run open and no slot of a pool taken, wherever it was interrupted."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            self._instance.report_run_canceled(run)
        self._instance.event_log_storage.free_concurrency_slots_for_run(run_id)

    def _tell(self, event: dg.DagsterEvent, report: AssetReport, partitions: int) -> None:
        match event.event_type:
            case dg.DagsterEventType.STEP_START:
                self._progress.started(report.key, partitions)
            case dg.DagsterEventType.STEP_UP_FOR_RETRY:
                if isinstance(self._progress, CloseProgress):
                    self._progress.will_retry(report.key, why_again(event))
            case dg.DagsterEventType.STEP_SUCCESS | dg.DagsterEventType.STEP_FAILURE:
                self._progress.finished(report)
            case _:
                pass


def run_tags(part: Part, values: Values, tags: Mapping[str, str]) -> dict[str, str]:
    """All tags of a run."""
    return {
        **tags,
        **partition_tags(part.partitions, part.keys),
        **settings_tag(part.nodes, values),
    }
