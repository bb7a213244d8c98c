"""What columns are made of: the words in which lineage is told.

Used by the other `plan.lineage_*` modules and by whoever shows lineage. Names of columns are
compared without regard to case, as DuckDB does; origins hold them in lower case.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from data_platform.plan.keys import Key
from data_platform.plan.schemas import Schema

EVERY = "*"
"""In place of a column's name: some column of the asset, it can't be told which before a run."""


class Outside(NamedTuple):
    """What isn't an asset: a table of a connection, or files.

    Attributes:
        system: the connection's name, or empty for files.
        name: the table's, or the path of the files.
    """

    system: str
    name: str

    def __str__(self) -> str:
        return f"{self.system}.{self.name}" if self.system else self.name


Asset = Key | Outside


class Use(StrEnum):
    """In which way a statement uses a column, besides making a column's value of it."""

    FILTER = "filter"
    JOIN = "join key"
    GROUP = "group key"
    DISTINCT = "distinct"
    ORDER = "order"
    DEDUPLICATE = "deduplicate key"
    CURSOR = "partition cursor"
    NAMED = "named"
    """The statement names it, but neither a value nor the choice of rows depends on it."""


class Origin(NamedTuple):
    """A column of an asset; its name is in lower case, or `EVERY`."""

    asset: Asset
    column: str


@dataclass(frozen=True)
class Made:
    """What a column is made of.

    Attributes:
        values: whose values it is computed from.
        windows: that part or order the windows in which it is computed.
        cleared: of these values those that it tells nothing of: counted, tested for NULL, masked.
        passed: whether it is one column's values as they are: under a new name, of another type,
            masked.
    """

    values: frozenset[Origin] = frozenset()
    windows: frozenset[Origin] = frozenset()
    cleared: frozenset[Origin] = frozenset()
    passed: bool = field(default=False, compare=False)

    def __or__(self, other: "Made") -> "Made":
        return union_of((self, other))

    @property
    def exposed(self) -> frozenset[Origin]:
        """Whose values can be read off it."""
        return self.values - self.cleared

    @property
    def all(self) -> frozenset[Origin]:
        """In whatever way."""
        return self.values | self.windows


NOTHING = Made()


class Rest(NamedTuple):
    """The columns of an open asset that nobody names: they pass under their own names.

    Attributes:
        asset: whose columns pass.
        without: names in lower case of those that don't, or that are told by themselves.
    """

    asset: Asset
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Relation:
    """The columns of a table, a query or a step.

    Attributes:
        columns: those that are known, in order as far as that is known, names as written.
        rest: where further columns come from.
        mixed: what each further column may be made of besides: another side of a union.
    """

    columns: tuple[tuple[str, Made], ...] = ()
    rest: tuple[Rest, ...] = ()
    mixed: Made = NOTHING
    _by_name: Mapping[str, Made] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name: dict[str, Made] = {}
        for name, made in self.columns:
            lower = name.lower()
            number = 1
            # DuckDB calls a second column of a name `name_1` where it must tell them apart.
            while lower in by_name:
                lower, number = f"{name.lower()}_{number}", number + 1
            by_name[lower] = made
        object.__setattr__(self, "_by_name", by_name)

    def known(self, name: str) -> Made | None:
        """What a column is made of that is told by itself."""
        return self._by_name.get(name.lower())

    def passing(self, name: str) -> Made | None:
        """What a column is made of that may be among the further ones."""
        lower = name.lower()
        origins = [Origin(rest.asset, lower) for rest in self.rest if lower not in rest.without]
        made = Made(frozenset(origins), passed=len(origins) == 1) | self.mixed
        return made if made.all else None

    def __getitem__(self, name: str) -> Made | None:
        known = self.known(name)
        return self.passing(name) if known is None else known

    @property
    def closed(self) -> bool:
        """Whether there are no columns but those that are known."""
        return not self.rest and not self.mixed.all

    @property
    def whole(self) -> Made:
        """What all columns together are made of."""
        rest = Made(frozenset(Origin(rest.asset, EVERY) for rest in self.rest))
        return union_of(made for _, made in self.columns) | rest | self.mixed

    def renamed(self, names: Iterable[str]) -> "Relation":
        """With other names for the first columns: `t(a, b)`."""
        new = list(names)
        if not self.closed:
            # In which place a column stands isn't known.
            return Relation(tuple((name, self.whole) for name in new), self.rest, self.whole)
        old = [name for name, _ in self.columns]
        kept = [*new, *old[len(new) :]]
        makes = [made for _, made in self.columns]
        return Relation(tuple(zip(kept, makes, strict=False)), (), self.mixed)


def relation_over(asset: Asset, schema: Schema, hidden: Iterable[str] = ()) -> Relation:
    """An asset as a statement reads it.

    Args:
        asset: which.
        schema: its columns, as far as they are known.
        hidden: names of the platform's own columns, which are made of nothing.
    """
    own = tuple(
        (c.name, Made(frozenset({Origin(asset, c.name.lower())}), passed=True))
        for c in schema.columns
    )
    beside = tuple((name, NOTHING) for name in hidden)
    rest = () if schema.closed else (Rest(asset, frozenset(hidden)),)
    return Relation((*own, *beside), rest)


def opaque(assets: Iterable[Asset], schema: Schema) -> Relation:
    """Something that can't be looked into: each column may be made of any of these assets'."""
    anything = Made(frozenset(Origin(asset, EVERY) for asset in assets))
    columns = tuple((column.name, anything) for column in schema.columns)
    return Relation(columns, (), NOTHING if schema.closed else anything)


def unfollowed(relation: Relation, carried: Iterable[str]) -> Relation:
    """What comes of a relation where nobody can look: any column may be made of any.

    Args:
        relation: what goes in.
        carried: names of columns that come out as they go in.
    """
    assets = {origin.asset for origin in relation.whole.all}
    anything = Made(frozenset(Origin(asset, EVERY) for asset in assets))
    kept = [(name, made) for name in carried if (made := relation.known(name)) is not None]
    return Relation(tuple(kept), (), anything)


def union_of(makes: Iterable[Made]) -> Made:
    """All of these together."""
    listed = [made for made in makes if made.all]
    if len(listed) == 1:
        return listed[0]
    values = frozenset[Origin]().union(*(made.values for made in listed))
    exposed = frozenset[Origin]().union(*(made.exposed for made in listed))
    windows = frozenset[Origin]().union(*(made.windows for made in listed))
    return Made(values, windows, values - exposed)


def names_of(columns: Iterable[tuple[str, Made]]) -> Iterator[str]:
    """The names in lower case."""
    return (name.lower() for name, _ in columns)
