"""Places that two destinations would both write to: one would undo what the other did.

Asked by `plan.building` when all nodes are known.
"""

from collections.abc import Iterable

from data_platform.plan.destinations.kinds import AnyTarget, FileTarget, RedshiftTarget, TableTarget
from data_platform.plan.destinations.tables import table_name
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode, DestinationNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.sources.file_paths import filled


def same_places(nodes: Iterable[AnyNode]) -> dict[Key, str]:
    """What is wrong with destinations whose place another one has, by their keys.

    Args:
        nodes: of all pipelines; the first of two is right.
    """
    taken: dict[tuple[str, str], Key] = {}
    wrong: dict[Key, str] = {}
    for node in nodes:
        if not isinstance(node, DestinationNode):
            continue
        place = _place(node.target, node.partitions)
        first = taken.setdefault(place, node.key)
        if first != node.key:
            wrong[node.key] = f"{first} writes to {place[1]} already: each would undo the other"
    return wrong


def _place(target: AnyTarget, partitions: Partitions | None) -> tuple[str, str]:
    """Where a target is; of files the first one, since a path may be written in several ways."""
    match target:
        case TableTarget():
            return target.connection, table_name(target.table, target.dialect).full
        case RedshiftTarget():
            return target.connection, f"{target.schema}.{target.table}"
        case FileTarget():
            key = partitions.first_keys[0] if partitions else WHOLE
            return "", filled(target.path, partitions, key)
