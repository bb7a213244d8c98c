"""Files of DuckDB: opened to read only, their types as they are.

Called by `databases`. Nobody can write to such a file while it is open here.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
import pyarrow as pa

from data_platform.engine.duckdb_files import is_taken, opened_file
from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.conversions import NANOSECONDS, stored_type
from data_platform.plan.sources.queries import filled, placeholders
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.sources.database.columns import SourceColumn, direct
from data_platform.sources.database.statements import Statement

_NESTED = ("STRUCT(", "MAP(", "UNION(", "VARIANT")


@contextmanager
def open_duckdb(url: str, what: str, timezone: str) -> "Generator[DuckDBFile]":
    """A file of DuckDB, in one transaction."""
    path = unquote(urlsplit(url).path)[1:]
    if not Path(path).is_file():
        raise SourceError(f"{what} in duckdb:///{path}: there is no such file")
    try:
        with closing(opened_file(Path(path), read_only=True)) as connection:
            connection.execute(f"SET TimeZone = {literal(timezone)}")
            connection.execute("BEGIN TRANSACTION")
            yield DuckDBFile(connection)
    except duckdb.Error as error:
        about = " ".join(line.strip() for line in str(error).splitlines()[:2] if line.strip())
        message = f"{what} in duckdb:///{path}: {about}"
        if is_taken(error):
            raise SourceUnavailable(message) from error
        raise SourceError(message) from error


class DuckDBFile:
    """An open file of DuckDB."""

    dialect = "duckdb"
    quote = '"'

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def columns(
        self, statements: Sequence[Statement], known: Mapping[str, str]
    ) -> list[SourceColumn]:
        """The columns of a statement."""
        del known
        statement = statements[0]
        relation = self._relation(statement)
        named = zip(relation.columns, relation.types, strict=True)
        found = [_column(name, str(kind)) for name, kind in named]
        asked = (
            f"SELECT {', '.join(column.asked for column in found)} FROM ({statement.sql}\n) LIMIT 0"
        )
        schema = self._stream(Statement(asked, statement.values), 1).schema
        return [
            SourceColumn(c.name, c.declared, c.type, schema.field(n).type, c.asked, c.taken)
            for n, c in enumerate(found)
        ]

    def batches(
        self, statement: Statement, columns: Sequence[SourceColumn], fetch_size: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a statement."""
        del columns
        yield from self._stream(statement, fetch_size)

    def rows(self, statement: Statement) -> Sequence[Sequence[Any]]:
        """The few rows that a statement gives."""
        return self._relation(statement).fetchall()

    def cancel(self) -> None:
        """Interrupt what runs."""
        self._connection.interrupt()

    def _stream(self, statement: Statement, rows: int) -> pa.RecordBatchReader:
        reader: pa.RecordBatchReader = self._relation(statement).to_arrow_reader(rows)
        return reader

    def _relation(self, statement: Statement) -> duckdb.DuckDBPyRelation:
        """What a statement gives, computed as it is read."""
        sql = filled(statement.sql, self.dialect, lambda name: f"${name}")
        named = {one.name for one in placeholders(statement.sql, self.dialect)}
        values = {name: statement.values[name] for name in named}
        return self._connection.sql(sql, params=values or None)


def _column(name: str, declared: str) -> SourceColumn:
    """A column in the type in which the lake keeps it; nested ones as JSON."""
    asked = quoted(name)
    if declared.startswith(_NESTED):
        return direct(
            name, declared, "VARCHAR", pa.string(), f"CAST(to_json({asked}) AS VARCHAR) AS {asked}"
        )
    kept = stored_type(declared)
    if declared in {NANOSECONDS, kept}:
        return direct(name, declared, declared, pa.null(), asked)
    kind = kept or "VARCHAR"
    return direct(name, declared, kind, pa.null(), f"CAST({asked} AS {kind}) AS {asked}")
