"""Whose values stay unseen: columns marked `pii: true`, and what is made of them.

Called by `plan.building` once all assets are known. What isn't marked itself is found by its name
and by what it is made of; where that can't be told, everything below something personal is hidden.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import sqlglot
from sqlglot import exp

from data_platform.plan.check_kinds import ReconcileCheck
from data_platform.plan.keys import Key
from data_platform.plan.lineage import Lineage
from data_platform.plan.lineage_relations import EVERY, Made
from data_platform.plan.nodes import DestinationNode, LakeNode, Node, Plan, StagingNode
from data_platform.plan.schemas import NO_MASKING, Masking

MASKED = "•••"
"""In place of a value."""

_NodeT = TypeVar("_NodeT", bound=Node)


@dataclass(frozen=True)
class Trace:
    """What the columns of an asset are made of.

    Attributes:
        columns: by name in lower case, the columns of upstreams; `EVERY` means any of one.
        others: what columns that aren't named may be made of, those apart that pass under their
            own names.
    """

    columns: Mapping[str, frozenset[tuple[Key, str]]]
    others: frozenset[tuple[Key, str]] = frozenset()


Tracing = Callable[[LakeNode], Trace | None]
"""Gives what an asset's columns are made of; None where that isn't known."""


def masked(plan: Plan, tracing: Tracing | None = None) -> Plan:
    """The plan with the masking of every asset, a destination having that of what it loads.

    Args:
        plan: finished.
        tracing: what the columns of an asset are made of; None means what the plan's lineage says.
    """
    nodes = [node for node in plan.nodes if isinstance(node, LakeNode)]
    marked = {node.key: frozenset(_marked(node)) for node in nodes}
    if not any(marked.values()):
        return plan
    masks = _Spread(nodes, marked, tracing or _lineage(plan)).masks()
    outside = [node for node in plan.nodes if isinstance(node, DestinationNode)]
    masks |= {node.key: masks.get(node.source, NO_MASKING) for node in outside}
    pipelines = tuple(
        replace(pipeline, nodes=tuple(_masked_node(node, masks) for node in pipeline.nodes))
        for pipeline in plan.pipelines
    )
    return Plan(pipelines)


def _masked_node(node: _NodeT, masks: Mapping[Key, Masking]) -> _NodeT:
    """A node with its masking, and with its checks that must not tell a value."""
    checks = tuple(
        replace(check, masked=True)
        if isinstance(check, ReconcileCheck) and _tells(node.key, check, masks)
        else check
        for check in node.checks
    )
    return replace(node, masking=masks[node.key], checks=checks)


def _tells(own: Key, check: ReconcileCheck, masks: Mapping[Key, Masking]) -> bool:
    """Whether a side of a reconciliation is computed from something personal."""
    sides = ((own, check.expression), (check.other, check.other_expression))
    return any(
        masks.get(key, NO_MASKING).hides(column.name)
        for key, expression in sides
        for column in sqlglot.parse_one(expression, read="duckdb").find_all(exp.Column)
    )


def _lineage(plan: Plan) -> Tracing:
    lineage = Lineage(plan)

    def trace(node: LakeNode) -> Trace:
        relation = lineage.of(node.key).relation
        columns = {name.lower(): _origins(made) for name, made in relation.columns}
        return Trace(columns, _origins(relation.mixed))

    return trace


def _origins(made: Made) -> frozenset[tuple[Key, str]]:
    """The columns of assets whose values it has; what only orders a window isn't seen."""
    return frozenset((key, column) for key, column in made.values if isinstance(key, Key))


def _marked(node: LakeNode) -> Iterable[str]:
    for schema in (node.schema, node.contract):
        for column in schema.columns if schema else ():
            if column.pii:
                yield column.name.lower()


class _Spread:
    """Spreads marks along the plan until nothing changes.

    Args:
        nodes: all assets of the lake.
        marked: the columns that each marks itself.
        tracing: what the columns of an asset are made of.
    """

    def __init__(
        self, nodes: Sequence[LakeNode], marked: Mapping[Key, frozenset[str]], tracing: Tracing
    ) -> None:
        self._nodes = {node.key: node for node in nodes}
        self._marked = marked
        self._traces = {node.key: tracing(node) for node in nodes}
        self._hidden: dict[Key, set[str]] = defaultdict(set)
        self._blind: set[Key] = set()
        """Assets of whose unnamed columns nothing is known, but that they may be personal."""

    def masks(self) -> dict[Key, Masking]:
        """What each asset hides."""
        for key, names in self._marked.items():
            self._hidden[key] |= names
        before = -1
        while before != (before := self._size()):
            for node in self._nodes.values():
                self._from_above(node)
                self._to_above(node)
        return {key: self._mask(key) for key in self._nodes}

    def _size(self) -> int:
        return len(self._blind) + sum(map(len, self._hidden.values()))

    def _mask(self, key: Key) -> Masking:
        hidden = frozenset(self._hidden[key])
        if key not in self._blind:
            return Masking(hidden)
        trace = self._traces[key]
        return Masking(hidden, frozenset(trace.columns) - hidden if trace else frozenset())

    def _hides(self, origin: tuple[Key, str]) -> bool:
        key, name = origin
        if key not in self._nodes:
            return False
        if name == EVERY:
            return bool(self._hidden[key]) or key in self._blind
        return self._mask(key).hides(name)

    def _from_above(self, node: LakeNode) -> None:
        """A column is personal that is made of one which is, or has its name."""
        upstreams = [given.key for given in node.inputs if given.key in self._nodes]
        for key in upstreams:
            self._hidden[node.key] |= self._hidden[key]
        trace = self._traces[node.key]
        if trace is None:
            if any(self._hides((key, EVERY)) for key in upstreams):
                self._blind.add(node.key)
            return
        for name, origins in trace.columns.items():
            if any(map(self._hides, origins)):
                self._hidden[node.key].add(name)
        if any(map(self._hides, trace.others)) or any(key in self._blind for key in upstreams):
            self._blind.add(node.key)

    def _to_above(self, node: LakeNode) -> None:
        """Contracts mostly stand in staging: the same values are in what it reads."""
        own = self._marked[node.key]
        for given in node.inputs if own else ():
            self._hidden[given.key] |= own
        if not isinstance(node, StagingNode) or not self._hidden[node.key]:
            return
        trace = self._traces[node.key]
        if trace is None:
            if own:
                self._blind.add(node.source)
            return
        for name in self._hidden[node.key]:
            for key, column in trace.columns.get(name, ()):
                if column == EVERY:
                    self._blind.add(key)
                else:
                    self._hidden[key].add(column)
