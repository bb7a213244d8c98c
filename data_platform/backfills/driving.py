"""The course of a backfill: run after run until nothing is left, whatever was killed before.

Called by `backfills.commanding`. What came of a partition is read from Dagster's event log alone,
for runs that ended just now as for those of a command that was killed: so one that goes on knows
what one that never stopped would.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import dagster as dg
import psycopg2
from dagster._core.storage.tags import BACKFILL_ID_TAG

from data_platform.asset_specs import asset_key
from data_platform.backfills.records import Backfill, is_cancelled
from data_platform.errors import PermanentError
from data_platform.instance.liveness import lock_key
from data_platform.instance.run_storage import PlatformRunStorage
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode
from data_platform.range_runs.open_work import Standing, open_work
from data_platform.range_runs.outcomes import Outcome, outcomes_of
from data_platform.range_runs.parts import Part, parts_of, waits
from data_platform.range_runs.tags import partitions_of
from data_platform.run_reports import AssetReport


class Launcher(Protocol):
    """How runs are executed."""

    @property
    def at_once(self) -> int:
        """The most runs at once."""
        ...

    def begin(self, part: Part) -> str:
        """Begin a run; gives its id."""
        ...

    def wait(self) -> None:
        """Let a moment pass, in which a run may end."""
        ...


class Watcher(Protocol):
    """Whoever shows how it goes on."""

    def began(self, part: Part, left: int) -> None:
        """A run is about to begin; so many are left after it, as far as is known."""
        ...

    def ended(self, part: Part, run: dg.DagsterRun, outcomes: Mapping[Key, Outcome]) -> None:
        """A run is over."""
        ...


@dataclass
class Course:
    """How a backfill stands.

    Attributes:
        standing: what came of its partitions.
        reports: what its runs did to each asset, together.
        run_ids: of its runs.
        failures: runs that failed since it was begun or gone on with.
        stopped: why it stopped before its end; None where it didn't.
    """

    standing: Standing = field(default_factory=Standing)
    reports: dict[Key, AssetReport] = field(default_factory=dict[Key, AssetReport])
    run_ids: list[str] = field(default_factory=list[str])
    failures: int = 0
    stopped: str | None = None

    def take(self, run: dg.DagsterRun, outcomes: Mapping[Key, Outcome]) -> bool:
        """Add what a run did; tells whether it left anything undone."""
        self.run_ids.append(run.run_id)
        for key, one in outcomes.items():
            self.standing.add(key, one.done, one.report.failed)
            known = self.reports.get(key)
            self.reports[key] = known.with_more(one.report) if known else one.report
        return any(set(one.partitions) - one.done for one in outcomes.values())

    def report(self, node: AnyNode, wanted: Sequence[str]) -> AssetReport:
        """What all runs together did to an asset."""
        report = self.reports.get(node.key, AssetReport(node.key))
        failed = self.standing.failed.get(node.key, set())
        if failed:
            return replace(report, state="failed", failed=tuple(sorted(failed)))
        whole = self.standing.done.get(node.key, set()) >= set(wanted)
        return replace(report, state="success" if whole else "skipped", failed=(), message=None)


def drive(
    backfill: Backfill,
    nodes: Sequence[AnyNode],
    instance: dg.DagsterInstance,
    launcher: Launcher,
    watcher: Watcher,
    require_unchanged: Callable[[], None],
) -> Course:
    """Run what is left, until all of it is done or failed, or it has to stop.

    Args:
        backfill: whose runs they are.
        nodes: its assets, upstreams first.
        instance: Dagster's.
        launcher: executes runs.
        watcher: told of them.
        require_unchanged: raises where the code isn't what it was.
    """
    course, flying = _so_far(backfill, nodes, instance)
    unmade, waiting = _plan(backfill, nodes, course, flying)
    while waiting or flying:
        while waiting and len(flying) < launcher.at_once and course.stopped is None:
            ready = next((part for part in waiting if not waits(part, unmade)), None)
            if ready is None:
                break
            course.stopped = _reason_to_stop(backfill, instance, course, require_unchanged)
            if course.stopped is None:
                waiting.remove(ready)
                watcher.began(ready, len(waiting))
                flying[launcher.begin(ready)] = ready
        if not flying:
            break
        ended = [run for run_id in flying if (run := _ended(instance, run_id))]
        if not ended:
            launcher.wait()
        undone = False
        for run in ended:
            part = flying.pop(run.run_id)
            outcomes = outcomes_of(instance, run, part.nodes)
            for key, one in outcomes.items():
                unmade.get(key, set()).difference_update(one.done)
            failed = course.take(run, outcomes)
            course.failures += failed
            undone = undone or failed
            watcher.ended(part, run, outcomes)
        if undone:
            unmade, waiting = _plan(backfill, nodes, course, flying)
    return course


def _reason_to_stop(
    backfill: Backfill,
    instance: dg.DagsterInstance,
    course: Course,
    require_unchanged: Callable[[], None],
) -> str | None:
    if course.failures >= backfill.max_failures:
        return f"stopped after {course.failures} runs that failed"
    if is_cancelled(instance, backfill.backfill_id):
        return "cancelled"
    try:
        require_unchanged()
    except PermanentError as error:
        return str(error)
    return None


def _so_far(
    backfill: Backfill, nodes: Sequence[AnyNode], instance: dg.DagsterInstance
) -> tuple[Course, dict[str, Part]]:
    """What its runs did until now, and those that aren't over."""
    course, flying = Course(), dict[str, Part]()
    runs = instance.get_runs(dg.RunsFilter(tags={BACKFILL_ID_TAG: backfill.backfill_id}))
    for run in reversed(runs):
        if run.is_finished:
            course.take(run, outcomes_of(instance, run, nodes))
        elif run.status == dg.DagsterRunStatus.NOT_STARTED:
            # Whoever made it was killed before it began; nobody else knows of it.
            instance.report_run_canceled(run, "The command that made it is gone.")
        else:
            flying[run.run_id] = _part_of(run, nodes, instance)
    course.standing = course.standing.forgetting_failures()
    return course, flying


def _part_of(run: dg.DagsterRun, nodes: Sequence[AnyNode], instance: dg.DagsterInstance) -> Part:
    selected = run.asset_selection or frozenset()
    own = tuple(node for node in nodes if asset_key(node.key) in selected)
    partitions = next((node.partitions for node in own if node.partitions), None)
    keys = partitions_of(run.tags, partitions, instance) if partitions else [WHOLE]
    return Part(own, tuple(keys))


def _plan(
    backfill: Backfill,
    nodes: Sequence[AnyNode],
    course: Course,
    flying: Mapping[str, Part],
) -> tuple[dict[Key, set[str]], list[Part]]:
    """What is unmade, and the runs that make what of it isn't being made."""
    unmade = {
        key: set(keys) for key, keys in open_work(nodes, backfill.wanted, course.standing).items()
    }
    left = {key: set(keys) for key, keys in unmade.items()}
    for part in flying.values():
        for key, keys in part.wanted.items():
            left.get(key, set()).difference_update(keys)
    return unmade, parts_of(nodes, left, backfill.size)


def _ended(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun | None:
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise PermanentError(f"run {run_id} was deleted while the backfill waited for it")
    return run if run.is_finished else None


@contextmanager
def only_one(instance: dg.DagsterInstance, backfill_id: str) -> Iterator[None]:
    """Let nobody else drive it, on whatever machine; a command that was killed holds nothing.

    Raises:
        PermanentError: somebody else does.
    """
    storage = instance.run_storage
    if not isinstance(storage, PlatformRunStorage):
        yield
        return
    with closing(psycopg2.connect(storage.postgres_url, connect_timeout=10)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock_key(f"backfill {backfill_id}")])
            if cursor.fetchone() != (True,):
                raise PermanentError(
                    f"another command is at work on backfill {backfill_id}: wait for it, or end it"
                )
        yield
