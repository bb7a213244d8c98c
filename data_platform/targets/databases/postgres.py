"""A transaction of PostgreSQL, by ADBC: rows travel in binary, and are never held as a whole.

Called by `targets.databases.opening`.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow and the driver come without types.

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data_platform.engine.postgres import Refused, Unreachable, connected
from data_platform.engine.work import Work
from data_platform.errors import StorageError, StorageUnavailable
from data_platform.plan.destinations.kinds import Dialect, TableTarget
from data_platform.plan.destinations.tables import TableName, own_table
from data_platform.plan.sql.expressions import literal
from data_platform.targets.databases.postgres_rows import TableRows
from data_platform.targets.databases.transactions import TableColumn

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection, Cursor

_LEDGER = own_table("loads", "postgres").sql
_CREATE_LEDGER = (
    "CREATE SCHEMA IF NOT EXISTS data_platform",
    f"""CREATE TABLE IF NOT EXISTS {_LEDGER} (
  table_name text, partition text, data_version text NOT NULL, run_id text NOT NULL,
  rows bigint NOT NULL, loaded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (table_name, partition)
)""",
    f"""COMMENT ON TABLE {_LEDGER} IS
  'Which version of each partition a table holds: written in the transaction that loads it.'""",
)
_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


@contextmanager
def begun(url: str, what: str, work: Work) -> Generator["PostgresTransaction"]:
    """A transaction; what isn't committed in the block is undone.

    Raises:
        StorageUnavailable: the database can't be reached, or broke off.
        StorageError: it refuses.
    """
    try:
        with connected(url) as (connection, cursor), work.stoppable(connection.adbc_cancel):
            yield PostgresTransaction(connection, cursor)
            connection.rollback()
    except Unreachable as error:
        raise StorageUnavailable(str(error)) from error
    except Refused as error:
        raise StorageError(f"{what} in {error}") from error


class PostgresTransaction:
    """One transaction; see `Transaction`."""

    dialect: Dialect = "postgres"

    def __init__(self, connection: "Connection", cursor: "Cursor") -> None:
        self._connection, self._cursor = connection, cursor

    def execute(self, sql: str) -> None:
        """Run a statement."""
        self._cursor.execute(sql)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement; few."""
        self._cursor.execute(sql)
        return [tuple(row) for row in self._cursor.fetchall()]

    def lock(self, table: TableName) -> None:
        """By advisory locks: readers aren't held up, and the table needn't be there.

        The ledger's own table is made under a lock of its own, which nobody waits for once it is
        there: locks are held until the end, and loads of other tables go on meanwhile.
        """
        ledger = own_table("loads", "postgres")
        if self.columns(ledger) is None:
            self.query("SELECT pg_advisory_xact_lock(hashtext('data_platform'), 0)")
            if self.columns(ledger) is None:
                for statement in _CREATE_LEDGER:
                    self.execute(statement)
        name = literal(table.full)
        self.query(f"SELECT pg_advisory_xact_lock(hashtext('data_platform'), hashtext({name}))")

    def columns(self, table: TableName) -> list[TableColumn] | None:
        """The columns of a table; None where it isn't there."""
        self._cursor.execute("SELECT to_regclass($1) IS NOT NULL", (table.sql,))
        if not _one(self._cursor):
            return None
        self._cursor.execute(_COLUMNS, (table.sql,))
        return [
            TableColumn(str(name), str(declared), bool(nullable))
            for name, declared, nullable in self._cursor.fetchall()
        ]

    def ingest(self, table: TableName, reader: pa.RecordBatchReader) -> None:
        """Append rows to a table by COPY, temporary where it has no schema."""
        if table.schema:
            self._cursor.adbc_ingest(table.name, reader, mode="append", db_schema_name=table.schema)
        else:
            self._cursor.adbc_ingest(table.name, reader, mode="append", temporary=True)

    def rows_of(self, target: TableTarget) -> TableRows:
        """What a table holds now."""
        return TableRows(self._connection, target)

    def commit(self) -> None:
        """Make all of it seen at once."""
        self._connection.commit()


def _one(cursor: "Cursor") -> object:
    row = cursor.fetchone()
    return row[0] if row else None
