"""SQLite: one read transaction; each column in the type that it is declared with.

Called by `databases`. SQLite lets any value into any column: one that its column's type doesn't
hold is an error that names both. A column without a declared type, such as an expression of a
query, has the type of the values that are there.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

import re
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pyarrow as pa

from data_platform.engine.sqlite_values import CLASSES, HELD, PASSING, held_as
from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.sources.queries import filled
from data_platform.plan.sql.expressions import quoted
from data_platform.sources.binding import BoundValue
from data_platform.sources.database.columns import SourceColumn, direct
from data_platform.sources.database.rows import batches_of
from data_platform.sources.database.statements import MOMENT, Statement

BUSY_SECONDS = 30.0
"""How long a reader waits for a writer."""


@contextmanager
def open_sqlite(url: str, what: str) -> "Generator[Sqlite]":
    """A file of SQLite, in one transaction that only reads."""
    path = unquote(urlsplit(url).path)[1:]
    if not Path(path).is_file():
        raise SourceError(f"{what} in sqlite:///{path}: there is no such file")
    try:
        with closing(
            sqlite3.connect(
                f"file:{quote(path)}?mode=ro", BUSY_SECONDS, uri=True, isolation_level=None,
                check_same_thread=False,
            )
        ) as connection:  # fmt: skip
            connection.create_function(MOMENT, 1, _comparable, deterministic=True)
            connection.execute("BEGIN")
            yield Sqlite(connection, what)
    except sqlite3.Error as error:
        message = f"{what} in sqlite:///{path}: {error}"
        if isinstance(error, sqlite3.OperationalError) and str(error).lower().startswith(PASSING):
            raise SourceUnavailable(message) from error
        raise SourceError(message) from error


class Sqlite:
    """An open file of SQLite."""

    dialect = "sqlite"
    quote = '"'

    def __init__(self, connection: sqlite3.Connection, what: str) -> None:
        self._connection = connection
        self._what = what

    def columns(
        self, statements: Sequence[Statement], known: Mapping[str, str]
    ) -> list[SourceColumn]:
        """The columns as they are declared; of others all values are asked for their types."""
        # A view tells the types of its columns; it can't have parameters.
        plain = filled(statements[0].sql, self.dialect, lambda _: "NULL")
        self._connection.execute("COMMIT")
        self._connection.execute(f"CREATE TEMP VIEW _described AS {plain}")
        try:
            found = self._connection.execute(
                "SELECT name, type FROM pragma_table_info('_described')"
            ).fetchall()
        finally:
            self._connection.execute("DROP VIEW temp._described")
            self._connection.execute("BEGIN")
        columns = [_column(name, declared) for name, declared in found]
        return [
            column if column.type else self._observed(column, statements, known.get(column.name))
            for column in columns
        ]

    def batches(
        self, statement: Statement, columns: Sequence[SourceColumn], fetch_size: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a statement."""
        cursor = self._execute(statement)
        yield from batches_of(cursor.fetchmany, columns, fetch_size, self._what)

    def rows(self, statement: Statement) -> Sequence[Sequence[Any]]:
        """The few rows that a statement gives."""
        return self._execute(statement).fetchall()

    def cancel(self) -> None:
        """Interrupt what runs."""
        self._connection.interrupt()

    def _execute(self, statement: Statement) -> sqlite3.Cursor:
        values = {name: _bound(value) for name, value in statement.values.items()}
        return self._connection.execute(statement.sql, values)

    def _observed(
        self, column: SourceColumn, statements: Sequence[Statement], known: str | None
    ) -> SourceColumn:
        """A column in the type that holds all its values; text where they are of several kinds."""
        name = quoted(column.name)
        asked = f"SELECT DISTINCT typeof({name}) FROM ({statements[0].sql}\n) AS _o"
        kinds = {
            str(row[0])
            for statement in statements
            for row in self._execute(Statement(asked, statement.values))
        } - {"null"}
        held = HELD[_kind_of(kinds, known)]
        return replace(column, type=held.kind, wire=held.wire, convert=held.convert)


def _kind_of(kinds: set[str], known: str | None) -> str:
    if known is not None and known in HELD and CLASSES[known].issuperset(kinds):
        return known
    if not kinds:
        return "VARCHAR"
    fitting = ("BIGINT", "DOUBLE", "BLOB", "VARCHAR")
    return next(kind for kind in fitting if CLASSES[kind].issuperset(kinds) or kind == "VARCHAR")


def _column(name: str, declared: str) -> SourceColumn:
    """A column by its declared type; without one where that says nothing of its values."""
    held = held_as(declared)
    kind, wire = (held.kind, held.wire) if held else ("", pa.string())
    column = direct(name, declared, kind, wire, quoted(name))
    return replace(column, convert=held.convert if held else None)


def _comparable(value: Any) -> str | None:
    """A time as `_bound` writes it, whatever its form; None where it is none."""
    for kind in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
        with suppress(ValueError, TypeError, OverflowError):
            return _bound(HELD[kind].convert(value))
    return None


def _bound(value: BoundValue) -> Any:
    """A value in the words of SQLite, which keeps times as text.

    In its shortest form a time isn't after the same one in any other: `2024-01-01` is before
    `2024-01-01T00:00`. A moment is written in UTC, as the platform keeps moments in SQLite.
    """
    if isinstance(value, datetime):
        value = value.astimezone(UTC) if value.tzinfo else value
        text = value.isoformat(sep=" ")
        return re.sub(r"( 00:00)?(:00)?$", "", re.sub(r"(\.\d*?)0+$", r"\1", text))
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
