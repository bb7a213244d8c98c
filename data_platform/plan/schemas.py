"""The columns of an asset, as far as they are known, and which of them tell of a person."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column, its type in DuckDB's words; a type of None isn't known before a run."""

    name: str
    type: str | None
    description: str | None = None
    nullable: bool = True
    unique: bool = False
    pii: bool | None = None


@dataclass(frozen=True)
class Schema:
    """The columns of an asset as far as they are known.

    Attributes:
        columns: in order.
        closed: whether these are all; an open schema may have more.
    """

    columns: tuple[Column, ...]
    closed: bool

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def __contains__(self, name: object) -> bool:
        return any(column.name == name for column in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns in order."""
        return tuple(column.name for column in self.columns)


UNKNOWN_SCHEMA = Schema((), closed=False)


@dataclass(frozen=True)
class Masking:
    """Whose values aren't shown to everybody who looks at Dagster.

    Attributes:
        columns: that hold something personal; names in lower case.
        shown: the only ones that may be shown, where others may be made of something personal.
    """

    columns: frozenset[str] = frozenset()
    shown: frozenset[str] | None = None

    def hides(self, name: str) -> bool:
        """Whether a column's values stay unseen."""
        lower = name.lower()
        return lower in self.columns or (self.shown is not None and lower not in self.shown)


NO_MASKING = Masking()
