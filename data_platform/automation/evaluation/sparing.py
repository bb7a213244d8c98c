"""Dagster's evaluation of a condition, without the operands that can't find anything.

Called by `evaluating`. An operand that is asked about no partition finds none, and most are: where
nothing is wanted, nobody asks whether inputs are there. Dagster goes through all that is below such
an operand nevertheless, input by input.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from dagster import AutomationCondition
from dagster._core.asset_graph_view.entity_subset import EntitySubset
from dagster._core.definitions.declarative_automation.automation_condition import AutomationResult
from dagster._core.definitions.declarative_automation.automation_context import AutomationContext
from dagster._core.definitions.declarative_automation.operands.subset_automation_condition import (
    SubsetAutomationCondition,
)
from dagster._core.definitions.declarative_automation.operators.boolean_operators import (
    AndAutomationCondition,
    NotAutomationCondition,
    OrAutomationCondition,
)
from dagster._core.definitions.declarative_automation.operators.dep_operators import (
    AllDepsCondition,
    AnyDepsCondition,
    EntityMatchesCondition,
)
from typing_extensions import override

_HAND_ON: frozenset[type] = frozenset(
    {
        AllDepsCondition,
        AndAutomationCondition,
        AnyDepsCondition,
        EntityMatchesCondition,
        NotAutomationCondition,
        OrAutomationCondition,
    }
)
"""Operators that remember nothing, and find none where they are asked about none."""


class SparingContext(AutomationContext[Any]):
    """What an operand is asked with."""

    @classmethod
    def of(cls, context: AutomationContext[Any]) -> "SparingContext":
        """The same as Dagster's."""
        return cls(**vars(context))

    @cached_property
    @override
    def root_context(self) -> AutomationContext[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self if self.parent_context is None else self.parent_context.root_context

    @override
    def for_child_condition(
        self,
        child_condition: AutomationCondition[Any],
        child_indices: Sequence[int | None],
        candidate_subset: EntitySubset[Any],
    ) -> "SparingContext":
        return self.of(
            super().for_child_condition(child_condition, child_indices, candidate_subset)
        )

    @override
    async def evaluate_async(self) -> AutomationResult[Any]:
        if self.candidate_subset.is_empty and _is_idle(self.condition):
            return AutomationResult(self, self.candidate_subset)
        return await super().evaluate_async()


def _is_idle(condition: AutomationCondition[Any]) -> bool:
    """Whether a condition that is asked about nothing neither finds nor remembers anything."""
    kind = type(condition)
    if kind in _HAND_ON:
        return all(_is_idle(child) for child in condition.children)
    return (
        issubclass(kind, SubsetAutomationCondition)
        and kind.evaluate is SubsetAutomationCondition.evaluate
        and not condition.requires_cursor
    )
