"""What hangs on a column, and on what a column hangs: both ways through a plan.

Called by the command. Columns, rows and checks are told apart: a column that is only a join key
makes no value below it, but decides about rows, and what judges it may fail.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from data_platform.plan.checks.kinds import RowCountCheck
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.lineage.nodes import NodeLineage
from data_platform.plan.lineage.relations import EVERY, Asset, Made, Origin, Outside, Use
from data_platform.plan.nodes import LakeNode
from data_platform.plan.schemas import Column

Way = Literal["value", "window", "perhaps", "table"]
"""How a column becomes another's: as its value, as part or order of its window, perhaps (nobody can
tell before a run), or as the column of the table that a destination writes."""


@dataclass(frozen=True)
class Link:
    """A column that is made of another.

    Attributes:
        upper: the column nearer to the sources.
        lower: the column that is made of it.
        way: how.
    """

    upper: Origin
    lower: Origin
    way: Way


@dataclass(frozen=True)
class Usage:
    """An asset that uses a column otherwise.

    Attributes:
        column: which.
        asset: whose statement or partitions use it.
        uses: how.
    """

    column: Origin
    asset: Key
    uses: frozenset[Use]

    @property
    def decides(self) -> bool:
        """Whether it decides about rows."""
        return bool(self.uses - {Use.NAMED})


@dataclass(frozen=True)
class Judgement:
    """A check that reads a column."""

    column: Origin
    asset: Key
    check: str
    effect: str


@dataclass
class Impact:
    """What a change of a column touches.

    Attributes:
        start: the column.
        links: from each column to those that are made of it.
        usages: by column.
        judgements: by column; each check once.
        contracts: what contracts promise of columns.
        rows: assets whose rows hang on it, at once or through others.
        row_checks: checks that count the rows of those assets.
    """

    start: Origin
    links: dict[Origin, list[Link]] = field(default_factory=dict[Origin, list[Link]])
    usages: dict[Origin, list[Usage]] = field(default_factory=dict[Origin, list[Usage]])
    judgements: dict[Origin, list[Judgement]] = field(default_factory=dict[Origin, list[Judgement]])
    contracts: dict[Origin, Column] = field(default_factory=dict[Origin, Column])
    rows: list[Key] = field(default_factory=list[Key])
    row_checks: list[Judgement] = field(default_factory=list[Judgement])

    @property
    def columns(self) -> list[Origin]:
        """The columns of assets that are made of it, itself not included."""
        found = [origin for origin in self.links if isinstance(origin.asset, Key)]
        return [origin for origin in found if origin != self.start]

    @property
    def checks(self) -> list[Judgement]:
        """All checks that it touches."""
        return [*(j for found in self.judgements.values() for j in found), *self.row_checks]

    @property
    def broken(self) -> list[Key]:
        """Assets whose statement names it, or what is made of it, though no rows hang on it."""
        named = [u.asset for found in self.usages.values() for u in found if not u.decides]
        return list(dict.fromkeys(named))


@dataclass
class Ancestry:
    """What a column is made of.

    Attributes:
        start: the column.
        links: from each column to those that it is made of.
        rows: what decides about the rows of the assets on the way, by asset.
    """

    start: Origin
    links: dict[Origin, list[Link]] = field(default_factory=dict[Origin, list[Link]])
    rows: dict[Key, list[Usage]] = field(default_factory=dict[Key, list[Usage]])

    @property
    def sources(self) -> list[Origin]:
        """Where it comes from outside."""
        return [
            origin
            for origin, links in self.links.items()
            if isinstance(origin.asset, Outside) and not links
        ]


def impact_of(lineage: Lineage, start: Origin) -> Impact:
    """What a change of a column touches."""
    impact = Impact(start)
    waiting = [start]
    while waiting:
        origin = waiting.pop(0)
        if origin in impact.links:
            continue
        impact.links[origin] = _links_down(lineage, origin)
        impact.usages[origin] = _usages(lineage, origin)
        contract = _contract(lineage, origin)
        if contract is not None:
            impact.contracts[origin] = contract
        waiting += [link.lower for link in impact.links[origin]]
    for origin in impact.links:
        impact.judgements[origin] = list(_judgements(lineage, origin))
    _keep_nearest(impact)
    impact.rows = _rows_below(lineage, impact)
    impact.row_checks = _counting(lineage, impact.rows)
    return impact


def ancestry_of(lineage: Lineage, start: Origin) -> Ancestry:
    """What a column is made of, up to the sources."""
    ancestry = Ancestry(start)
    waiting = [start]
    while waiting:
        origin = waiting.pop(0)
        if origin in ancestry.links:
            continue
        ancestry.links[origin] = list(_links_up(lineage, origin))
        if isinstance(origin.asset, Key) and origin.asset not in ancestry.rows:
            ancestry.rows[origin.asset] = [
                Usage(column, origin.asset, uses)
                for column, uses in lineage.of(origin.asset).uses.items()
                if uses - {Use.NAMED}
            ]
        waiting += [link.upper for link in ancestry.links[origin]]
    return ancestry


# Down -----------------------------------------------------------------------------------------


def _links_down(lineage: Lineage, origin: Origin) -> list[Link]:
    links: dict[Origin, Link] = {}
    for each in lineage.same(origin):
        for key in lineage.readers(each.asset):
            for lower, way in _made_of(lineage.of(key), key, each):
                links.setdefault(lower, Link(origin, lower, way))
    return list(links.values())


def _made_of(node: NodeLineage, key: Key, origin: Origin) -> Iterator[tuple[Origin, Way]]:
    """The columns of an asset that are made of a column of an upstream."""
    relation = node.relation
    for name, made in relation.columns:
        if (way := _way(made, origin)) is not None:
            yield Origin(key, name.lower()), way
    passes = any(
        rest.asset == origin.asset and origin.column not in rest.without for rest in relation.rest
    )
    if passes and origin.column != EVERY and relation.known(origin.column) is None:
        yield Origin(key, origin.column), "value"
        return
    if _way(relation.mixed, origin) or (
        origin.column == EVERY and any(rest.asset == origin.asset for rest in relation.rest)
    ):
        yield Origin(key, EVERY), "perhaps"


def _way(made: Made, origin: Origin) -> Way | None:
    if origin.column == EVERY:
        return "perhaps" if any(each.asset == origin.asset for each in made.all) else None
    if origin in made.values:
        return "value"
    if origin in made.windows:
        return "window"
    return "perhaps" if Origin(origin.asset, EVERY) in made.all else None


def _usages(lineage: Lineage, origin: Origin) -> list[Usage]:
    found: list[Usage] = []
    for each in lineage.same(origin):
        for key in lineage.readers(each.asset):
            uses = lineage.of(key).uses
            ways = uses.get(each, frozenset()) | uses.get(Origin(each.asset, EVERY), frozenset())
            if ways:
                found.append(Usage(origin, key, ways))
    return found


def _contract(lineage: Lineage, origin: Origin) -> Column | None:
    if not isinstance(origin.asset, Key):
        return None
    node = lineage.plan[origin.asset]
    contract = node.contract if isinstance(node, LakeNode) else None
    columns = contract.columns if contract else ()
    return next((column for column in columns if column.name.lower() == origin.column), None)


def _judgements(lineage: Lineage, origin: Origin) -> Iterator[Judgement]:
    own = [origin.asset] if isinstance(origin.asset, Key) else []
    for key in (*own, *lineage.readers(origin.asset)):
        effects = _effects(lineage, key)
        for name, read in lineage.of(key).checks.items():
            if origin in read or Origin(origin.asset, EVERY) in read:
                yield Judgement(origin, key, name, effects.get(name, "fail"))


def _keep_nearest(impact: Impact) -> None:
    """Of the columns that a check reads, it stands at one of its own asset's where it can."""
    best: dict[tuple[Key, str], Judgement] = {}
    for found in impact.judgements.values():
        for judgement in found:
            known = best.get((judgement.asset, judgement.check))
            foreign = known is not None and known.column.asset != known.asset
            if known is None or (foreign and judgement.column.asset == judgement.asset):
                best[judgement.asset, judgement.check] = judgement
    kept = set(best.values())
    impact.judgements = {
        origin: [judgement for judgement in found if judgement in kept]
        for origin, found in impact.judgements.items()
    }


def _rows_below(lineage: Lineage, impact: Impact) -> list[Key]:
    """Assets whose rows hang on the column, and all that are made of their rows."""
    found: dict[Key, None] = {}
    waiting = [u.asset for usages in impact.usages.values() for u in usages if u.decides]
    while waiting:
        key = waiting.pop(0)
        if key in found:
            continue
        found[key] = None
        for each in lineage.same(Origin(key, EVERY)):
            below = lineage.readers(each.asset)
            waiting += [reader for reader in below if each.asset in lineage.of(reader).reads]
    return list(found)


def _counting(lineage: Lineage, keys: Iterable[Key]) -> list[Judgement]:
    return [
        Judgement(Origin(key, EVERY), key, check.name, check.effect)
        for key in keys
        for check in lineage.plan[key].checks
        if isinstance(check, RowCountCheck)
    ]


def _effects(lineage: Lineage, key: Key) -> dict[str, str]:
    return {c.name: c.effect for c in lineage.plan[key].checks}


# Up -------------------------------------------------------------------------------------------


def _links_up(lineage: Lineage, origin: Origin) -> Iterator[Link]:
    if isinstance(origin.asset, Outside):
        for each in lineage.same(origin):
            if each != origin:
                yield Link(each, origin, "table")
        return
    relation = lineage.of(origin.asset).relation
    made = relation.whole if origin.column == EVERY else relation[origin.column] or relation.mixed
    for upper in sorted(made.values, key=_order):
        yield Link(upper, origin, "perhaps" if upper.column == EVERY else "value")
    for upper in sorted(made.windows - made.values, key=_order):
        yield Link(upper, origin, "perhaps" if upper.column == EVERY else "window")


def _order(origin: Origin) -> tuple[str, str]:
    return str(origin.asset), origin.column


def pipelines_of(assets: Iterable[Asset]) -> list[str]:
    """The pipelines of assets, each once."""
    return list(dict.fromkeys(asset.pipeline for asset in assets if isinstance(asset, Key)))
