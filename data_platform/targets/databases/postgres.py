"""A transaction of PostgreSQL, by ADBC: rows travel in binary, and are never held as a whole.

Called by `targets.databases.opening`.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow and the driver come without types.

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data_platform.engine.postgres import PEER, Refused, Unreachable, connected
from data_platform.engine.streams import TellingStream
from data_platform.engine.work import Work
from data_platform.errors import StorageError, StorageUnavailable
from data_platform.plan.destinations.kinds import Dialect, TableTarget
from data_platform.plan.destinations.statements import role_name
from data_platform.plan.destinations.tables import TableName, own_table
from data_platform.plan.partitions import Partitions
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.targets.databases.ledgers import LOADS, TABLES
from data_platform.targets.databases.postgres_fits import finite, fit_in_postgres
from data_platform.targets.databases.postgres_rows import TableRows
from data_platform.targets.databases.transactions import Fit, TableColumn, TableIndex

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection, Cursor

_LEDGER = own_table(LOADS, "postgres").sql
_TABLES = own_table(TABLES, "postgres").sql
_CREATE_OWN = (
    "CREATE SCHEMA IF NOT EXISTS data_platform",
    f"""CREATE TABLE IF NOT EXISTS {_LEDGER} (
  table_name text, partition text, data_version text NOT NULL, run_id text NOT NULL,
  rows bigint NOT NULL, loaded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (table_name, partition)
)""",
    f"""COMMENT ON TABLE {_LEDGER} IS
  'Which version of each partition a table holds: written in the transaction that loads it.'""",
    f"""CREATE TABLE IF NOT EXISTS {_TABLES} (
  table_name text PRIMARY KEY, destination text NOT NULL, columns text NOT NULL,
  noted_at timestamptz NOT NULL DEFAULT now()
)""",
    f"""COMMENT ON TABLE {_TABLES} IS
  'Which columns of each table are loaded: others are somebody else''s, and left alone.'""",
)
_WATCH_CLIENT = "SELECT " + ", ".join(
    f"set_config('tcp_{name.removeprefix('tcp_')}', '{value}', true)"
    for name, value in PEER.items()
)
"""The server lets go of a client that has been silent as long: it keeps the table's lock."""
_ALL = ("select", "insert", "update", "delete", "truncate", "references", "trigger")
_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


_INDEXES = """
SELECT to_json(ARRAY(
  SELECT attname FROM unnest(indkey::int2[]) WITH ORDINALITY AS part(number, place)
  JOIN pg_attribute ON attrelid = indrelid AND attnum = number ORDER BY place
))::text, indisunique
FROM pg_index
WHERE indrelid = to_regclass($1) AND indpred IS NULL AND indexprs IS NULL AND indisvalid
  AND indnkeyatts = indnatts
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
            cursor.execute(_WATCH_CLIENT)
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
        if not self._has_own():
            self.query("SELECT pg_advisory_xact_lock(hashtext('data_platform'), 0)")
            if not self._has_own():
                for statement in _CREATE_OWN:
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

    def _has_own(self) -> bool:
        return all(self.columns(own_table(name, "postgres")) for name in (LOADS, TABLES))

    def indexes(self, table: TableName) -> list[TableIndex]:
        """The indexes of a table, that of its primary key included, partial ones left out."""
        self._cursor.execute(_INDEXES, (table.sql,))
        return [
            TableIndex(tuple(json.loads(str(names))), bool(unique))
            for names, unique in self._cursor.fetchall()
        ]

    def fit(self, kind: str, declared: str) -> Fit:
        """How values of one of DuckDB's types get into a column."""
        return fit_in_postgres(kind, declared)

    def retyped(self, table: TableName, column: str, declared: str) -> str:
        """The statement that a person runs to give a column another type."""
        name = quoted(column)
        return (
            f"ALTER TABLE {table.sql} ALTER COLUMN {name} TYPE {declared} USING {name}::{declared}"
        )

    def missing_grants(self, table: TableName, grants: Mapping[str, Sequence[str]]) -> list[str]:
        """Statements that give roles what they don't have yet.

        Raises:
            StorageError: there is no such role.
        """
        missing: list[str] = []
        for role, privileges in grants.items():
            named, to = literal(role), role_name(role)
            if to != "PUBLIC" and not self.query(f"SELECT 1 FROM pg_roles WHERE rolname = {named}"):
                raise StorageError(
                    f"table {table.full}: there is no role {role!r} in the database, which "
                    f"`grants` names; run: CREATE ROLE {to}, or take it out"
                )
            schema, whole = literal(table.schema), literal(table.sql)
            who = literal("public") if to == "PUBLIC" else named
            wanted = [
                (
                    "USAGE",
                    f"SCHEMA {quoted(table.schema)}",
                    f"has_schema_privilege({who}, {schema}, 'USAGE')",
                ),
                *((one.upper(), table.sql, _has(who, whole, one)) for one in privileges),
            ]
            for privilege, on, has in wanted:
                if not self.query(f"SELECT {has}")[0][0]:
                    missing.append(f"GRANT {privilege} ON {on} TO {to}")
        return missing

    def ingest(self, table: TableName, reader: pa.RecordBatchReader) -> None:
        """Append rows to a table by COPY, temporary where it has no schema.

        Raises:
            StorageError: a time is infinite, or a text holds a NUL.
        """
        stream = TellingStream(reader.schema, finite(reader, table))
        place: dict[str, Any] = (
            {"db_schema_name": table.schema} if table.schema else {"temporary": True}
        )
        with stream.telling():
            self._cursor.adbc_ingest(table.name, stream.reader, mode="append", **place)

    def rows_of(self, target: TableTarget, partitions: Partitions | None) -> TableRows:
        """What a table holds now."""
        return TableRows(self._connection, target, partitions)

    def commit(self) -> None:
        """Make all of it seen at once."""
        self._connection.commit()


def _has(role: str, table: str, privilege: str) -> str:
    """Whether a role has a privilege; `all` are those that a table can have."""
    names = _ALL if privilege == "all" else (privilege,)
    return " AND ".join(f"has_table_privilege({role}, {table}, {literal(name)})" for name in names)


def _one(cursor: "Cursor") -> object:
    row = cursor.fetchone()
    return row[0] if row else None
