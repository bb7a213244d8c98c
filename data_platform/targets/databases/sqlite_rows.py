"""Rows of a table in SQLite, read back within the transaction that loads it.

Asked by `destinations.judging`, before the commit. A value that isn't one of its column's declared
type, as a trigger may have made it, is an error that names both.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from data_platform.engine.session import Session
from data_platform.engine.sqlite_values import HELD, Held, held_as
from data_platform.errors import StorageError
from data_platform.plan.destinations.kinds import TableTarget
from data_platform.plan.destinations.partition_rows import PartitionRows
from data_platform.plan.destinations.tables import table_name
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.partitions import Partitions
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.targets.databases.reading_back import is_read, kept, partitions_in

FETCHED = 10_000
"""Rows of a batch."""


@dataclass(frozen=True)
class SqliteRows:
    """A table within a transaction; see `LoadedRows`.

    Attributes:
        connection: whose transaction it is.
        target: the table.
        partitions: of the destination.
        about: what is loaded where, for messages.
    """

    connection: sqlite3.Connection
    target: TableTarget
    partitions: Partitions | None
    about: str

    def keep(
        self,
        session: Session,
        relation: str,
        keys: Sequence[str],
        columns: Collection[str] | None,
    ) -> None:
        """Keep the rows of some partitions in a session, with `_partition`.

        Raises:
            StorageError: a value isn't one of its column's type.
        """
        rows = self._partition_rows()
        if rows is None:
            self._keep(session, relation, columns, literal(WHOLE), "", "")
        else:
            due, belongs = _due(rows, keys)
            self._keep(session, relation, columns, "due.key", due, f"JOIN due ON {belongs}")

    def keep_others(
        self, session: Session, relation: str, keys: Sequence[str], columns: Collection[str]
    ) -> bool:
        """Keep some columns of the rows of all other partitions; False where there are none."""
        rows = self._partition_rows()
        if rows is None:
            return False
        due, belongs = _due(rows, keys)
        joined = f"LEFT JOIN due ON {belongs} WHERE due.key IS NULL"
        self._keep(session, relation, columns, rows.key_of("held"), due, joined)
        return True

    def _partition_rows(self) -> PartitionRows | None:
        """Which rows belong to which partition; None where there are none."""
        return partitions_in(self.target, self.partitions, lambda: dict(self._declared()), "sqlite")

    def _keep(
        self,
        session: Session,
        relation: str,
        columns: Collection[str] | None,
        partition: str,
        due: str,
        joined: str,
    ) -> None:
        name = table_name(self.target.table, "sqlite")
        read = self._read(columns)
        listed = "".join(f"held.{quoted(column)}, " for column in read)
        sql = f"{due}SELECT {listed}{partition} FROM {name.sql} AS held {joined}"
        types = {column: held.wire for column, held in read.items()} | {PARTITION: pa.string()}
        schema = pa.schema(list(types.items()))
        kept(session, relation, schema, self._batches(sql, schema, read, session))

    def _read(self, columns: Collection[str] | None) -> dict[str, Held]:
        """The columns that are read, and how each is taken."""
        return {
            name: held_as(declared) or HELD["VARCHAR"]
            for name, declared in self._declared()
            if is_read(self.target, name, columns)
        }

    def _declared(self) -> list[tuple[str, str]]:
        table = literal(table_name(self.target.table, "sqlite").name)
        sql = f"SELECT name, type FROM pragma_table_xinfo({table}) WHERE hidden <> 1"
        return self.connection.execute(sql).fetchall()

    def _batches(
        self, sql: str, schema: pa.Schema, read: dict[str, Held], session: Session
    ) -> Iterator[pa.RecordBatch]:
        cursor = self.connection.execute(sql)
        while rows := cursor.fetchmany(FETCHED):
            session.work.go_on()
            *values, keys = zip(*rows, strict=True)
            arrays = [
                pa.array([self._one(name, held, value) for value in some], held.wire)
                for (name, held), some in zip(read.items(), values, strict=True)
            ]
            yield pa.RecordBatch.from_arrays([*arrays, pa.array(keys, pa.string())], schema=schema)

    def _one(self, name: str, held: Held, value: Any) -> Any:
        try:
            return None if value is None else held.convert(value)
        except (ValueError, TypeError, OverflowError, ArithmeticError):
            raise StorageError(
                f"{self.about}: column {name} holds {value!r:.60}, which is no {held.kind}: find "
                "out what wrote it"
            ) from None


def _due(rows: PartitionRows, keys: Sequence[str]) -> tuple[str, str]:
    """A common table of partitions, and how rows join it."""
    values, names, belongs = rows.due(keys)
    return f"WITH due({names}) AS ({values}) ", belongs
