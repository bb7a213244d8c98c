"""Column lineage of a plan: what each column is made of, through all pipelines, both ways.

Called by the command. Assets are followed when they are asked for, upstreams first, each once.
What a destination writes and what a source reads are one and the same where they name the same
table of the same connection.
"""

import difflib
from collections.abc import Iterator, Mapping

from data_platform.errors import PermanentError
from data_platform.plan.destinations.kinds import address_of
from data_platform.plan.keys import Key
from data_platform.plan.lineage.nodes import (
    NodeLineage,
    StepsLineage,
    lineage_of,
    outside_of,
    steps_of,
)
from data_platform.plan.lineage.relations import EVERY, Asset, Origin, Outside
from data_platform.plan.nodes import AnyNode, DestinationNode, RawNode, StagingNode
from data_platform.plan.pipelines import Plan
from data_platform.plan.schemas import Column, Schema

_NEAR = 0.75
"""From here on a name that isn't known is taken for a slip, though its asset may have others."""
_SHOWN = 12


class Lineage:
    """What columns of a plan are made of.

    Args:
        plan: all that will exist.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._followed: dict[Key, NodeLineage] = {}
        self._schemas: dict[Key, Schema] = {}
        self._readers: dict[Asset, list[Key]] = {}
        self._written: dict[Outside, list[Key]] = {}
        for node in plan.nodes:
            for asset in _read_by(node):
                self._readers.setdefault(asset, []).append(node.key)
            if isinstance(node, DestinationNode):
                self._written.setdefault(target_of(node), []).append(node.key)

    def of(self, key: Key) -> NodeLineage:
        """How an asset hangs on columns of others."""
        waiting = [key]
        while waiting:
            first = waiting[-1]
            node = self.plan[first]
            upstreams = {given.key for given in node.inputs} - self._followed.keys()
            ahead = [upstream for upstream in upstreams if self.plan.get(upstream) is not None]
            if ahead and first not in self._followed:
                waiting += ahead
                continue
            waiting.pop()
            if first not in self._followed:
                self._follow(node)
        return self._followed[key]

    def steps_of(self, node: StagingNode) -> StepsLineage | None:
        """What goes into the functions and masks of a staging asset, where it can be followed."""
        self.of(node.key)
        return steps_of(node, self._schema)

    def readers(self, asset: Asset) -> list[Key]:
        """The assets that read one, also those whose checks alone do."""
        return self._readers.get(asset, [])

    def same(self, origin: Origin) -> Iterator[Origin]:
        """A column under all names: what a destination writes is a table that others may read."""
        yield origin
        if isinstance(origin.asset, Outside):
            for key in self._written.get(origin.asset, []):
                yield Origin(key, origin.column)
        elif isinstance(node := self.plan[origin.asset], DestinationNode):
            yield Origin(target_of(node), origin.column)

    def spelled(self, origin: Origin) -> str:
        """The name of a column as it is written; in lower case where nobody declares it."""
        return next(
            (n for n in self._declared(origin.asset) if n.lower() == origin.column), ""
        ) or (origin.column)

    def find(self, text: str) -> Origin:
        """A column by what a person calls it.

        Args:
            text: `layer.name.column`, `pipeline.layer.name.column`, `layer/pipeline/name.column`;
                or of a table of a connection, `connection.table.column`.

        Raises:
            PermanentError: there is none, or there are several.
        """
        names = {node.key: _names(node.key) for node in self.plan.nodes}
        found = _beginning(text, names) or _beginning(text, self._outsides())
        if len({asset for asset, _ in found}) > 1:
            among = ", ".join(f"{asset}.{column}" for asset, column in found)
            raise PermanentError(f"{text} is in several places: {among}")
        if not found:
            raise PermanentError(self._unknown_asset(text, names))
        asset, column = found[0]
        return Origin(asset, self._known_column(asset, column))

    def is_known(self, origin: Origin) -> bool:
        """Whether somebody declares or names a column; another may still arrive in a run."""
        return origin.column in {name.lower() for name in self._names_of_columns(origin.asset)}

    # Parts ------------------------------------------------------------------------------------

    def _follow(self, node: AnyNode) -> None:
        followed = lineage_of(node, self._schema)
        self._followed[node.key] = followed
        columns = tuple(Column(name, None) for name, _ in followed.relation.columns)
        # What is followed may be known to the end where the types aren't.
        self._schemas[node.key] = Schema(columns, followed.relation.closed)

    def _schema(self, key: Key) -> Schema:
        return self._schemas.get(key) or Schema((), closed=False)

    def _outsides(self) -> dict[Outside, list[str]]:
        found = [asset for asset in self._readers if isinstance(asset, Outside)]
        return {outside: [str(outside)] for outside in (*found, *self._written)}

    def _declared(self, asset: Asset) -> list[str]:
        """The names of an asset's columns that are told by themselves."""
        if isinstance(asset, Key):
            return [name for name, _ in self.of(asset).relation.columns]
        keys = (*self.readers(asset), *self._written.get(asset, []))
        return [name for key in keys for name in self._declared(key)]

    def _names_of_columns(self, asset: Asset) -> list[str]:
        """Those, and those that readers name though nobody declares them."""
        declared = self._declared(asset)
        known = {name.lower() for name in declared}
        named = {
            origin.column
            for key in self.readers(asset)
            for origin in _origins_in(self.of(key))
            if origin.asset == asset and origin.column not in {*known, EVERY}
        }
        if isinstance(asset, Outside):
            deeper = {n for key in self.readers(asset) for n in self._names_of_columns(key)}
            named |= {name for name in deeper if name.lower() not in known}
        return [*declared, *sorted(named)]

    def _known_column(self, asset: Asset, column: str) -> str:
        names = self._names_of_columns(asset)
        if column.lower() in {name.lower() for name in names}:
            return column.lower()
        open_ = isinstance(asset, Outside) or not self.of(asset).relation.closed
        cutoff = _NEAR if open_ else 0.5
        near = difflib.get_close_matches(
            column.lower(), [name.lower() for name in names], 1, cutoff
        )
        if open_ and not near and column:
            return column.lower()
        listed = ", ".join(names[:_SHOWN]) + ("..." if len(names) > _SHOWN else "")
        hint = f"did you mean {near[0]}?" if near else f"it has {listed or 'none that are known'}"
        if not column:
            raise PermanentError(f"{asset} is an asset: name a column of it; {hint}")
        raise PermanentError(f"{asset} has no column {column!r} that is known; {hint}")

    def _unknown_asset(self, text: str, names: dict[Key, list[str]]) -> str:
        known = [name for several in names.values() for name in several]
        asset, dot, column = text.rpartition(".")
        near = difflib.get_close_matches(asset or text, known, 1)
        if near and dot:
            return f"there is no asset {asset!r}; did you mean {near[0]}.{column}?"
        return f"there is no column {text!r}; a column is layer.name.column"


def target_of(node: DestinationNode) -> Outside:
    """The table, or the files, that a destination writes."""
    return Outside(*address_of(node.target))


def _read_by(node: AnyNode) -> list[Asset]:
    if isinstance(node, RawNode):
        outside = outside_of(node)
        return [outside, *dict.fromkeys(given.key for given in node.inputs)]
    return list(dict.fromkeys(given.key for given in node.inputs))


def _origins_in(lineage: NodeLineage) -> Iterator[Origin]:
    yield from lineage.relation.whole.all
    yield from lineage.uses
    for read in lineage.checks.values():
        yield from read


def _names(key: Key) -> list[str]:
    return [str(key), key.relation, f"{key.layer}.{key.name}"]


def _beginning(
    text: str, names: Mapping[Key, list[str]] | Mapping[Outside, list[str]]
) -> list[tuple[Asset, str]]:
    """What a text begins with, and the rest of it: a column's name may have dots itself."""
    return [
        (asset, text[len(name) + 1 :])
        for asset, several in names.items()
        for name in several
        if text == name or text.startswith(f"{name}.")
    ]
