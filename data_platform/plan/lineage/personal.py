"""Personal data, followed: which columns tell of a person, and by which way they came there.

Called by `plan.building` with all nodes that could be built. Contracts of raw and staging declare
it by `pii: true`; from there values go where column lineage says, until they are counted, tested
for NULL or masked. A function can't be looked into: all that it gives carries what it read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter

from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.lineage.nodes import StepsLineage
from data_platform.plan.lineage.relations import EVERY, Made, Origin, Outside, Relation
from data_platform.plan.nodes import LakeNode, Node, PythonNode, StagingNode
from data_platform.plan.pipelines import Plan
from data_platform.plan.schemas import Column

_DECLARING = frozenset({"raw", "staging"})
"""Layers whose columns a mark further down, on the same values, marks too."""


@dataclass(frozen=True)
class Trail:
    """A column that tells of a person, and where its values come from.

    Attributes:
        asset: that has it.
        column: its name, or `EVERY`: one that isn't known before a run.
        above: the column that it is made of; None where it was declared.
        by_function: whether a function made it, whose author may say that it tells of nobody.
    """

    asset: Key
    column: str
    above: "Trail | None" = None
    by_function: bool = False

    @property
    def way(self) -> tuple["Trail", ...]:
        """From where it was declared to here."""
        return (*self.above.way, self) if self.above else (self,)

    def __str__(self) -> str:
        return " -> ".join(one.spelled(self.asset.pipeline) for one in self.way)

    def spelled(self, pipeline: str) -> str:
        """The column as a pipeline's author names it."""
        other = f"{self.asset.pipeline}." if self.asset.pipeline != pipeline else ""
        column = "(any column)" if self.column == EVERY else self.column
        return f"{other}{self.asset.layer}.{self.asset.name}.{column}"


Trails = Mapping[str, Trail]
"""By the column's name in lower case, or `EVERY`."""


@dataclass(frozen=True)
class Personal:
    """What of a plan tells of persons.

    Attributes:
        trails: the columns of each asset; assets without any aren't there.
        refuted: columns of SQL whose contract says `pii: false` though they do, by asset.
        steps: what functions and masks of staging assets get, of those that have some.
        relations: the columns of all assets, and what they are made of.
    """

    trails: Mapping[Key, Trails] = field(default_factory=dict[Key, Trails])
    refuted: Mapping[Key, Trails] = field(default_factory=dict[Key, Trails])
    steps: Mapping[Key, StepsLineage] = field(default_factory=dict[Key, StepsLineage])
    relations: Mapping[Key, Relation] = field(default_factory=dict[Key, Relation])

    def of(self, key: Key) -> Trails:
        """The columns of an asset that tell of a person."""
        return self.trails.get(key, {})


def followed(plan: Plan) -> Personal:
    """Follow what contracts declare.

    Args:
        plan: with all nodes, upstreams of each included.
    """
    nodes = [node for node in plan.nodes if isinstance(node, LakeNode)]
    marked = any(column.pii for node in nodes for column in _promised(node))
    masking = any(isinstance(node, StagingNode) and node.masks is not None for node in nodes)
    return _Following(plan).run() if marked or masking else Personal()


def _promised(node: Node) -> Iterator[Column]:
    contract = node.contract if isinstance(node, LakeNode) else None
    for schema in (node.schema, contract):
        yield from schema.columns if schema else ()


class _Following:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        lineage = Lineage(plan)
        self._steps: dict[Key, StepsLineage] = {}
        self._relations: dict[Key, Relation] = {}
        for node in plan.nodes:
            relation = lineage.of(node.key).relation
            if isinstance(node, StagingNode) and (node.calls or node.masks is not None):
                steps = lineage.steps_of(node)
                if steps is not None:
                    self._steps[node.key] = steps
                    relation = steps.relation if node.calls else relation
            self._relations[node.key] = relation
        self._names = {
            key: frozenset(name.lower() for name, _ in relation.columns)
            for key, relation in self._relations.items()
        }
        self._trails: dict[Key, dict[str, Trail]] = {}
        self._refuted: dict[Key, dict[str, Trail]] = {}

    def run(self) -> Personal:
        declared: dict[Key, dict[str, Trail]] = {}
        for key, name in self._declared():
            declared.setdefault(key, {})[name.lower()] = Trail(key, name)
        order = TopologicalSorter(
            {
                node.key: [given.key for given in node.inputs if self._plan.get(given.key)]
                for node in self._plan.nodes
            }
        )
        for key in order.static_order():
            found = self._carried(self._plan[key])
            for name, trail in declared.get(key, {}).items():
                found.setdefault(name, trail)
            if found:
                self._trails[key] = found
        return Personal(self._trails, self._refuted, self._steps, self._relations)

    # What is declared -------------------------------------------------------------------------

    def _declared(self) -> Iterator[tuple[Key, str]]:
        """Columns that are marked, and those above that hold the very same values."""
        for node in self._plan.nodes:
            for name in dict.fromkeys(column.name for column in _promised(node) if column.pii):
                if not (isinstance(node, StagingNode) and name.lower() in node.masked):
                    yield node.key, name
                if node.key.layer in _DECLARING:
                    yield from self._above(node.key, name)

    def _above(self, key: Key, name: str) -> Iterator[tuple[Key, str]]:
        made = self._relations[key][name]
        while made is not None and made.passed and len(made.values) == 1:
            [origin] = made.values
            if not isinstance(origin.asset, Key) or origin.asset.layer not in _DECLARING:
                return
            if origin.column == EVERY:
                return
            yield origin.asset, origin.column
            made = self._relations[origin.asset][origin.column]

    # Where it goes ----------------------------------------------------------------------------

    def _carried(self, node: Node) -> dict[str, Trail]:
        """The columns of an asset that carry something personal."""
        relation = self._relations[node.key]
        found: dict[str, Trail] = {}
        for name, made in relation.columns:
            if above := self._first(node, made):
                found[name.lower()] = Trail(node.key, name, above, above.by_function)
        for name, above in self._passing(node, relation):
            found.setdefault(name, Trail(node.key, name, above, above.by_function))
        if above := self._first(node, relation.mixed):
            found.setdefault(EVERY, Trail(node.key, EVERY, above, above.by_function))
        return self._taken_at_word(node, found)

    def _passing(self, node: Node, relation: Relation) -> Iterator[tuple[str, Trail]]:
        """Columns that nobody names, under their own names."""
        told = {name.lower() for name, _ in relation.columns}
        for rest in relation.rest:
            if isinstance(rest.asset, Key):
                for name, trail in self._trails.get(rest.asset, {}).items():
                    if name not in rest.without and name not in told:
                        yield name, replace(trail, by_function=False)
            elif trail := self._trail(node, Origin(rest.asset, EVERY)):
                yield EVERY, trail

    def _first(self, node: Node, made: Made) -> Trail | None:
        """Where it comes from by word of SQL if by any, since no author's word counts there."""
        trails = [self._trail(node, origin) for origin in sorted(made.exposed, key=str)]
        there = [trail for trail in trails if trail is not None]
        return min(there, key=lambda trail: trail.by_function) if there else None

    def _within(self, node: Node, relation: Relation) -> Trail | None:
        """The first that something carries which goes into a function."""
        for made in (*(made for _, made in relation.columns), relation.mixed):
            if trail := self._first(node, made):
                return trail
        return next((trail for _, trail in self._passing(node, relation)), None)

    def _trail(self, node: Node, origin: Origin) -> Trail | None:
        """What an origin tells of a person, if anything."""
        asset, name = origin
        if isinstance(asset, Outside):
            steps = self._steps.get(node.key)
            got = steps.calls.get(asset) if steps else None
            above = self._within(node, got) if got else None
            return replace(above, by_function=True) if above else None
        trails = self._trails.get(asset, {})
        if isinstance(node, PythonNode) and asset not in node.reads:
            return None
        opaque = isinstance(node, PythonNode)
        if name == EVERY:
            first = min(trails.values(), key=lambda trail: trail.column, default=None)
            return replace(first, by_function=opaque) if first else None
        known = trails.get(name)
        if known is None and name not in self._names.get(asset, frozenset()):
            known = trails.get(EVERY)
        return replace(known, by_function=opaque) if known else None

    def _taken_at_word(self, node: Node, found: dict[str, Trail]) -> dict[str, Trail]:
        """Without the columns of a function of which its author says that they tell of nobody."""
        contract = node.contract if isinstance(node, LakeNode) else None
        columns = contract.columns if contract else ()
        denied = {column.name.lower() for column in columns if column.pii is False}
        refuted = {n: trail for n, trail in found.items() if n in denied and not trail.by_function}
        if refuted:
            self._refuted[node.key] = refuted
        return {n: trail for n, trail in found.items() if n not in denied or n in refuted}
