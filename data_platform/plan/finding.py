"""An asset by what a person calls it: `layer/pipeline/name`, `layer/name`, or with dots as in SQL.

Called by the command, which also asks whether the asset has a partition.
"""

import difflib
from collections.abc import Sequence
from datetime import datetime

from data_platform.errors import PermanentError
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode, LakeNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.pipelines import Plan


def find_asset(plan: Plan, text: str) -> AnyNode:
    """The asset of a name; that of a quarantine is the asset whose rows it holds.

    Raises:
        PermanentError: there is none, or there are several.
    """
    names = {node.key: _names(node) for node in plan.nodes}
    found = [key for key, known in names.items() if text in known]
    if len(found) == 1:
        return plan[found[0]]
    if found:
        raise PermanentError(f"{text} is in several pipelines: {', '.join(map(str, found))}")
    near = difflib.get_close_matches(text, [name for known in names.values() for name in known], 1)
    hint = f"did you mean {near[0]}?" if near else "a key is layer/pipeline/name"
    raise PermanentError(f"there is no asset {text!r}; {hint}")


def check_partition(
    node: AnyNode, text: str, registered: Sequence[str] = (), now: datetime | None = None
) -> None:
    """Refuse what is no partition of an asset, and say what there are.

    Args:
        node: the asset.
        text: what a person wrote.
        registered: keys, where they are registered as they come.
        now: aware; the keys that are due by then are looked at for what was meant.

    Raises:
        PermanentError: there is no such partition.
    """
    own = node.partitions
    if own is None:
        raise PermanentError(f"{node.key} has no partitions: leave {text!r} out")
    if own.is_key(text) and (own.dynamic is None or text in registered):
        return
    if own.dynamic is not None:
        known, there = list(registered), ", ".join(registered[:5]) or "none"
        about = f"it isn't registered; there are {there}"
    else:
        known = own.due(now) if now else []
        about = f"partitions are {in_words(own)}"
    near = difflib.get_close_matches(text, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise PermanentError(f"{node.key} has no partition {text!r}: {about}{hint}")


def in_words(partitions: Partitions) -> str:
    """Which partitions there are: `days from 2024-01-01 to 2024-01-31`."""
    time = partitions.time
    last = max(time.within(None, None, time.ends), default=None) if time and time.ends else None
    parts = (
        [f"{time.every}s from {time.first_key}{f' to {last}' if last else ' on'}"] if time else []
    )
    for dimension in partitions.by:
        more = " and so on" if len(dimension.values) > 5 else ""  # noqa: PLR2004
        parts.append(f"{dimension.name} {', '.join(dimension.values[:5])}{more}")
    order = f", written as {partitions.first_keys[0]}" if len(parts) > 1 else ""
    return f"{' and '.join(parts)}{order}"


def _names(node: AnyNode) -> list[str]:
    keys = [node.key]
    if isinstance(node, LakeNode) and node.has_quarantine:
        keys.append(node.quarantine_key)
    return [name for key in keys for name in _names_of(key)]


def _names_of(key: Key) -> tuple[str, ...]:
    return (str(key), key.relation, f"{key.layer}.{key.name}", f"{key.layer}/{key.name}")
