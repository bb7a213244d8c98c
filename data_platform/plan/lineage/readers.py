"""Who reads an asset, at once or through others: assets of all pipelines, and tables outside.

Called by the command's `impact`. A source that reads the table which a destination writes reads the
destination. Columns are `impact`'s.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage, target_of
from data_platform.plan.nodes import AnyNode, DestinationNode, Input

How = Literal["reads", "follows", "table"]
"""It reads its rows, it only follows it, or it is a source that reads the table it writes."""


@dataclass(frozen=True)
class Reader:
    """An asset that hangs on another one.

    Attributes:
        node: the asset.
        by: through which it does: the asset itself, or the nearest other one.
        how: it hangs on that one.
        given: which partitions of it are read; None of a table.
        steps: how far away it is; 1 is a reader of the asset itself.
    """

    node: AnyNode
    by: Key
    how: How
    given: Input | None
    steps: int

    @property
    def target(self) -> str | None:
        """What it writes outside, where it does."""
        return str(target_of(self.node)) if isinstance(self.node, DestinationNode) else None


def readers_of(lineage: Lineage, start: Key) -> list[Reader]:
    """All that hangs on an asset, the nearest first; each once, through the shortest way.

    Args:
        lineage: of the plan.
        start: the asset.
    """
    below = _below(lineage)
    found: dict[Key, Reader] = {}
    waiting = deque([(start, 1)])
    while waiting:
        key, steps = waiting.popleft()
        edges = [*below.get(key, ()), *_of_table(lineage, lineage.plan[key])]
        for node, how, given in edges:
            if node.key != start and node.key not in found:
                found[node.key] = Reader(node, key, how, given, steps)
                waiting.append((node.key, steps + 1))
    return list(found.values())


def _below(lineage: Lineage) -> dict[Key, list[tuple[AnyNode, How, Input | None]]]:
    below: dict[Key, list[tuple[AnyNode, How, Input | None]]] = {}
    for node in lineage.plan.nodes:
        for given in node.inputs:
            below.setdefault(given.key, []).append((node, "reads", given))
        for given in node.after:
            below.setdefault(given.key, []).append((node, "follows", given))
    return below


def _of_table(lineage: Lineage, node: AnyNode) -> Iterator[tuple[AnyNode, How, Input | None]]:
    """The sources that read what a destination writes."""
    if isinstance(node, DestinationNode):
        for key in lineage.readers(target_of(node)):
            yield lineage.plan[key], "table", None


def owners_of(readers: Sequence[Reader]) -> dict[str, list[AnyNode]]:
    """Whom a change concerns, with their assets; who has most of them first."""
    owners: dict[str, list[AnyNode]] = {}
    for reader in readers:
        owners.setdefault(reader.node.owner, []).append(reader.node)
    return dict(sorted(owners.items(), key=lambda entry: (-len(entry[1]), entry[0])))
