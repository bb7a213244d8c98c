"""A table in PostgreSQL that follows an asset of the lake: each version of a partition once.

Called by `destinations.loading`. Deleting, copying and writing the ledger are one transaction under
an advisory lock: readers see the old rows or the new ones, views and grants live on, and a version
that the ledger names is not loaded again.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow and the driver come without types.

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from data_platform.engine.postgres import Refused, Unreachable, connected
from data_platform.engine.work import Work
from data_platform.errors import StorageError, StorageUnavailable
from data_platform.plan.schemas import Schema
from data_platform.plan.sql.expressions import literal, quoted

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection, Cursor

LEDGER = "data_platform.loads"
_POSTGRES = {
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "BLOB": "bytea",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}
_CREATE_LEDGER = f"""
CREATE SCHEMA IF NOT EXISTS data_platform;
CREATE TABLE IF NOT EXISTS {LEDGER} (
  table_name text, partition text, data_version text NOT NULL, run_id text NOT NULL,
  rows bigint NOT NULL, loaded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (table_name, partition)
);
COMMENT ON TABLE {LEDGER} IS
  'Which version of each partition a table holds: written in the transaction that loads it.'
"""


@dataclass(frozen=True)
class Target:
    """A table and how it is written.

    Attributes:
        table: `schema.table`, or `table` in the schema public.
        write: whether partitions are replaced, or everything.
        partition_column: that holds the partition's key; None where there are no partitions.
        adds_partition_column: whether the rows don't have it and the platform adds it.
        contract: descriptions for the columns' comments.
    """

    table: str
    write: Literal["replace_partition", "replace"]
    partition_column: str | None
    adds_partition_column: bool
    contract: Schema | None

    @property
    def schema_name(self) -> str:
        """The schema."""
        return self.table.partition(".")[0] if "." in self.table else "public"

    @property
    def table_name(self) -> str:
        """The table without its schema."""
        return self.table.rpartition(".")[2]

    @property
    def full_name(self) -> str:
        """As the ledger names it."""
        return f"{self.schema_name}.{self.table_name}"

    @property
    def sql_name(self) -> str:
        """As SQL names it."""
        return f"{quoted(self.schema_name)}.{quoted(self.table_name)}"


@dataclass(frozen=True)
class Version:
    """What a partition of the lake holds."""

    data_version: str
    rows: int


Rows = Callable[[Sequence[str]], pa.RecordBatchReader]
"""Gives the rows of some partitions, with the partition column where it is added."""
Judge = Callable[["Connection", Sequence[str]], bool]
"""Looks at the partitions that were loaded, before the commit: whether they may stay."""


def load(
    url: str,
    target: Target,
    versions: Mapping[str, Version],
    columns: Mapping[str, str],
    rows: Rows,
    run_id: str,
    work: Work | None = None,
    judge: Judge | None = None,
) -> list[str]:
    """Bring versions of partitions into the table, those that are there already left out.

    Args:
        url: of the database.
        target: the table.
        versions: by partition.
        columns: names and DuckDB types of the rows, the added partition column not included.
        rows: reads them.
        run_id: for the ledger.
        work: by which it is ended from outside; then nothing of it stays.
        judge: asked before the commit; where it says no, nothing of it stays.

    Returns:
        The partitions that were loaded.

    Raises:
        StorageUnavailable: the database can't be reached, or broke off.
        StorageError: the table has other columns, or the database refuses.
    """
    work = work or Work()
    try:
        with connected(url) as (connection, cursor), work.stoppable(connection.adbc_cancel):
            _lock(cursor, target)
            fresh = _prepare(cursor, target, columns)
            if fresh:
                _forget(cursor, target)
            standing = {} if fresh else _ledger(cursor, target)
            due = [
                key
                for key, version in versions.items()
                if standing.get(key) != version.data_version
            ]
            if not due:
                connection.rollback()
                return []
            _delete(cursor, target, due)
            reader = rows(due)
            cursor.adbc_ingest(
                target.table_name, reader, mode="append", db_schema_name=target.schema_name
            )
            _enter(cursor, target, {key: versions[key] for key in due}, run_id)
            if judge is not None and not judge(connection, due):
                connection.rollback()
                return []
            connection.commit()
            return due
    except Unreachable as error:
        raise StorageUnavailable(str(error)) from error
    except Refused as error:
        raise StorageError(f"table {target.full_name} in {error}") from error


def ledger(url: str, table: str) -> dict[str, Version]:
    """What the ledger says of a table; empty where there is none."""
    try:
        with connected(url, autocommit=True) as (_, cursor):
            cursor.execute("SELECT to_regclass($1) IS NOT NULL", (LEDGER,))
            if not _one(cursor):
                return {}
            cursor.execute(
                f"SELECT partition, data_version, rows FROM {LEDGER} WHERE table_name = $1",
                (table,),
            )
            return {
                str(key): Version(str(version), int(count))
                for key, version, count in cursor.fetchall()
            }
    except (Unreachable, Refused) as error:
        raise StorageUnavailable(str(error)) from error


def _lock(cursor: "Cursor", target: Target) -> None:
    """One writer of a table at a time; the ledger's own table is made under a lock of its own."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtext('data_platform'), 0)")
    cursor.fetchall()
    cursor.execute("SELECT to_regclass($1) IS NOT NULL", (LEDGER,))
    if not _one(cursor):
        for statement in _CREATE_LEDGER.strip().split(";\n"):
            cursor.execute(statement)
    cursor.execute(
        "SELECT pg_advisory_xact_lock("
        f"hashtext('data_platform'), hashtext({literal(target.full_name)}))"
    )
    cursor.fetchall()


def _prepare(cursor: "Cursor", target: Target, columns: Mapping[str, str]) -> bool:
    """Make the table where it is missing; True if it was. One that is there needs the columns."""
    wanted = {name: _postgres_type(kind, target) for name, kind in columns.items()}
    if target.adds_partition_column and target.partition_column:
        wanted[target.partition_column] = "text"
    cursor.execute("SELECT to_regclass($1) IS NOT NULL", (target.sql_name,))
    if _one(cursor):
        _require_columns(cursor, target, wanted)
        return False
    body = ", ".join(f"{quoted(name)} {kind}" for name, kind in wanted.items())
    cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(target.schema_name)}")
    cursor.execute(f"CREATE TABLE {target.sql_name} ({body})")
    if target.partition_column:
        cursor.execute(f"CREATE INDEX ON {target.sql_name} ({quoted(target.partition_column)})")
    for column in target.contract.columns if target.contract else ():
        if column.description and column.name in wanted:
            cursor.execute(
                f"COMMENT ON COLUMN {target.sql_name}.{quoted(column.name)} "
                f"IS {literal(column.description)}"
            )
    return True


def _require_columns(cursor: "Cursor", target: Target, wanted: Mapping[str, str]) -> None:
    cursor.execute(
        "SELECT attname FROM pg_attribute "
        "WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
        (target.sql_name,),
    )
    there = {str(row[0]) for row in cursor.fetchall()}
    missing = [
        f"ADD COLUMN {quoted(name)} {kind}" for name, kind in wanted.items() if name not in there
    ]
    if missing:
        raise StorageError(
            f"table {target.full_name} lacks columns that are to be loaded; run: "
            f"ALTER TABLE {target.sql_name} {', '.join(missing)}"
        )


def _ledger(cursor: "Cursor", target: Target) -> dict[str, str]:
    cursor.execute(
        f"SELECT partition, data_version FROM {LEDGER} "
        f"WHERE table_name = {literal(target.full_name)}"
    )
    return {str(key): str(version) for key, version in cursor.fetchall()}


def _delete(cursor: "Cursor", target: Target, keys: Sequence[str]) -> None:
    where, entries = "", ""
    if target.write == "replace_partition" and target.partition_column:
        listed = ", ".join(literal(key) for key in keys)
        where = f" WHERE {quoted(target.partition_column)} IN ({listed})"
        entries = f" AND partition IN ({listed})"
    cursor.execute(f"DELETE FROM {target.sql_name}{where}")
    cursor.execute(f"DELETE FROM {LEDGER} WHERE table_name = {literal(target.full_name)}{entries}")


def _forget(cursor: "Cursor", target: Target) -> None:
    """Whoever dropped the table dropped its rows: what the ledger says of them is no longer so."""
    cursor.execute(f"DELETE FROM {LEDGER} WHERE table_name = {literal(target.full_name)}")


def _enter(cursor: "Cursor", target: Target, versions: Mapping[str, Version], run_id: str) -> None:
    name, run = literal(target.full_name), literal(run_id)
    values = ", ".join(
        f"({name}, {literal(key)}, {literal(version.data_version)}, {run}, {version.rows})"
        for key, version in versions.items()
    )
    cursor.execute(
        f"INSERT INTO {LEDGER} (table_name, partition, data_version, run_id, rows) VALUES {values}"
    )


def _postgres_type(kind: str, target: Target) -> str:
    if kind.startswith("DECIMAL"):
        return kind.replace("DECIMAL", "numeric")
    inner = kind.removesuffix("[]")
    if inner in _POSTGRES:
        return _POSTGRES[inner] + ("[]" if kind.endswith("[]") else "")
    raise StorageError(
        f"table {target.full_name}: PostgreSQL has no type for {kind}; "
        "convert the column to varchar"
    )


def _one(cursor: "Cursor") -> object:
    row = cursor.fetchone()
    return row[0] if row else None
