"""What a database must be able to do for `loading`: one transaction, and no more than that.

Each database has a module with a class of this form. The statements are written by `loading`, in
SQL that all of them understand; what they do differently is here.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false
# pyarrow comes without types.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import pyarrow as pa

from data_platform.plan.destinations.kinds import Dialect, TableTarget
from data_platform.plan.destinations.tables import TableName
from data_platform.plan.partitions import Partitions
from data_platform.targets.deliveries import LoadedRows

Fit = Literal["direct", "cast", "alter"]
"""How values get into a column: as they are, by a cast that loses nothing, or not at all."""


@dataclass(frozen=True)
class TableColumn:
    """A column that a table has.

    Attributes:
        name: of it.
        declared: the database's own type, as `ALTER TABLE` takes it.
        nullable: whether it may be NULL.
    """

    name: str
    declared: str
    nullable: bool


@dataclass(frozen=True)
class TableIndex:
    """An index over all rows of a table.

    Attributes:
        columns: in order.
        unique: whether no two rows have the same values of them.
    """

    columns: tuple[str, ...]
    unique: bool


class Transaction(Protocol):
    """One transaction over a connection of its own; what isn't committed is undone at its end."""

    @property
    def dialect(self) -> Dialect:
        """Of the database."""
        ...

    def execute(self, sql: str) -> None:
        """Run a statement."""
        ...

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement; few."""
        ...

    def lock(self, table: TableName) -> None:
        """Wait until nobody else loads a table, until the end; the platform's tables are made.

        Those are `own_table("loads")` and `own_table("tables")`; see `ledgers`.
        """
        ...

    def columns(self, table: TableName) -> list[TableColumn] | None:
        """The columns of a table, without those of the database; None where it isn't there."""
        ...

    def indexes(self, table: TableName) -> list[TableIndex]:
        """The indexes of a table, that of its primary key included, partial ones left out."""
        ...

    def fit(self, kind: str, declared: str) -> Fit:
        """How values of one of DuckDB's types get into a column.

        Args:
            kind: of the rows.
            declared: of the column.
        """
        ...

    def retyped(self, table: TableName, column: str, declared: str) -> str:
        """The statement that a person runs to give a column another type."""
        ...

    def missing_grants(self, table: TableName, grants: Mapping[str, Sequence[str]]) -> list[str]:
        """Statements that give roles what they don't have yet.

        Raises:
            StorageError: there is no such role.
        """
        ...

    def ingest(self, table: TableName, reader: pa.RecordBatchReader) -> None:
        """Append rows to a table, temporary where it has no schema and others do.

        Raises:
            StorageError: a value is none that the database has.
        """
        ...

    def rows_of(self, target: TableTarget, partitions: Partitions | None) -> LoadedRows:
        """What a table holds now."""
        ...

    def commit(self) -> None:
        """Make all of it seen at once."""
        ...
