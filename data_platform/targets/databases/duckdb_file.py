"""A transaction of a file of DuckDB, which one process has to itself while it writes.

Called by `targets.databases.opening`. Nobody else can open the file meanwhile, to read neither, so
it is open no longer than a load takes; who reads it holds a load up in the same way.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from data_platform.engine.duckdb_files import DATABASE, is_taken, opened_file
from data_platform.engine.streams import TellingStream
from data_platform.engine.work import Work
from data_platform.errors import StorageError, StorageUnavailable
from data_platform.plan.destinations.kinds import Dialect, TableTarget
from data_platform.plan.destinations.narrowing import widens
from data_platform.plan.destinations.tables import TableName, own_table
from data_platform.plan.partitions import Partitions
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.targets.databases.duckdb_rows import DuckDBRows
from data_platform.targets.databases.transactions import Fit, TableColumn, TableIndex
from data_platform.targets.databases.waiting import waited_for

MEMORY_LIMIT = "512MB"
"""Of what DuckDB keeps of the file in memory. Rows stream through; indexes of a table have to fit
in, with the entries that a load changes."""
ARRIVING = "_arriving"
"""The relation of rows on their way into a table."""
_PASSING = ("no space left", "conflict")
"""What DuckDB says of what may go well another time."""
_CREATE_OWN = (
    "CREATE SCHEMA IF NOT EXISTS data_platform",
    f"""CREATE TABLE IF NOT EXISTS {own_table("loads", "duckdb").sql} (
  table_name VARCHAR, partition VARCHAR, data_version VARCHAR NOT NULL, run_id VARCHAR NOT NULL,
  rows BIGINT NOT NULL, loaded_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
  PRIMARY KEY (table_name, partition)
)""",
    f"""CREATE TABLE IF NOT EXISTS {own_table("tables", "duckdb").sql} (
  table_name VARCHAR PRIMARY KEY, destination VARCHAR NOT NULL, columns VARCHAR NOT NULL
)""",
)


@contextmanager
def begun(path: Path, what: str, work: Work, *, reads: bool) -> "Generator[DuckDBTransaction]":
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
    about = f"{what} in duckdb:///{path}"
    try:
        with (
            closing(_opened(path, about, work, reads=reads)) as connection,
            work.stoppable(connection.interrupt),
        ):
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("BEGIN TRANSACTION")
            yield DuckDBTransaction(connection, about)
    except duckdb.Error as error:
        raise _translated(error, about) from error


def _opened(path: Path, about: str, work: Work, *, reads: bool) -> duckdb.DuckDBPyConnection:
    """The file, as soon as nobody else has it."""
    found: list[duckdb.DuckDBPyConnection] = []
    if reads and not path.is_file():
        return duckdb.connect()

    def attempt() -> Exception | None:
        try:
            found.append(
                opened_file(
                    path, read_only=reads, memory_limit=MEMORY_LIMIT,
                    preserve_insertion_order="false", python_enable_replacements="false",
                )
            )  # fmt: skip
        except duckdb.Error as error:
            if not is_taken(error):
                raise
            return StorageUnavailable(_first_lines(error))
        return None

    waited_for(attempt, f"{about}: somebody else has the file open", work)
    return found[0]


def _translated(error: duckdb.Error, about: str) -> StorageError | StorageUnavailable:
    text = _first_lines(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return StorageError(
            f"{about}: an index of the table and the rows of this load don't fit into "
            f"{MEMORY_LIMIT}: load fewer partitions at a time, or drop the index ({text})"
        )
    passes = any(sign in text.lower() for sign in _PASSING)
    return (StorageUnavailable if passes else StorageError)(f"{about}: {text}")


def _is(table: TableName) -> str:
    """What is true of a table, and of what belongs to it, in DuckDB's lists."""
    return (
        f"database_name = {literal(DATABASE)} AND schema_name = {literal(table.schema)} "
        f"AND table_name = {literal(table.name)}"
    )


def _indexed(sql: str) -> tuple[str, ...]:
    """The columns of an index, in order; none where it is of an expression."""
    parameters = sqlglot.parse_one(sql, dialect="duckdb").find(exp.IndexParameters)
    parts = parameters.args.get("columns") or [] if parameters else []
    columns = [part.this for part in parts]
    return tuple(c.name for c in columns) if all(type(c) is exp.Column for c in columns) else ()


def _first_lines(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:2] if line.strip())


class DuckDBTransaction:
    """One transaction; see `Transaction`."""

    dialect: Dialect = "duckdb"

    def __init__(self, connection: duckdb.DuckDBPyConnection, about: str) -> None:
        self._connection, self._about = connection, about

    def execute(self, sql: str) -> None:
        """Run a statement."""
        self._connection.execute(sql)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement; few."""
        return self._connection.execute(sql).fetchall()

    def lock(self, table: TableName) -> None:
        """Nothing more than opening the file did; the platform's tables are made."""
        del table
        for statement in _CREATE_OWN:
            self.execute(statement)

    def columns(self, table: TableName) -> list[TableColumn] | None:
        """The columns of a table; None where it isn't there."""
        found = self.query(
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
            f"WHERE {_is(table)} ORDER BY column_index"
        )
        columns = [TableColumn(str(name), str(kind), bool(null)) for name, kind, null in found]
        return columns or None

    def indexes(self, table: TableName) -> list[TableIndex]:
        """The indexes of a table and of its keys; those of expressions are left out."""
        where = _is(table)
        keys = self.query(
            f"SELECT constraint_column_names FROM duckdb_constraints() WHERE {where} "
            "AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')"
        )
        made = self.query(f"SELECT sql, is_unique FROM duckdb_indexes() WHERE {where}")
        found = [(_indexed(str(sql)), bool(unique)) for sql, unique in made]
        return [TableIndex(tuple(map(str, columns)), unique=True) for (columns,) in keys] + [
            TableIndex(columns, unique) for columns, unique in found if columns
        ]

    def fit(self, kind: str, declared: str) -> Fit:
        """How values get into a column: DuckDB itself widens them where nothing is lost."""
        return "direct" if kind == declared or widens(kind, declared) else "alter"

    def retyped(self, table: TableName, column: str, declared: str) -> str:
        """The statement that a person runs to give a column another type."""
        return f"ALTER TABLE {table.sql} ALTER COLUMN {quoted(column)} SET DATA TYPE {declared}"

    def missing_grants(self, table: TableName, grants: Mapping[str, Sequence[str]]) -> list[str]:
        """None: a file has no roles."""
        if grants:
            raise StorageError(
                f"table {table.full}: a file of DuckDB has no roles to grant anything to: leave "
                "`grants` out"
            )
        return []

    def ingest(self, table: TableName, reader: pa.RecordBatchReader) -> None:
        """Append rows to a table, temporary or not."""
        stream = TellingStream(reader.schema, reader)
        with stream.telling():
            self._connection.register(ARRIVING, stream.reader)
            self.execute(f"INSERT INTO {table.sql} BY NAME SELECT * FROM {ARRIVING}")
            self._connection.unregister(ARRIVING)

    def rows_of(self, target: TableTarget, partitions: Partitions | None) -> DuckDBRows:
        """What a table holds now."""
        return DuckDBRows(self._connection, target, partitions)

    def commit(self) -> None:
        """Make all of it seen at once."""
        self._connection.execute("COMMIT")
