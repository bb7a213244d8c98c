"""A tick of automation: what is to run now, and what is remembered for the next tick.

Called by `sensor`. The answers are those of Dagster's evaluation of all assets at every tick; only
assets whose answer can't have changed aren't asked.
"""

import gc
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from dagster import AssetKey, DagsterInstance, RunRequest
from dagster._core.definitions.asset_key import EntityKey
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.declarative_automation.automation_condition import AutomationResult
from dagster._core.definitions.declarative_automation.serialized_objects import (
    AutomationConditionEvaluation,
)
from dagster._core.definitions.partitions.context import partition_loading_context

from data_platform.automation.evaluation.answers import Answers
from data_platform.automation.evaluation.evaluating import WakingEvaluator
from data_platform.automation.evaluation.grouping import runs_for
from data_platform.automation.evaluation.memory import Memory, State, state_of
from data_platform.automation.evaluation.showing import Showing
from data_platform.automation.evaluation.turns import AT_ONCE, Turns
from data_platform.automation.evaluation.waking import Waking
from data_platform.automation.evaluation.watching import Watching


@dataclass(frozen=True)
class Ticked:
    """What a tick came to.

    Attributes:
        requests: what is to run.
        evaluations: what is new of the conditions' answers, for people to read.
        cursor: for the next tick.
        looked_at: how many assets it looked at.
        results: of these.
    """

    requests: Sequence[RunRequest]
    evaluations: Sequence[AutomationConditionEvaluation]
    cursor: str
    looked_at: int
    results: Mapping[EntityKey, AutomationResult] = field(repr=False)


class Ticking:
    """Automation over the definitions of a process.

    Args:
        graph: all assets.
        waking: knows what has to be looked at; another one for tests.
        at_once: assets that a tick begins with; the others have their turn in the next ones.
    """

    def __init__(
        self, graph: AssetGraph, waking: Waking | None = None, at_once: int = AT_ONCE
    ) -> None:
        self._graph = graph
        self._waking = waking or Waking(Watching(graph))
        self._turns = Turns(self._waking.watching.conditioned, graph, at_once)
        self._memory = Memory.read(None)
        self._written: str | None = None
        self._news: set[EntityKey] = set()
        """Assets for which something may have changed, and which wait for their turn."""

    def tick(
        self,
        instance: DagsterInstance,
        cursor: str | None,
        *,
        tags: Mapping[str, str],
        backfills: bool = True,
        evaluation_id: int = 0,
        logger: logging.Logger,
        now: datetime | None = None,
    ) -> Ticked:
        """Look at what may have changed.

        Args:
            instance: Dagster's.
            cursor: of the last tick that Dagster has kept.
            tags: of the runs.
            backfills: whether several partitions of an asset become a backfill.
            evaluation_id: the number of this tick, for people to read.
            logger: for Dagster's evaluation.
            now: aware; the present unless a test says another moment.
        """
        if self._written is None or cursor != self._written:
            # Another process has gone on, or what this one found was lost on its way.
            self._memory = Memory.read(cursor)
            self._waking.forget()
        before = self._memory
        evaluator = WakingEvaluator(
            self._waking.watching,
            instance=instance,
            asset_graph=self._graph,
            cursor=before,
            emit_backfills=backfills,
            evaluation_id=evaluation_id,
            evaluation_time=now,
            logger=logger,
        )
        with (
            _without_collection(),
            partition_loading_context(
                effective_dt=evaluator.evaluation_time,
                dynamic_partitions_store=evaluator.instance_queryer,
            ),
        ):
            woken = self._waking.woken(evaluator, before) | self._news
            due = self._waking.watching.with_siblings(woken | self._waking.due_anyway())
            evaluator.awake |= self._turns.next(due)
            _, requested = evaluator.evaluate()
            requests = runs_for(
                requested, self._graph, tags=tags, backfills=evaluator.emit_backfills
            )
            changed = self._keep(evaluator, woken)
            showing = Showing()
            return Ticked(
                requests=requests,
                evaluations=[showing.of(result) for result in changed],
                cursor=self._written or "",
                looked_at=len(evaluator.current_results_by_key),
                results=evaluator.current_results_by_key,
            )

    def _keep(self, evaluator: WakingEvaluator, woken: set[EntityKey]) -> list[AutomationResult]:
        """Remember a tick; gives the results that people are to see, since they are other ones."""
        before = self._memory.states
        results = evaluator.current_results_by_key
        answers = Answers()
        states = {key: state_of(result, answers) for key, result in results.items()}
        settled = {
            key
            for key, state in states.items()
            if key in before and before[key].settled == state.settled
        }
        self._turns.done(results)
        self._news = woken - results.keys()
        waiting = self._memory.waiting(self._turns.waiting)
        self._waking.looked_at(evaluator, woken | evaluator.woken, settled)
        self._memory = self._memory.after(
            evaluator.evaluation_time.timestamp(),
            evaluator.asset_graph_view.last_event_id,
            self._still_there(before) | waiting | states if states else None,
        )
        self._written = self._memory.written()
        return [
            result
            for key, result in results.items()
            if key not in before
            or before[key].answers != states[key].answers
            or not result.true_subset.is_empty
        ]

    def _still_there(self, states: Mapping[EntityKey, State]) -> dict[EntityKey, State]:
        """Without the assets that have lost their condition.

        Those that aren't there may come back, as a pipeline does when its mistake is mended.
        """
        conditioned = self._waking.watching.conditioned
        return {
            key: state
            for key, state in states.items()
            if key in conditioned
            or not self._graph.has(key)
            or not (isinstance(key, AssetKey) and self._graph.get(key).is_materializable)
        }


@contextmanager
def _without_collection() -> Iterator[None]:
    """A tick keeps all that it makes until its end: looking for garbage would take half of it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
