"""What a database must be able to do for `loading`: one transaction, and no more than that.

Each database has a module with a class of this form. The statements are written by `loading`, in
SQL that all of them understand; what they do differently is here.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false
# pyarrow comes without types.

from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from data_platform.plan.destinations.kinds import Dialect, TableTarget
from data_platform.plan.destinations.tables import TableName
from data_platform.targets.deliveries import LoadedRows


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
        """Wait until nobody else loads a table, until the end; the platform's tables are made."""
        ...

    def columns(self, table: TableName) -> list[TableColumn] | None:
        """The columns of a table; None where it isn't there."""
        ...

    def ingest(self, table: TableName, reader: pa.RecordBatchReader) -> None:
        """Append rows to a table, temporary where it has no schema."""
        ...

    def rows_of(self, target: TableTarget) -> LoadedRows:
        """What a table holds now."""
        ...

    def commit(self) -> None:
        """Make all of it seen at once."""
        ...
