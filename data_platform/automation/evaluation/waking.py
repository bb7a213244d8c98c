"""Which assets have to be looked at in a tick, since something may have changed for them.

Called by `ticking`. Most of what changes is in Dagster's log; what isn't, runs that end, backfills
that go on and partitions that begin to be due, is compared with what it was at the last tick. What
is kept here is of this process: one that begins looks at all assets.
"""

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    DynamicPartitionsDefinition,
    MultiPartitionsDefinition,
    PartitionsDefinition,
    RunsFilter,
    StaticPartitionsDefinition,
    TimeWindowPartitionsDefinition,
)
from dagster._core.definitions.asset_key import EntityKey
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._utils.schedules import reverse_cron_string_iterator

from data_platform.automation.evaluation.evaluating import WakingEvaluator
from data_platform.automation.evaluation.events import events_since, planned_by
from data_platform.automation.evaluation.memory import Memory
from data_platform.automation.evaluation.watching import Cron, Watching

_UNFINISHED = [status for status in DagsterRunStatus if status not in FINISHED_STATUSES]
_CREATED = [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.MANAGED]


@dataclass
class Unlogged:
    """What conditions ask for that changes without an event of the asset.

    Attributes:
        windows: the newest partition of each kind of partitions.
        runs: the runs that haven't ended, and whether they are more than created.
        backfills: what backfills have still to do.
    """

    windows: dict[PartitionsDefinition, Hashable] = field(default_factory=dict)
    runs: dict[str, bool] = field(default_factory=dict)
    backfills: AssetGraphSubset = field(default_factory=AssetGraphSubset)


@dataclass
class Waking:
    """Knows the assets whose answer can only change with something that happens.

    Attributes:
        watching: what the conditions ask.
        overlap: for so many seconds, events that weren't seen are looked for among those that were:
            one that was numbered before another may be there after it.
        round: each asset is looked at once in so many ticks, whatever has happened: somebody may
            have deleted runs, which leaves no trace.
        quiet: the assets that would give the same answer again.
    """

    watching: Watching
    overlap: float = 60
    round: int = 360
    quiet: set[EntityKey] = field(default_factory=set)
    _ticks: int = 0
    _events: deque[tuple[float, int]] = field(default_factory=deque)
    _seen: set[int] = field(default_factory=set)
    _requested: set[EntityKey] = field(default_factory=set)
    _unlogged: Unlogged = field(default_factory=Unlogged)
    _assets_of_runs: dict[str, set[AssetKey]] = field(default_factory=dict)

    def woken(self, evaluator: WakingEvaluator, memory: Memory) -> set[EntityKey]:
        """The assets for which something may have changed; asked once a tick.

        Args:
            evaluator: of this tick.
            memory: of the last one.
        """
        instance = evaluator.instance_queryer.instance
        before, self._unlogged = self._unlogged, self._found(evaluator)
        changed: set[EntityKey] = {*self._requested}
        changed |= self._in_new_windows(before)
        changed |= self._in_backfills(before.backfills)
        changed |= self._in_runs(instance, before.runs)
        changed |= self._in_new_events(evaluator, memory)
        return self.watching.always | self.watching.of(changed) | self._at_crons(evaluator, memory)

    def forget(self) -> None:
        """Look at all again, since what was found isn't what Dagster has kept."""
        self.quiet.clear()
        self._seen.clear()

    def due_anyway(self) -> set[EntityKey]:
        """The assets that aren't quiet, and those whose turn it is."""
        self._ticks += 1
        turn = {key for key in self.quiet if hash(key) % self.round == self._ticks % self.round}
        return {*(self.watching.conditioned - self.quiet), *turn}

    def looked_at(
        self, evaluator: WakingEvaluator, woken: set[EntityKey], unchanged: set[EntityKey]
    ) -> None:
        """Tell what a tick came to.

        Args:
            evaluator: of the tick.
            woken: for which something may have changed in it.
            unchanged: which found what they had found before.
        """
        self._requested = {
            key for key, subset in evaluator.request_subsets_by_key.items() if not subset.is_empty
        }
        looked_at = set(evaluator.current_results_by_key)
        self.quiet -= looked_at
        # With the same answers twice, the second time with nothing new, there are no others.
        self.quiet |= unchanged - woken - self._requested
        newest = evaluator.asset_graph_view.last_event_id or 0
        self._events.append((evaluator.evaluation_time.timestamp(), newest))

    def _in_new_events(self, evaluator: WakingEvaluator, memory: Memory) -> set[EntityKey]:
        """The assets of events that no tick has judged yet."""
        instance = evaluator.instance_queryer.instance
        found = events_since(instance, self._looked_for_after(memory))
        changed: set[EntityKey] = {key for number, key in found if number not in self._seen}
        # Those that came while the tick began, it judges in part.
        judged = evaluator.asset_graph_view.last_event_id or 0
        self._seen = {number for number, _ in found if number <= judged}
        return changed

    def _looked_for_after(self, memory: Memory) -> int:
        """The event after which one may not have been seen yet."""
        oldest = memory.event or 0
        if memory.at is not None:
            while len(self._events) > 1 and self._events[1][0] <= memory.at - self.overlap:
                self._events.popleft()
            if self._events and self.overlap:
                oldest = min(oldest, self._events[0][1])
        return oldest

    def _found(self, evaluator: WakingEvaluator) -> Unlogged:
        instance = evaluator.instance_queryer.instance
        created = {*instance.get_run_ids(RunsFilter(statuses=_CREATED))}
        unfinished = instance.get_run_ids(RunsFilter(statuses=_UNFINISHED))
        return Unlogged(
            {each: _newest(each) for each in self.watching.partitions},
            {run: run not in created for run in unfinished},
            evaluator.instance_queryer.get_active_backfill_in_progress_asset_graph_subset(),
        )

    def _in_new_windows(self, before: Unlogged) -> set[EntityKey]:
        return {
            key
            for each, window in self._unlogged.windows.items()
            if window is None or before.windows.get(each) != window
            for key in self.watching.partitions[each]
        }

    def _in_backfills(self, before: AssetGraphSubset) -> set[EntityKey]:
        now = self._unlogged.backfills
        if now == before:
            return set()
        return {
            key
            for key in now.asset_keys | before.asset_keys
            if now.get_asset_subset(key) != before.get_asset_subset(key)
        }

    def _in_runs(self, instance: DagsterInstance, before: Mapping[str, bool]) -> set[EntityKey]:
        """The assets of runs that have begun, gone on or ended."""
        now = self._unlogged.runs
        changed = {run for run in {*now, *before} if now.get(run) != before.get(run)}
        for run, key in planned_by(instance, changed):
            self._assets_of_runs.setdefault(run, set()).add(key)
        found: set[EntityKey] = {
            key for run in changed for key in self._assets_of_runs.get(run, ())
        }
        for run in changed - now.keys():
            self._assets_of_runs.pop(run, None)
        return found

    def _at_crons(self, evaluator: WakingEvaluator, memory: Memory) -> set[EntityKey]:
        """The assets that wait for a moment that has come since the last tick."""
        now = evaluator.evaluation_time.timestamp()
        return {
            key
            for cron, keys in self.watching.crons.items()
            if memory.at is None or _has_come(cron, memory.at, now)
            for key in keys
        }


def _has_come(cron: Cron, after: float, until: float) -> bool:
    # A second more at both ends: what is on the very edge, one operand counts and another doesn't.
    last = next(reverse_cron_string_iterator(until + cron.before + 1, cron.schedule, cron.timezone))
    return last.timestamp() - cron.before >= after - 1


def _newest(definition: PartitionsDefinition) -> Hashable:
    """What tells whether there are other partitions than before; None where nothing does."""
    match definition:
        case TimeWindowPartitionsDefinition():
            return (definition.get_last_partition_window(), len(definition.exclusions or ()))
        case MultiPartitionsDefinition():
            parts = [_newest(each.partitions_def) for each in definition.partitions_defs]
            return None if None in parts else tuple(parts)
        case DynamicPartitionsDefinition():
            return tuple(definition.get_partition_keys())
        case StaticPartitionsDefinition():
            return ()
        case _:
            return None
