"""Values of bind parameters: what `:partition_start` and the others stand for in one question.

Called by sources whose queries or requests name parameters. Values are bound, or written as
literals of the other side's own language; nobody pastes their text.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources.increments import lower_bound
from data_platform.sources.arrivals import Question

BoundValue = str | bool | int | float | Decimal | date | datetime | None
"""None is NULL, or a parameter that is left out."""


def bound_values(question: Question, key: str, last: str | None = None) -> dict[str, BoundValue]:
    """The values of all parameters that there are, by name.

    Args:
        question: of the step.
        key: a partition, or `WHOLE`: then there is no `partition_key`, `_start` and `_end`. Where a
            range is asked at once, its first.
        last: the last partition of the range; None means `key` itself. A range has no
            `partition_key`.

    Returns:
        `partition_start` and `partition_end` as times of the partitions' zone, without a zone;
        `watermark`, of incremental sources alone: from where to read, None on a first run without
        a start; those of the run's configuration, with their defaults.
    """
    return parameter_values(question.node, key, last, question.parameters, question.position)


def parameter_values(
    node: RawNode,
    key: str,
    last: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    position: Mapping[str, Any] | None = None,
) -> dict[str, BoundValue]:
    """The same without a step: those of a first run with the defaults, unless it is said."""
    given = parameters or {}
    values: dict[str, BoundValue] = {
        name: _typed(given.get(name, parameter.default), parameter.type)
        for name, parameter in node.run_parameters.items()
    }
    if node.partitions is not None and key != WHOLE:
        if last is None:
            values["partition_key"] = key
        values["partition_start"], _ = node.partitions.local_window(key)
        _, values["partition_end"] = node.partitions.local_window(last or key)
    if node.increments is not None and node.increments.cursor is not None:
        values["watermark"] = lower_bound(node.increments, position)
    return values


def _typed(value: Any, kind: str) -> BoundValue:
    """A value of the run's configuration, which has no dates."""
    if kind == "date" and isinstance(value, str):
        return date.fromisoformat(value)
    return value
