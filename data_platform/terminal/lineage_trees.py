"""Column lineage as trees for a terminal: what a change touches, and where a column comes from.

Called by `cli`. A column that is reached in several ways is shown with what is below it once, and
with a mark where it stands again.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage, target_of
from data_platform.plan.lineage.impact import (
    Ancestry,
    Impact,
    Judgement,
    Link,
    Usage,
    pipelines_of,
)
from data_platform.plan.lineage.relations import EVERY, Asset, Origin, Outside
from data_platform.plan.nodes import DestinationNode
from data_platform.plan.schemas import Column
from data_platform.terminal.tables import POOR, QUIET

_DEEPEST = 8
"""Deeper than this a tree goes on without indentation: it must fit into the line."""
_LISTED = 12

Leaves = Callable[[Origin], Iterator[tuple[str, str]]]
Branches = Callable[[Origin], Sequence[tuple[Link, Origin]]]


class LineageTrees:
    """Prints lineage.

    Args:
        console: where.
        lineage: of the plan.
        home: the folder from which paths of files are shown.
    """

    def __init__(self, console: Console, lineage: Lineage, home: Path) -> None:
        self._console = console
        self._lineage = lineage
        self._home = f"{home}/"

    def print_impact(self, impact: Impact) -> None:
        """What a change of a column touches."""
        self._console.print(Text("down: what is made of it, and what hangs on it", style=QUIET))
        leaves = self._leaves_down(impact)
        self._print(
            impact.start, leaves, lambda at: [(each, each.lower) for each in impact.links[at]]
        )
        for line in self._closing(impact):
            self._console.print(Text(line, overflow="fold"))

    def print_ancestry(self, ancestry: Ancestry) -> None:
        """What a column is made of."""
        self._console.print(Text("up: what it is made of", style=QUIET))
        leaves = self._leaves_up(ancestry)
        self._print(
            ancestry.start, leaves, lambda at: [(each, each.upper) for each in ancestry.links[at]]
        )
        sources = ", ".join(sorted(self._name(origin) for origin in ancestry.sources))
        text = f"it comes from {sources}" if sources else "it comes from no column of a source"
        self._console.print(Text(text, overflow="fold"))

    def print_note(self, origin: Origin) -> None:
        """That nobody declares a column."""
        if not self._lineage.is_known(origin):
            text = (
                f"{self._name(origin)} is declared nowhere: "
                "it is taken for one that arrives in a run"
            )
            self._console.print(Text(text, style=POOR, overflow="fold"))

    # Trees ------------------------------------------------------------------------------------

    def _print(self, start: Origin, leaves: Leaves, branches: Branches) -> None:
        root = Tree(self._label("", start), guide_style=QUIET)
        shown = {start}
        self._add_leaves(root, leaves(start))
        open_branches = [(root, iter(branches(start)))]
        # Depth first, so that what is marked as shown stands above.
        while open_branches:
            tree, siblings = open_branches[-1]
            link, other = next(siblings, (None, start))
            if link is None:
                open_branches.pop()
                continue
            known = other in shown
            shown.add(other)
            branch = tree.add(self._label(link.way, other, " (see above)" if known else ""))
            if not known:
                self._add_leaves(branch, leaves(other))
                below = branch if len(open_branches) < _DEEPEST else tree
                open_branches.append((below, iter(branches(other))))
        self._console.print(root)

    @staticmethod
    def _add_leaves(tree: Tree, leaves: Iterator[tuple[str, str]]) -> None:
        for way, text in leaves:
            tree.add(_line(way, text))

    def _leaves_down(self, impact: Impact) -> Leaves:
        def leaves(origin: Origin) -> Iterator[tuple[str, str]]:
            if contract := impact.contracts.get(origin):
                yield "contract", _promise(contract)
            for judgement in impact.judgements.get(origin, []):
                yield "check", _judged(judgement, origin.asset)
            for usage in impact.usages.get(origin, []):
                what = f"rows of {usage.asset}" if usage.decides else f"in the SQL of {usage.asset}"
                yield _ways(usage), what

        return leaves

    def _leaves_up(self, ancestry: Ancestry) -> Leaves:
        told: set[Asset] = set()

        def leaves(origin: Origin) -> Iterator[tuple[str, str]]:
            if isinstance(origin.asset, Key) and origin.asset not in told:
                told.add(origin.asset)
                for usage in ancestry.rows.get(origin.asset, []):
                    yield _ways(usage), f"{self._name(usage.column)} decides about rows"

        return leaves

    # Words ------------------------------------------------------------------------------------

    def _label(self, way: str, origin: Origin, mark: str = "") -> Text:
        node = self._lineage.plan.get(origin.asset) if isinstance(origin.asset, Key) else None
        if isinstance(node, DestinationNode):
            mark = f" (table {target_of(node)}){mark}"
        return _line(way, self._name(origin), mark)

    def _name(self, origin: Origin) -> str:
        asset = str(origin.asset).removeprefix(self._home)
        if origin.column == EVERY:
            return f"all columns of {asset} (unknown before a run)"
        column = self._lineage.spelled(origin)
        if isinstance(origin.asset, Outside) and not origin.asset.system:
            return f"{column} in {asset}"
        return f"{asset}.{column}"

    def _closing(self, impact: Impact) -> Iterator[str]:
        columns = impact.columns
        assets = list(dict.fromkeys(origin.asset for origin in columns))
        if not (columns or impact.rows or impact.broken or impact.checks):
            yield "changing it touches nothing else"
            return
        pipelines = pipelines_of(assets)
        if columns:
            yield (
                f"changing it touches {_count(len(columns), 'column')} "
                f"of {_count(len(assets), 'asset')} "
                f"in {_count(len(pipelines), 'pipeline')}: {_listed([str(a) for a in assets])}"
            )
        else:
            yield "changing it touches no other column"
        if impact.rows:
            yield (
                f"and the rows of {_count(len(impact.rows), 'asset')}: "
                f"{_listed([str(key) for key in impact.rows])}"
            )
        if broken := [key for key in impact.broken if key not in impact.rows]:
            yield f"and statements that name it: {_listed([str(key) for key in broken])}"
        checks: dict[Key, list[str]] = {}
        for each in impact.checks:
            checks.setdefault(each.asset, []).append(each.check)
        by_asset = [f"{', '.join(names)} of {asset}" for asset, names in checks.items()]
        yield f"and these checks: {_listed(by_asset, '; ')}" if checks else "and no check"


def _line(way: str, text: str, mark: str = "") -> Text:
    line = Text(overflow="fold")
    if way:
        line.append(f"{way}: ", style=QUIET)
    line.append(text)
    line.append(mark, style=QUIET)
    return line


def _ways(usage: Usage) -> str:
    return ", ".join(sorted(usage.uses))


def _judged(judgement: Judgement, asset: Asset) -> str:
    elsewhere = f" of {judgement.asset}" if judgement.asset != asset else ""
    return f"{judgement.check}{elsewhere} ({judgement.effect}s)"


def _promise(column: Column) -> str:
    notes = [
        (column.type or "any type").lower(),
        "" if column.nullable else "not null",
        "unique" if column.unique else "",
    ]
    return ", ".join(note for note in notes if note)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s'[: number != 1]}"


def _listed(names: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return between.join(names[:_LISTED]) + more
