"""A transaction of SQLite: one writer of a file at a time, whoever writes to it.

Called by `targets.databases.opening`. A file that the platform makes keeps a log of its own (WAL),
so that readers go on with the old rows while a load runs; one that was there keeps its way.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from data_platform.engine.sqlite_values import PASSING
from data_platform.engine.work import Work
from data_platform.errors import StorageError, StorageUnavailable
from data_platform.plan.destinations.kinds import Dialect, TableTarget
from data_platform.plan.destinations.partition_rows import TIME_KEY_OF, time_key_of
from data_platform.plan.destinations.sqlite_types import holds_exactly
from data_platform.plan.destinations.tables import TableName, own_table
from data_platform.plan.partitions import Partitions
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.targets.databases.sqlite_binding import bindable
from data_platform.targets.databases.sqlite_rows import SqliteRows
from data_platform.targets.databases.transactions import Fit, TableColumn, TableIndex
from data_platform.targets.databases.waiting import waited_for

READ_SECONDS = 30.0
"""How long a statement that reads waits for a writer."""
CACHE_KIB = 32 * 1024
"""Of pages in memory; what doesn't fit goes to the file, or to its log."""
BATCH_ROWS = 10_000
"""That are Python's objects at a time."""
_CREATE_OWN = (
    f"""CREATE TABLE IF NOT EXISTS {own_table("loads", "sqlite").sql} (
  table_name TEXT, partition TEXT, data_version TEXT NOT NULL, run_id TEXT NOT NULL,
  rows INTEGER NOT NULL,
  loaded_at TIMESTAMPTZ NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')),
  PRIMARY KEY (table_name, partition)
)""",
    f"""CREATE TABLE IF NOT EXISTS {own_table("tables", "sqlite").sql} (
  table_name TEXT PRIMARY KEY, destination TEXT NOT NULL, columns TEXT NOT NULL
)""",
)


@contextmanager
def begun(path: Path, what: str, work: Work, *, reads: bool) -> "Generator[SqliteTransaction]":
    """A transaction; what isn't committed in the block is undone.

    Args:
        path: of the file; it is made where it isn't there, its folder isn't.
        what: is loaded, for messages.
        work: by which its statements are ended from outside.
        reads: whether it only reads; a file that isn't there is empty then.

    Raises:
        StorageUnavailable: others keep the file.
        StorageError: the database refuses.
    """
    about = f"{what} in sqlite:///{path}"
    is_new = not path.is_file() or path.stat().st_size == 0
    address = f"file:{quote(str(path))}?mode={'ro' if reads else 'rwc'}"
    try:
        with (
            closing(
                sqlite3.connect(
                    ":memory:" if reads and is_new else address, READ_SECONDS, uri=True,
                    isolation_level=None, check_same_thread=False,
                )
            ) as connection,
            work.stoppable(connection.interrupt),
        ):  # fmt: skip
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.create_function(TIME_KEY_OF, 4, time_key_of, deterministic=True)
            transaction = SqliteTransaction(connection, about, work, is_new=is_new)
            if reads:
                connection.execute("BEGIN")
            yield transaction
    except sqlite3.Error as error:
        raise _translated(error, about) from error


def _translated(error: sqlite3.Error, about: str) -> StorageError | StorageUnavailable:
    passes = isinstance(error, sqlite3.OperationalError) and _passes(error)
    return (StorageUnavailable if passes else StorageError)(f"{about}: {error}")


def _passes(error: sqlite3.Error) -> bool:
    return str(error).lower().startswith(PASSING)


class SqliteTransaction:
    """One transaction; see `Transaction`."""

    dialect: Dialect = "sqlite"

    def __init__(
        self, connection: sqlite3.Connection, about: str, work: Work, *, is_new: bool
    ) -> None:
        self._connection, self._about, self._work = connection, about, work
        self._is_new = is_new

    def execute(self, sql: str) -> None:
        """Run a statement."""
        self._connection.execute(sql)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement; few."""
        return self._connection.execute(sql).fetchall()

    def lock(self, table: TableName) -> None:
        """Begin as the one that writes to the file: all its tables are locked with this one."""
        if table.schema:
            raise StorageError(
                f"{self._about}: SQLite has no schemas: name the table {table.name} alone"
            )
        # SQLite's own waiting can't be ended from outside.
        self._connection.execute("PRAGMA busy_timeout = 0")
        if self._is_new:
            self._patiently("PRAGMA journal_mode = WAL")
        self._patiently("BEGIN IMMEDIATE")
        self._connection.execute(f"PRAGMA busy_timeout = {READ_SECONDS * 1000:.0f}")
        for statement in _CREATE_OWN:
            self.execute(statement)

    def columns(self, table: TableName) -> list[TableColumn] | None:
        """The columns of a table; None where it isn't there. Generated ones are left out."""
        name = literal(table.name)
        found = self.query(f'SELECT name, type, "notnull" FROM pragma_table_info({name})')
        columns = [TableColumn(str(n), str(kind), not required) for n, kind, required in found]
        return columns or None

    def indexes(self, table: TableName) -> list[TableIndex]:
        """The indexes of a table and of its keys; partial ones and expressions are left out."""
        name = literal(table.name)
        rowid = self.query(f"SELECT name FROM pragma_table_info({name}) WHERE pk > 0 ORDER BY pk")
        found = {True: {tuple(str(row[0]) for row in rowid)} - {()}, False: set[tuple[str, ...]]()}
        listed = self.query(
            f'SELECT name, "unique" FROM pragma_index_list({name}) WHERE NOT partial'
        )
        for index, unique in listed:
            rows = self.query(f"SELECT name FROM pragma_index_info({literal(index)})")
            if all(row[0] is not None for row in rows):
                found[bool(unique)].add(tuple(str(row[0]) for row in rows))
        return [TableIndex(columns, unique) for unique in found for columns in found[unique]]

    def fit(self, kind: str, declared: str) -> Fit:
        """How values get into a column: as they are bound, or SQLite would make others of them."""
        return "direct" if holds_exactly(kind, declared) else "alter"

    def retyped(self, table: TableName, column: str, declared: str) -> str:
        """The statements that a person runs to give a column another type.

        SQLite has none: the column is made anew. Its values are cast by nobody but SQLite.
        """
        alter, new = f"ALTER TABLE {table.sql}", quoted(f"{column}_new")
        return "; ".join(
            (
                f"{alter} ADD COLUMN {new} {declared}",
                f"UPDATE {table.sql} SET {new} = {quoted(column)}",
                f"{alter} DROP COLUMN {quoted(column)}",
                f"{alter} RENAME COLUMN {new} TO {quoted(column)}",
            )
        )

    def missing_grants(self, table: TableName, grants: Mapping[str, Sequence[str]]) -> list[str]:
        """None: a file has no roles."""
        if grants:
            raise StorageError(
                f"table {table.full}: SQLite has no roles to grant anything to: leave `grants` out"
            )
        return []

    def ingest(self, table: TableName, reader: pa.RecordBatchReader) -> None:
        """Append rows to a table, temporary or not."""
        names = reader.schema.names
        places = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table.sql} ({', '.join(map(quoted, names))}) VALUES ({places})"
        for batch in reader:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                part = batch.slice(start, BATCH_ROWS)
                columns = zip(part.columns, names, strict=True)
                values = [bindable(array, name, self._about) for array, name in columns]
                self._connection.executemany(statement, zip(*values, strict=True))

    def rows_of(self, target: TableTarget, partitions: Partitions | None) -> SqliteRows:
        """What a table holds now."""
        return SqliteRows(self._connection, target, partitions, self._about)

    def commit(self) -> None:
        """Make all of it seen at once."""
        self._connection.execute("PRAGMA busy_timeout = 0")
        self._patiently("COMMIT")

    def _patiently(self, statement: str) -> None:
        """Run a statement as soon as nobody is in its way."""

        def run() -> Exception | None:
            try:
                self._connection.execute(statement)
            except sqlite3.OperationalError as error:
                if not _passes(error):
                    raise
                return error
            return None

        waited_for(run, f"{self._about}: another process writes to the file", self._work)
