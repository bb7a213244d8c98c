"""What can't find anything isn't asked, unless it would forget something or isn't known."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.declarative_automation.operands.subset_automation_condition import (
    SubsetAutomationCondition,
)
from dagster._record import record

from data_platform.automation.evaluation.evaluating import WakingEvaluator
from data_platform.automation.evaluation.memory import Memory
from data_platform.automation.evaluation.watching import Watching

ASKED: Counter[str] = Counter()
IS = dg.AutomationCondition
NEVER = IS.missing() & ~IS.missing()


@record
class Told(SubsetAutomationCondition[dg.AssetKey]):
    """Finds all, and tells that it was asked."""

    @property
    def name(self) -> str:
        return "told"

    def compute_subset(self, context: dg.AutomationContext) -> Any:
        ASKED["told"] += 1
        return context.candidate_subset


class Stubborn(dg.AutomationCondition):
    """Finds all whatever it is asked about."""

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        ASKED["stubborn"] += 1
        return dg.AutomationResult(
            context, context.asset_graph_view.get_full_subset(key=context.key)
        )


@record
class Own(Told):
    """Is evaluated in its own way."""

    async def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        ASKED["own"] += 1
        return dg.AutomationResult(context, context.get_empty_subset())


def evaluated(condition: dg.AutomationCondition) -> dg.AutomationResult:
    ASKED.clear()

    @dg.asset(deps=["source"], automation_condition=condition)
    def made() -> None: ...

    graph = dg.Definitions(assets=[made]).resolve_asset_graph()
    with dg.DagsterInstance.ephemeral() as instance:
        evaluator = WakingEvaluator(
            Watching(graph),
            instance=instance,
            asset_graph=graph,
            cursor=Memory.read(None),
            emit_backfills=False,
            evaluation_id=0,
            evaluation_time=datetime(2024, 1, 1, tzinfo=UTC),
        )
        evaluator.awake.add(dg.AssetKey("made"))
        [result], _ = evaluator.evaluate()
        return result


@pytest.mark.parametrize(
    "condition",
    [
        NEVER & Told(),
        NEVER & ~Told(),
        NEVER & IS.any_deps_match(Told()),
        NEVER & ~IS.all_deps_match(IS.missing() | ~Told()),
    ],
)
def test_what_is_asked_about_nothing_is_not_evaluated(condition: dg.AutomationCondition) -> None:
    result = evaluated(condition)
    assert result.true_subset.is_empty
    assert result.child_results[-1].true_subset.is_empty
    assert not result.child_results[-1].child_results
    assert not ASKED


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        pytest.param(IS.missing() & Told(), "told", id="asked about something"),
        pytest.param(NEVER & Told().newly_true(), "told", id="remembers what was true"),
        pytest.param(NEVER & ~Told().since(IS.missing()), "told", id="remembers since when"),
        pytest.param(NEVER & IS.any_deps_match(Told().newly_true()), "told", id="of an input"),
        pytest.param(NEVER & Stubborn(), "stubborn", id="isn't known"),
        pytest.param(NEVER & Own(), "own", id="is evaluated in its own way"),
    ],
)
def test_what_may_find_or_remember_something_is_evaluated(
    condition: dg.AutomationCondition, asked: str
) -> None:
    evaluated(condition)
    assert ASKED[asked]
