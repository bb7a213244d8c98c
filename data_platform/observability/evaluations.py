"""What the automation found of an asset last: a condition's labels, and which of them were true.

Called by `observability.why`. The tree is read by labels and descriptions alone, whatever the
condition is made of.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dagster import DagsterInstance
from dagster._core.definitions.declarative_automation.serialized_objects import (
    AutomationConditionEvaluation,
)

from data_platform.asset_specs import asset_key
from data_platform.plan.nodes import AnyNode


@dataclass(frozen=True)
class Judged:
    """A part of a condition, as it was judged.

    Attributes:
        label: what it is called.
        true: whether it held, of the partition or of anything.
        depth: in the condition.
    """

    label: str
    true: bool
    depth: int


@dataclass(frozen=True)
class Evaluation:
    """The last evaluation of an asset's condition that Dagster kept.

    Attributes:
        at: when.
        requested: how many partitions it asked for.
        runs: that it started.
        parts: what the condition is made of, from the top.
    """

    at: datetime
    requested: int
    runs: tuple[str, ...]
    parts: tuple[Judged, ...]


def last_evaluation(
    instance: DagsterInstance, node: AnyNode, partition: str | None
) -> Evaluation | None:
    """The last evaluation of an asset's condition; None where none was kept.

    Args:
        instance: Dagster's.
        node: the asset.
        partition: which of its partitions is asked about; None means any.
    """
    storage = instance.schedule_storage
    if storage is None:
        return None
    found = storage.get_auto_materialize_asset_evaluations(asset_key(node.key), 1)
    if not found:
        return None
    told = found[0].get_evaluation_with_run_ids()
    return Evaluation(
        datetime.fromtimestamp(found[0].timestamp, UTC),
        told.evaluation.true_subset.size,
        tuple(sorted(told.run_ids)),
        tuple(_parts(told.evaluation, partition, 0)),
    )


def _parts(
    evaluation: AutomationConditionEvaluation[Any], partition: str | None, depth: int
) -> Iterator[Judged]:
    """The labelled parts; of those without a label, what they are made of."""
    node = evaluation.condition_snapshot
    if node.label:
        yield Judged(node.label, _holds(evaluation, partition), depth)
        depth += 1
    for child in evaluation.child_evaluations:
        yield from _parts(child, partition, depth)


def _holds(evaluation: AutomationConditionEvaluation[Any], partition: str | None) -> bool:
    subset = evaluation.true_subset
    if partition is not None and subset.is_partitioned:
        return partition in subset.subset_value.get_partition_keys()
    return not subset.is_empty
