"""What of Dagster's events is worth an event of OpenLineage: a step began, was done, failed, ended.

Called by `following` with each event, in their order. Changes what is known of open steps and gives
the moments, of each asset of a step one. Must not know what OpenLineage calls things.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import dagster as dg
from dagster._core.events.log import EventLogEntry

from data_platform.asset_specs import asset_key
from data_platform.observability.openlineage.open_steps import OpenStep, OpenSteps
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.plan.pipelines import Plan
from data_platform.range_runs.tags import partitions_of
from data_platform.run_reports import AssetReport, after_failure, is_interrupt, why_again

_ENDS = frozenset(
    {
        dg.DagsterEventType.RUN_SUCCESS,
        dg.DagsterEventType.RUN_FAILURE,
        dg.DagsterEventType.RUN_CANCELED,
    }
)
KINDS = _ENDS | frozenset(
    {
        dg.DagsterEventType.STEP_START,
        dg.DagsterEventType.STEP_RESTARTED,
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        dg.DagsterEventType.ASSET_CHECK_EVALUATION,
        dg.DagsterEventType.STEP_UP_FOR_RETRY,
        dg.DagsterEventType.STEP_FAILURE,
        dg.DagsterEventType.STEP_SUCCESS,
    }
)
"""That are followed."""
FORGOTTEN = 30 * 86_400.0
"""Seconds after which a step counts as ended of whose end nobody told: its run was deleted."""

What = Literal["START", "COMPLETE", "FAIL", "ABORT"]
Runs = Callable[[str], dg.DagsterRun | None]


@dataclass(frozen=True)
class Moment:
    """What happened to an asset's step.

    Attributes:
        what: by OpenLineage's name.
        key: of the asset.
        step: as it was then.
        at: in seconds since 1970.
        message: why it failed.
        failed: partitions that weren't published.
    """

    what: What
    key: Key
    step: OpenStep
    at: float
    message: str | None = None
    failed: tuple[str, ...] = ()


class Moments:
    """Finds them.

    Args:
        plan: whose steps are told; others are passed by.
        instance: Dagster's, for what a run is of.
        known: the steps that are open; changed.
    """

    def __init__(self, plan: Plan, instance: dg.DagsterInstance, known: OpenSteps) -> None:
        self._instance = instance
        self._known = known
        self._runs: dict[str, dg.DagsterRun | None] = {}
        self._nodes: dict[str, list[AnyNode]] = {}
        for node in plan.nodes:
            self._nodes.setdefault(node.step_name, []).append(node)

    def after(self, entry: EventLogEntry) -> list[Moment]:
        """What an event comes to."""
        event = entry.get_dagster_event()
        kind = event.event_type
        if kind in (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED):
            return self._begun(entry)
        if kind in _ENDS:
            return self._run_ended(entry, event)
        step = self._known.find(entry.run_id, event.step_key)
        if step is None:
            return []
        match kind:
            case dg.DagsterEventType.ASSET_MATERIALIZATION:
                made = event.step_materialization_data.materialization
                step.of(made.asset_key.to_user_string()).add(made)
                return []
            case dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                found = event.asset_check_evaluation_data
                step.of(found.asset_key.to_user_string()).judge(found)
                return []
            case dg.DagsterEventType.STEP_UP_FOR_RETRY:
                step.waiting = True
                return self._told("FAIL", [step], entry.timestamp, why_again(event))
            case dg.DagsterEventType.STEP_SUCCESS:
                self._known.close([step])
                return self._told("COMPLETE", [step], entry.timestamp)
            case dg.DagsterEventType.STEP_FAILURE:
                self._known.close([step])
                return self._failed(step, event, entry.timestamp)
            case _:
                return []

    def _begun(self, entry: EventLogEntry) -> list[Moment]:
        event = entry.get_dagster_event()
        run = self._run(entry.run_id)
        nodes = self._made_by(event.step_key or "", run) if run else []
        if run is None or not nodes:
            return []
        step = self._known.find(entry.run_id, event.step_key)
        if step is not None:
            step.again(entry.timestamp)
        else:
            step = self._opened(entry, run, nodes)
            self._known.steps.append(step)
        old = [one for one in self._known.steps if one.begun < entry.timestamp - FORGOTTEN]
        self._known.close(old)
        return self._told("START", [step], entry.timestamp)

    def _opened(self, entry: EventLogEntry, run: dg.DagsterRun, nodes: list[AnyNode]) -> OpenStep:
        wanted = {
            str(node.key): partitions_of(run.tags, node.partitions, self._instance)
            for node in nodes
            if node.partitions is not None
        }
        return OpenStep(
            run_id=run.run_id,
            step=nodes[0].step_name,
            begun=entry.timestamp,
            job=run.job_name,
            root=run.root_run_id or run.run_id,
            assets=[str(node.key) for node in nodes],
            wanted=wanted,
        )

    def _failed(self, step: OpenStep, event: dg.DagsterEvent, at: float) -> list[Moment]:
        what: What = "ABORT" if is_interrupt(event) else "FAIL"
        found: list[Moment] = []
        for key in map(Key.parse, step.assets):
            wanted = tuple(step.wanted.get(str(key), ()))
            report = after_failure(event, AssetReport(key), wanted)
            found.append(Moment(what, key, step, at, report.message, report.failed))
        return found

    def _run_ended(self, entry: EventLogEntry, event: dg.DagsterEvent) -> list[Moment]:
        """What was in work when a run ended has ended with it, untold."""
        left = self._known.of_run(entry.run_id)
        self._known.close(left)
        if event.event_type is dg.DagsterEventType.RUN_SUCCESS:
            return []
        what: What = "ABORT" if is_interrupt(event) else "FAIL"
        in_work = [step for step in left if not step.waiting]
        return self._told(what, in_work, entry.timestamp, event.message or None)

    def _told(
        self, what: What, steps: Iterable[OpenStep], at: float, message: str | None = None
    ) -> list[Moment]:
        return [
            Moment(what, Key.parse(asset), step, at, message)
            for step in steps
            for asset in step.assets
        ]

    def _made_by(self, step: str, run: dg.DagsterRun) -> list[AnyNode]:
        """The assets of a step that a run is of: of several that one makes, maybe not all."""
        nodes = self._nodes.get(step, [])
        if run.asset_selection is None:
            return nodes
        return [node for node in nodes if asset_key(node.key) in run.asset_selection]

    def _run(self, run_id: str) -> dg.DagsterRun | None:
        if run_id not in self._runs:
            self._runs[run_id] = self._instance.get_run_by_id(run_id)
        return self._runs[run_id]
