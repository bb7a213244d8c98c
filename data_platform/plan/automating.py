"""What an asset's automation comes to with its partitions, and what doesn't fit together.

Asked by `plan.building` for mistakes, and by `automation`. Pure.
"""

from collections.abc import Sequence

from data_platform.plan.nodes import AnyNode, RawNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.partitions.kinds import BETWEEN
from data_platform.spec.automation import AutomationBlock
from data_platform.spec.wording import nearest

RETRY_CRON = "*/15 * * * *"
"""How often a stale asset whose rebuild failed is tried again."""
AT_ONCE = 30
"""Partitions of an asset that may be filled at once, where `backfill` doesn't say."""


def automation_of(node: AnyNode) -> AutomationBlock | None:
    """When an asset runs by itself; None means that only a schedule or a person starts it."""
    if not node.enabled:
        return None
    match node.automation:
        case None:
            started = not isinstance(node, RawNode) or node.external
            return AutomationBlock(when="eager") if started else None
        case "manual":
            return None
        case AutomationBlock():
            return node.automation
        case _:
            return AutomationBlock(when=node.automation)


def automation_mistake(node: AnyNode) -> tuple[tuple[str, ...], str] | None:
    """What of an asset's automation can't be: the keys where it stands, and why."""
    block = node.automation
    preset = block.when if isinstance(block, AutomationBlock) else block
    if preset == "freshness" and node.freshness is None:
        text = "the automation is `freshness`, and nothing is promised: add `freshness`"
        return ("automation",), text
    if not isinstance(block, AutomationBlock):
        return None
    partitions = node.partitions
    for name in ("catchup", "depends_on_past", "canary"):
        if getattr(block, name) and partitions is None:
            return ("automation", name), f"`{name}` is about partitions, and this asset has none"
    if partitions is None:
        return None
    if block.depends_on_past and partitions.time is None:
        text = "`depends_on_past` needs partitions of time: no other one comes before another"
        return ("automation", "depends_on_past"), text
    unknown = next((one for one in block.canary if not _is_canary(one, partitions)), None)
    return None if unknown is None else (("automation", "canary"), _unknown(unknown, partitions))


def canaries_of(partitions: Partitions, canary: Sequence[str], key: str) -> list[str]:
    """The partitions that go before one; none for those that are such themselves.

    Args:
        partitions: of the asset.
        canary: values of a dimension, or keys.
        key: of the partition.
    """
    values = {} if partitions.dynamic is not None else dict(partitions.values_of(key))
    if key in canary or any(value in canary for value in values.values()):
        return []
    found = [one for one in canary if partitions.is_key(one)]
    for dimension in partitions.by:
        for value in dimension.values:
            if value in canary:
                first = {**values, dimension.name: value}
                found.append(BETWEEN.join(first[name] for name in partitions.dimensions))
    return list(dict.fromkeys(found))


def _is_canary(text: str, partitions: Partitions) -> bool:
    return partitions.is_key(text) or any(text in one.values for one in partitions.by)


def _unknown(text: str, partitions: Partitions) -> str:
    known = [value for one in partitions.by for value in one.values] or partitions.first_keys
    near = nearest(text, known)
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known[:5])}"
    return f"{text!r} is no value and no key of these partitions; {hint}"
