"""What has to run again where partitions of an asset change: everything below, and no more of it.

Called by `correcting.replaying`. Below are assets of all pipelines; of each only the partitions
that read one which changes, and of those only what was published before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from data_platform.engine.inputs import partitions_read
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode, DestinationNode, Input, LakeNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.pipelines import Plan
from data_platform.running import Request
from data_platform.storage.lake import Lake


@dataclass(frozen=True)
class Group:
    """Assets of one pipeline that run together.

    Attributes:
        pipeline: its name.
        nodes: upstreams first.
        keys: their partitions, in order.
    """

    pipeline: str
    nodes: tuple[AnyNode, ...]
    keys: tuple[str, ...]

    @property
    def partitions(self) -> Partitions | None:
        """Of all of them."""
        return self.nodes[0].partitions

    def requests(self) -> Iterator[tuple[Request, Sequence[str]]]:
        """What to run: one for each contiguous range, with its partitions."""
        select = [str(node.key) for node in self.nodes]
        if self.partitions is None:
            yield Request(self.pipeline, select=select), self.keys
            return
        for part in self.partitions.contiguous(self.keys):
            if len(part) == 1:
                yield Request(self.pipeline, partition=part[0], select=select), part
            else:
                yield Request(self.pipeline, keys=tuple(part), select=select), part


Concerned = Mapping[Key, tuple[str, ...]]
"""Partitions that run again, by asset, upstreams first."""


def concerned(plan: Plan, lake: Lake, key: Key, keys: Iterable[str]) -> Concerned:
    """The partitions of an asset that change, and all that are built from them.

    Args:
        plan: of all pipelines.
        lake: tells what is published.
        key: the asset.
        keys: its partitions.
    """
    found: dict[Key, tuple[str, ...]] = {key: tuple(sorted(keys))}
    published: dict[Key, list[str]] = {}
    for node in upstreams_first(plan):
        if node.key == key:
            continue
        touched = {given.key: given for given in node.inputs if given.key in found}
        mine: set[str] = set()
        for given in touched.values():
            if node.key not in published:
                published[node.key] = _published(node, lake)
            mine |= set(_reading(given, node, found[given.key], published[node.key]))
        if mine:
            found[node.key] = tuple(sorted(mine))
    return found


def without_failed(plan: Plan, wanted: Concerned, failed: Mapping[Key, Iterable[str]]) -> Concerned:
    """What is left of partitions where some that they read weren't published.

    Args:
        plan: of all pipelines.
        wanted: partitions by asset.
        failed: partitions that weren't published, by asset.
    """
    blocked = {key: set(keys) for key, keys in failed.items()}
    left: dict[Key, tuple[str, ...]] = {}
    for key, keys in wanted.items():
        node = plan[key]
        for given in node.inputs:
            if blocked.get(given.key):
                stands = set(_reading(given, node, sorted(blocked[given.key]), keys))
                blocked.setdefault(key, set()).update(stands)
        left[key] = tuple(one for one in keys if one not in blocked.get(key, ()))
    return left


def groups_of(plan: Plan, wanted: Concerned) -> list[Group]:
    """The assets in as few runs as can be: those of a pipeline with the same partitions together.

    None of a group reads what a later group makes.
    """
    pipelines = {node.key: one.name for one in plan.pipelines for node in one.nodes}
    groups: list[tuple[tuple[object, ...], list[AnyNode]]] = []
    places: dict[Key, int] = {}
    for key, keys in wanted.items():
        if not keys:
            continue
        node = plan[key]
        alike = (pipelines[key], node.partitions, keys)
        least = max((places[given.key] for given in node.inputs if given.key in places), default=0)
        place = next(
            (n for n, (other, _) in enumerate(groups) if n >= least and other == alike), None
        )
        if place is None:
            groups.append((alike, [node]))
            place = len(groups) - 1
        else:
            groups[place][1].append(node)
        places[key] = place
    return [
        Group(pipelines[nodes[0].key], tuple(nodes), wanted[nodes[0].key]) for _, nodes in groups
    ]


def upstreams_first(plan: Plan) -> list[AnyNode]:
    """All assets of all pipelines in an order in which they can run."""
    known = {node.key for node in plan.nodes}
    graph = {
        node.key: [given.key for given in node.inputs if given.key in known] for node in plan.nodes
    }
    return [plan[key] for key in TopologicalSorter(graph).static_order()]


def _published(node: AnyNode, lake: Lake) -> list[str]:
    """What was built of an asset; a destination follows its source."""
    key = node.source if isinstance(node, DestinationNode) else node.key
    if not isinstance(node, DestinationNode | LakeNode):
        return []
    snapshot = lake.table(key).snapshot()
    return list(snapshot.partitions) if snapshot else []


def _reading(
    given: Input, node: AnyNode, changed: Sequence[str], candidates: Sequence[str]
) -> list[str]:
    """The partitions of an asset that read some of an upstream's."""
    if node.partitions is None:
        return [WHOLE]
    match given.reads:
        case "same":
            return [key for key in changed if node.partitions.is_key(key)]
        case "whole" | "all":
            return list(candidates)
        case "matching" | "last":
            touched = set(changed)
            return [
                key
                for key in candidates
                if touched & set(partitions_read(given, node, [key], changed))
            ]
