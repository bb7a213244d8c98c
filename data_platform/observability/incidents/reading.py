"""From events of Dagster's log to what was seen of assets.

Called by `alerts.watching` with a batch of events. Only assets of the plan count. What is asked of
Dagster besides is a query a run that failed, and one for all circuits.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property

from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    RunsFilter,
)
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from data_platform.asset_specs import asset_key
from data_platform.observability.following.follower import Followed
from data_platform.observability.incidents.check_figures import examples_of, facts_of
from data_platform.observability.incidents.made_anew import is_made_anew_whole, will_be_made_anew
from data_platform.observability.incidents.seen import Aged, Built, Checked, Failed, Seen
from data_platform.observability.outages import outages
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode
from data_platform.plan.pipelines import Plan
from data_platform.range_runs.outcomes import Outcome, assets_of, outcomes_of
from data_platform.range_runs.tags import partitions_of
from data_platform.reporting.failure_texts import in_a_line
from data_platform.run_reports import AssetReport, after_failure, is_interrupt

KINDS = frozenset(
    {
        DagsterEventType.STEP_FAILURE,
        DagsterEventType.STEP_SUCCESS,
        DagsterEventType.RUN_FAILURE,
        DagsterEventType.RUN_CANCELED,
        DagsterEventType.RUN_SUCCESS,
        DagsterEventType.ASSET_MATERIALIZATION,
        DagsterEventType.ASSET_CHECK_EVALUATION,
        DagsterEventType.FRESHNESS_STATE_CHANGE,
    }
)
"""Of events that tell something of assets."""
_HELD = "rows_quarantined"
_TEXT = 4_000
"""Characters of a failure."""
_GRADES: Mapping[FreshnessState, str] = {
    FreshnessState.WARN: "warn",
    FreshnessState.FAIL: "fail",
    FreshnessState.PASS: "pass",
    FreshnessState.NOT_APPLICABLE: "pass",
}


class Reader:
    """Reads a batch.

    Args:
        instance: Dagster's.
        plan: of the sound pipelines.
        expand: a text with the values of its variables.
    """

    def __init__(self, instance: DagsterInstance, plan: Plan, expand: Callable[[str], str]) -> None:
        self._instance = instance
        self._plan = plan
        self._expand = expand
        self._runs: dict[str, DagsterRun] = {}

    def seen(self, events: Sequence[Followed], troubled: frozenset[Key]) -> list[Seen]:
        """What the events tell.

        Args:
            events: in the order of the log.
            troubled: assets that have incidents: of others no success of a step is looked at.
        """
        ends = [one for one in events if _is_bad_end(one.event)]
        failing = {one.event.step_key for one in ends}
        troubled_steps = {node.step_name for key in troubled if (node := self._plan.get(key))}
        asked = troubled_steps | failing
        done = [one for one in events if _is_success(one.event) and one.event.step_key in asked]
        bad = [one for one in events if _is_bad_check(one.event)]
        self._find_runs({one.entry.run_id for one in (*ends, *done, *bad)})
        found: list[Seen] = []
        for one in events:
            if not _is_success(one.event) or one.event.step_key in asked:
                found += self._of(one)
        return self._with_systems(found)

    def _of(self, one: Followed) -> Iterable[Seen]:
        match one.event.event_type:
            case DagsterEventType.STEP_FAILURE:
                return self._failure(one)
            case DagsterEventType.STEP_SUCCESS:
                return self._success(one)
            case DagsterEventType.RUN_FAILURE | DagsterEventType.RUN_CANCELED:
                return self._bad_end(one)
            case DagsterEventType.ASSET_MATERIALIZATION:
                return self._materialized(one)
            case DagsterEventType.ASSET_CHECK_EVALUATION:
                return self._checked(one)
            case DagsterEventType.FRESHNESS_STATE_CHANGE:
                return self._aged(one)
            case _:
                return ()

    # Steps and runs -----------------------------------------------------------------------------

    def _failure(self, one: Followed) -> Iterator[Failed]:
        run, nodes = self._runs.get(one.entry.run_id), self._by_step.get(one.event.step_key or "")
        if run is None or not nodes or is_interrupt(one.event):
            return
        if is_made_anew_whole(self._instance, run):
            return
        node = nodes[0]
        own = tuple(partitions_of(run.tags, node.partitions, self._instance))
        report = after_failure(one.event, AssetReport(node.key), own)
        skipped = self._below(node, assets_of(self._instance, run))
        skipped = [*(other.key for other in nodes[1:]), *skipped]
        yield self._failed(one, report, run, skipped)

    def _bad_end(self, one: Followed) -> Iterator[Failed]:
        """A run that ended before its steps did, or whose steps failed when it might be retried."""
        run = self._runs.get(one.entry.run_id)
        if run is None or will_be_made_anew(self._instance, run, one.event):
            return
        outcomes = outcomes_of(self._instance, run, self._plan.nodes)
        failed = [outcome for outcome in outcomes.values() if outcome.report.state == "failed"]
        if failed and not is_made_anew_whole(self._instance, run):
            return
        for outcome in failed:
            yield self._failed(one, outcome.report, run, ())
        undone = [outcome for outcome in outcomes.values() if _is_undone(outcome)]
        if undone and not failed:
            first, *others = undone
            left = tuple(key for key in first.partitions if key not in first.done)
            canceled = one.event.event_type is DagsterEventType.RUN_CANCELED
            yield Failed(
                key=first.report.key,
                number=one.number,
                at=_moment(one),
                run_id=run.run_id,
                text="its run was ended by somebody" if canceled else _ended_words(one.event),
                partitions=left or (WHOLE,),
                skipped=tuple(outcome.report.key for outcome in others),
                canceled=canceled,
            )

    def _failed(
        self, one: Followed, report: AssetReport, run: DagsterRun, skipped: Sequence[Key]
    ) -> Failed:
        facts = {"rows in": report.rows_in, "rows published": report.rows_out}
        seconds = self._seconds(run, report.key)
        return Failed(
            key=report.key,
            number=one.number,
            at=_moment(one),
            run_id=run.run_id,
            text=(report.message or "it failed, and nobody said why")[:_TEXT],
            partitions=report.failed or (WHOLE,),
            skipped=tuple(skipped),
            facts={
                **({"duration": f"{seconds:.1f} s"} if seconds is not None else {}),
                **{name: f"{rows:,}" for name, rows in facts.items() if rows},
            },
        )

    def _success(self, one: Followed) -> Iterator[Built]:
        """That a step made, or needn't make, all partitions that it was asked for."""
        run = self._runs.get(one.entry.run_id)
        for node in self._by_step.get(one.event.step_key or "", ()) if run else ():
            keys = tuple(partitions_of(run.tags, node.partitions, self._instance)) if run else ()
            if keys:
                yield Built(
                    key=node.key,
                    number=one.number,
                    at=_moment(one),
                    run_id=one.entry.run_id,
                    partitions=keys,
                )

    def _below(self, node: AnyNode, made: frozenset[object]) -> list[Key]:
        """What of a run stands below an asset, and so is left out when that fails."""
        found = {node.key}
        for other in self._plan.nodes:
            if any(given.key in found for given in (*other.inputs, *other.after)):
                found.add(other.key)
        return [
            other.key
            for other in self._plan.nodes
            if other.key in found - {node.key} and asset_key(other.key) in made
        ]

    def _seconds(self, run: DagsterRun, key: Key) -> float | None:
        """How long a step took that failed."""
        node = self._plan[key]
        for one in self._instance.get_run_step_stats(run.run_id, [node.step_name]):
            if one.start_time and one.end_time:
                return one.end_time - one.start_time
        return None

    # Assets -------------------------------------------------------------------------------------

    def _materialized(self, one: Followed) -> Iterator[Built]:
        key = self._key_of(one.event.asset_key)
        if key is None:
            return
        made = one.event.step_materialization_data.materialization
        partition = made.partition or WHOLE
        held = made.metadata.get(_HELD)
        rows = held.value if held is not None else None
        yield Built(
            key=key,
            number=one.number,
            at=_moment(one),
            run_id=one.entry.run_id or None,
            partitions=(partition,),
            held={partition: rows} if isinstance(rows, int) else {},
        )

    def _checked(self, one: Followed) -> Iterator[Checked]:
        data = one.event.asset_check_evaluation_data
        key, run = self._key_of(data.asset_key), self._runs.get(one.entry.run_id)
        if key is None or (not data.passed and run and is_made_anew_whole(self._instance, run)):
            return
        grade = "pass" if data.passed else "fail" if data.severity.value == "ERROR" else "warn"
        yield Checked(
            key=key,
            number=one.number,
            at=_moment(one),
            run_id=one.entry.run_id or None,
            check=data.check_name,
            grade=grade,
            facts={} if data.passed else facts_of(data.metadata),
            examples=() if data.passed else examples_of(data.metadata),
        )

    def _aged(self, one: Followed) -> Iterator[Aged]:
        data = one.event.event_specific_data
        if not isinstance(data, FreshnessStateChange):
            return
        key, grade = self._key_of(data.key), _GRADES.get(data.new_state)
        if key is not None and grade is not None:
            yield Aged(key=key, number=one.number, at=_moment(one), grade=grade)  # type: ignore[arg-type]

    def _key_of(self, key: object) -> Key | None:
        path = getattr(key, "path", ())
        found = Key(*path) if len(path) == len(Key._fields) else None
        return found if found is not None and self._plan.get(found) is not None else None

    # Between ------------------------------------------------------------------------------------

    def _with_systems(self, found: Sequence[Seen]) -> list[Seen]:
        """Failures with the system that is down, where its circuit says so."""
        keys = {one.key for one in found if isinstance(one, Failed) and not one.canceled}
        nodes = [self._plan[key] for key in keys]
        down = outages(self._instance, nodes, self._expand) if nodes else {}
        return [
            replace(one, system=down[one.key].partition(" is down")[0])
            if isinstance(one, Failed) and one.key in down
            else one
            for one in found
        ]

    def _find_runs(self, run_ids: set[str]) -> None:
        missing = sorted(one for one in run_ids if one and one not in self._runs)
        if missing:
            for run in self._instance.get_runs(RunsFilter(run_ids=missing)):
                self._runs[run.run_id] = run

    @cached_property
    def _by_step(self) -> dict[str, list[AnyNode]]:
        """The assets that a step makes, in the order of the plan."""
        found: dict[str, list[AnyNode]] = {}
        for node in self._plan.nodes:
            found.setdefault(node.step_name, []).append(node)
        return found


def _is_success(event: DagsterEvent) -> bool:
    return event.event_type is DagsterEventType.STEP_SUCCESS


def _is_bad_check(event: DagsterEvent) -> bool:
    is_check = event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION
    return is_check and not event.asset_check_evaluation_data.passed


def _is_bad_end(event: DagsterEvent) -> bool:
    return event.event_type in {
        DagsterEventType.STEP_FAILURE,
        DagsterEventType.RUN_FAILURE,
        DagsterEventType.RUN_CANCELED,
    }


def _is_undone(outcome: Outcome) -> bool:
    return outcome.report.state == "skipped" and not set(outcome.partitions) <= outcome.done


def _moment(one: Followed) -> datetime:
    return datetime.fromtimestamp(one.entry.timestamp, UTC)


def _ended_words(event: DagsterEvent) -> str:
    return in_a_line(event.message or "") or "its process ended"
