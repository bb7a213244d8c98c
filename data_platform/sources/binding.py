"""Values of bind parameters: what `:partition_start` and the others stand for in one question.

Called by sources whose queries or requests name parameters. Values are bound, or written as
literals of the other side's own language; nobody pastes their text.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.sources.increments import lower_bound
from data_platform.sources.arrivals import Question

BoundValue = str | bool | int | float | Decimal | date | datetime | None
"""None is NULL, or a parameter that is left out."""


def bound_values(question: Question, keys: Sequence[str]) -> dict[str, BoundValue]:
    """The values of all parameters that there are, by name.

    Args:
        question: of the step.
        keys: the partitions that are asked for at once, or `WHOLE` alone.

    Returns:
        `partition_start` and `partition_end` as times of the partitions' zone, without a zone;
        `partition_key` of one partition, and values of dimensions that all partitions share;
        `watermark`, of incremental sources alone: from where to read, None on a first run without
        a start; those of the run's configuration, with their defaults.
    """
    return parameter_values(question.node, keys, question.parameters, question.position)


def parameter_values(
    node: RawNode,
    keys: Sequence[str],
    parameters: Mapping[str, Any] | None = None,
    position: Mapping[str, Any] | None = None,
) -> dict[str, BoundValue]:
    """The same without a step: those of a first run with the defaults, unless it is said."""
    given = parameters or {}
    values: dict[str, BoundValue] = {
        name: _typed(given.get(name, parameter.default), parameter.type)
        for name, parameter in node.run_parameters.items()
    }
    if node.partitions is not None and list(keys) != [WHOLE]:
        values |= _of_partitions(node.partitions, keys)
    if node.increments is not None and node.increments.cursor is not None:
        values["watermark"] = lower_bound(node.increments, position)
    return values


def _of_partitions(partitions: Partitions, keys: Sequence[str]) -> dict[str, BoundValue]:
    values: dict[str, BoundValue] = {"partition_key": keys[0]} if len(keys) == 1 else {}
    if partitions.time is not None:
        times = [partitions.time_key(key) for key in keys]
        values["partition_start"], _ = partitions.time.local_window(min(times))
        _, values["partition_end"] = partitions.time.local_window(max(times))
    if partitions.by:
        named = [partitions.values_of(key) for key in keys]
        for one in partitions.by:
            shared = {values_of[one.name] for values_of in named}
            if len(shared) == 1:
                values[one.name] = shared.pop()
    return values


def _typed(value: Any, kind: str) -> BoundValue:
    """A value of the run's configuration, which has no dates."""
    if kind == "date" and isinstance(value, str):
        return date.fromisoformat(value)
    return value
