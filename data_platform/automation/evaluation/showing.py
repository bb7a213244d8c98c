"""What people are to read of what an asset's condition found, in Dagster's UI and by `why`.

Called by `ticking`. Dagster's own is 50 KB for an asset, most of it operands that found nothing
below one that found nothing, and the definition of the partitions beside each answer. All of it
goes through the code server, the daemon and the database, some of it twice.
"""

from typing import Any

from dagster import AutomationCondition
from dagster._core.asset_graph_view.entity_subset import EntitySubset
from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.definitions.declarative_automation.automation_condition import AutomationResult
from dagster._core.definitions.declarative_automation.operators.boolean_operators import (
    NotAutomationCondition,
)
from dagster._core.definitions.declarative_automation.serialized_objects import (
    AutomationConditionEvaluation,
    HistoricalAllPartitionsSubsetSentinel,
    get_serializable_candidate_subset,
    get_serializable_true_subset,
)
from dagster._core.definitions.partitions.subset import (
    DefaultPartitionsSubset,
    PartitionsSubset,
    TimeWindowPartitionsSubset,
)

_FEW = 10
"""Partitions that are shorter as keys than as times with the definition of their partitions."""


class Showing:
    """What is to be read of the answers of a tick."""

    def __init__(self) -> None:
        self._short: dict[object, DefaultPartitionsSubset | None] = {}

    def of(self, result: AutomationResult) -> AutomationConditionEvaluation:
        """What a condition found, and what its parts found as far as that tells something."""
        condition = result.condition
        snapshot = condition.get_node_snapshot(result.condition_unique_id)
        parts = result.child_results
        if (
            condition.children
            and result.true_subset.is_empty
            and (not parts or _tells_enough(condition))
        ):
            snapshot = snapshot._replace(name=_in_words(condition))
            parts = []
        return AutomationConditionEvaluation(
            condition_snapshot=snapshot,
            true_subset=self._brief(get_serializable_true_subset(result.true_subset)),
            candidate_subset=self._candidates(result._context.candidate_subset),  # noqa: SLF001
            subsets_with_metadata=result._subsets_with_metadata,  # noqa: SLF001
            metadata=result._metadata,  # noqa: SLF001 -- Dagster gives them with all parts only
            start_timestamp=result.start_timestamp,
            end_timestamp=result.end_timestamp,
            child_evaluations=[self.of(part) for part in parts],
        )

    def _candidates(
        self, subset: EntitySubset[Any]
    ) -> SerializableEntitySubset[Any] | HistoricalAllPartitionsSubsetSentinel:
        found = get_serializable_candidate_subset(subset)
        return self._brief(found) if isinstance(found, SerializableEntitySubset) else found

    def _brief(self, subset: SerializableEntitySubset[Any]) -> SerializableEntitySubset[Any]:
        value = subset.value
        if not isinstance(value, TimeWindowPartitionsSubset):
            return subset
        windows = tuple(
            (one.start_timestamp, one.end_timestamp) for one in value.included_time_windows
        )
        kind = value.partitions_def
        name = (kind.cron_schedule, kind.timezone, kind.fmt, windows)
        if name not in self._short:
            self._short[name] = _short(value)
        short = self._short[name]
        return subset if short is None else SerializableEntitySubset(subset.key, short)


def _short(value: PartitionsSubset) -> DefaultPartitionsSubset | None:
    few = len(value) <= _FEW
    return DefaultPartitionsSubset(set(value.get_partition_keys())) if few else None


def _tells_enough(condition: AutomationCondition[Any]) -> bool:
    """Whether it is plain why an operand found nothing: none of its parts has a name of its own."""
    return not isinstance(condition, NotAutomationCondition) and not any(
        _is_named(child) for child in condition.children
    )


def _is_named(condition: AutomationCondition[Any]) -> bool:
    return bool(condition.get_label()) or any(_is_named(child) for child in condition.children)


def _in_words(condition: AutomationCondition[Any]) -> str:
    """What Dagster's UI writes of a condition from what it is made of."""
    words = condition.name or condition.description
    parts = [f"({child.get_label() or _in_words(child)})" for child in condition.children]
    if len(parts) <= 1:
        return " ".join([words, *parts])
    return f" {words} ".join(parts)
