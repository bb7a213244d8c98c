"""Partitions of several assets, put into as few runs as can be.

Called by `running`, `backfills` and the sensor of follow-ups. Pure: it starts nothing.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from data_platform.engine.inputs import partitions_read
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode
from data_platform.plan.partitions import Partitions

Wanted = Mapping[Key, Collection[str]]
"""Partitions by asset; `WHOLE` is the one of an asset that has none."""


@dataclass(frozen=True)
class Part:
    """One run.

    Attributes:
        nodes: upstreams first.
        keys: the partitions of those that have any, as one run of Dagster can cover them; `WHOLE`
            where none has.
    """

    nodes: tuple[AnyNode, ...]
    keys: tuple[str, ...]

    @property
    def partitions(self) -> Partitions | None:
        """Of all nodes that have any."""
        return next((node.partitions for node in self.nodes if node.partitions), None)

    def keys_of(self, node: AnyNode) -> tuple[str, ...]:
        """The partitions of one of its assets."""
        return self.keys if node.partitions else (WHOLE,)

    @property
    def wanted(self) -> dict[Key, tuple[str, ...]]:
        """What it makes."""
        return {node.key: self.keys_of(node) for node in self.nodes}


@dataclass
class _Group:
    """Assets with the same partitions, some of which may have none."""

    nodes: list[AnyNode] = field(default_factory=list)
    partitions: Partitions | None = None
    keys: tuple[str, ...] = (WHOLE,)

    def takes(self, node: AnyNode, keys: tuple[str, ...], *, mixed: bool) -> bool:
        """Whether an asset can run with it.

        Args:
            node: the asset.
            keys: its partitions.
            mixed: whether assets with and without partitions may be together.
        """
        if (self.partitions is None) != (node.partitions is None):
            return mixed
        return (self.partitions, self.keys) == (node.partitions, keys)

    def add(self, node: AnyNode, keys: tuple[str, ...]) -> None:
        """Let it run with it."""
        self.nodes.append(node)
        if node.partitions is not None:
            self.partitions, self.keys = node.partitions, keys


def parts_of(nodes: Sequence[AnyNode], wanted: Wanted, size: int | None = None) -> list[Part]:
    """The runs that make what is wanted, in an order in which they can run one after the other.

    Args:
        nodes: upstreams first; those of which nothing is wanted are left out.
        wanted: partitions by asset.
        size: the most partitions of a run; None means no limit.
    """
    together = _by_step(nodes, wanted)
    asked = [(node, tuple(sorted(together[node.step_name]))) for node in nodes]
    asked = [(node, keys) for node, keys in asked if keys]
    ranges = {
        (node.partitions, keys): list(_ranges(node.partitions, keys, size)) for node, keys in asked
    }
    # What has no partitions would be made again with each of several ranges.
    mixed = all(len(some) == 1 for some in ranges.values())
    return [
        Part(tuple(group.nodes), tuple(keys))
        for group in _groups(asked, mixed=mixed)
        for keys in ranges.get((group.partitions, group.keys), [[WHOLE]])
    ]


def waits(part: Part, unmade: Mapping[Key, Collection[str]]) -> bool:
    """Whether a run reads what another one has yet to make.

    Args:
        part: the run.
        unmade: the partitions that are to be made or being made, those of `part` among them.
    """
    own = {node.key: set(part.keys_of(node)) for node in part.nodes}
    for node in part.nodes:
        for given in (*node.inputs, *node.after):
            left = set(unmade.get(given.key, ())) - own.get(given.key, set())
            if left and left & set(partitions_read(given, node, part.keys_of(node), left)):
                return True
    return False


def _by_step(nodes: Sequence[AnyNode], wanted: Wanted) -> dict[str, set[str]]:
    """The partitions of each step: a function that makes several assets makes all of them."""
    found: dict[str, set[str]] = {}
    for node in nodes:
        found.setdefault(node.step_name, set()).update(wanted.get(node.key, ()))
    return found


def _groups(asked: Sequence[tuple[AnyNode, tuple[str, ...]]], *, mixed: bool) -> list[_Group]:
    """Assets that run together, so that none reads what a later group makes."""
    groups: list[_Group] = []
    places: dict[Key, int] = {}
    steps: dict[str, int] = {}
    for node, keys in asked:
        above = [places[one.key] for one in (*node.inputs, *node.after) if one.key in places]
        least = max(above, default=0)
        fitting = (n for n in range(least, len(groups)) if groups[n].takes(node, keys, mixed=mixed))
        place = steps[node.step_name] if node.step_name in steps else next(fitting, len(groups))
        if place == len(groups):
            groups.append(_Group())
        groups[place].add(node, keys)
        places[node.key] = steps[node.step_name] = place
    return groups


def _ranges(
    partitions: Partitions | None, keys: Sequence[str], size: int | None
) -> Iterator[Sequence[str]]:
    if partitions is None:
        yield keys
        return
    for part in partitions.contiguous(keys):
        if size is None or len(part) <= size:
            yield part
            continue
        # A piece of a range over two dimensions isn't always one.
        for start in range(0, len(part), size):
            yield from partitions.contiguous(part[start : start + size])
