"""PostgreSQL by ADBC: rows are copied in binary, every type without loss.

Called by `databases`. What Arrow has no equal for comes as text, exact numerics as decimals.
Values of parameters become literals: with bound parameters the driver can't COPY.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow and the driver come without types.

import contextlib
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from adbc_driver_postgresql import StatementOptions

from data_platform.engine.postgres import (
    Refused,
    ResultColumn,
    Unreachable,
    connected,
    result_columns,
    translated_stream,
)
from data_platform.engine.postgres_types import DIRECT, TIMES
from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.sources.queries import filled
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.sources.binding import BoundValue
from data_platform.sources.database.columns import (
    SourceColumn,
    as_text,
    decimal_type,
    direct,
    wire_schema,
)
from data_platform.sources.database.statements import Statement

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Cursor

BYTES_A_ROW = 128
"""A guess, to turn a number of rows into the size of a batch."""
_SETTINGS = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
}
"""So that what comes as text is the same whoever asks."""


@contextmanager
def open_postgres(url: str, what: str, timezone: str) -> "Generator[Postgres]":
    """A PostgreSQL in a transaction that reads one snapshot.

    Args:
        url: as libpq takes it.
        what: is read, for messages.
        timezone: of the session.
    """
    try:
        with connected(url) as (_, cursor):
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            settings = {**_SETTINGS, "TimeZone": timezone}
            calls = (f"set_config('{name}', {literal(v)}, true)" for name, v in settings.items())
            cursor.execute(f"SELECT {', '.join(calls)}")
            cursor.fetchall()
            yield Postgres(url, cursor)
    except Unreachable as error:
        raise SourceUnavailable(str(error)) from error
    except Refused as error:
        raise SourceError(f"{what} in {error}") from error


class Postgres:
    """An open PostgreSQL."""

    dialect = "postgres"
    quote = '"'

    def __init__(self, url: str, cursor: "Cursor") -> None:
        self._url = url
        self._cursor = cursor
        self._cancel_describing: Callable[[], object] = lambda: None

    def columns(
        self, statements: Sequence[Statement], known: Mapping[str, str]
    ) -> list[SourceColumn]:
        """The columns of a statement; the server says what they are."""
        del known
        found = result_columns(self._url, _written(statements[0]), self._describes)
        return [_column(column) for column in found]

    def batches(
        self, statement: Statement, columns: Sequence[SourceColumn], fetch_size: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a statement."""
        self._cursor.adbc_statement.set_options(
            **{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(fetch_size * BYTES_A_ROW)}
        )
        schema = wire_schema(columns)
        self._cursor.execute(_written(statement))
        reader = self._cursor.fetch_record_batch()
        with translated_stream(self._url):
            for batch in reader:
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    def rows(self, statement: Statement) -> Sequence[Sequence[Any]]:
        """The few rows that a statement gives."""
        self._cursor.execute(_written(statement))
        return self._cursor.fetchall()

    def cancel(self) -> None:
        """Ask the server to end what runs."""
        with contextlib.suppress(Exception):  # it is through
            self._cancel_describing()
        self._cursor.adbc_cancel()

    def _describes(self, cancel: Callable[[], object]) -> None:
        self._cancel_describing = cancel


def _column(column: ResultColumn) -> SourceColumn:
    name, declared = column.name, column.declared
    asked = quoted(name)
    if declared in DIRECT:
        kind, wire = DIRECT[declared]
        return direct(name, declared, kind, wire, asked)
    if declared in TIMES:
        return _time(name, declared)
    if declared == "money":
        # Three digits behind the point are the most that any locale has.
        return as_text(name, declared, "DECIMAL(21,4)", f"{asked}::numeric::text AS {asked}")
    kind = "VARCHAR"
    if column.precision is not None and column.scale is not None:
        kind = decimal_type(column.precision, column.scale) or kind
        declared = f"{declared}({column.precision},{column.scale})"
    return as_text(name, declared, kind, f"{asked}::text AS {asked}")


def _time(name: str, declared: str) -> SourceColumn:
    kind, wire, beginning = TIMES[declared]
    message = literal(
        f"column {name} holds infinity, or a time that is none in Arrow: read it with a query that "
        f"has NULLIF({name}, 'infinity'), or casts it to text"
    )
    taken = f"CASE WHEN {quoted(name)} < {beginning} THEN ERROR({message}) ELSE {quoted(name)} END"
    return SourceColumn(name, declared, kind, wire, quoted(name), taken)


def _written(statement: Statement) -> str:
    """A statement with its values as literals."""
    return filled(statement.sql, "postgres", lambda name: _literal(statement.values[name]))


def _literal(value: BoundValue) -> str:
    """A value in PostgreSQL's words, in brackets: a minus before it makes no comment.

    A text keeps no type, as a bound one has none: it becomes what it is compared with.
    """
    match value:
        case None:
            text = "NULL"
        case bool():
            text = "TRUE" if value else "FALSE"
        case str():
            text = _text(value)
        case datetime():
            kind = "TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP"
            text = f"{kind} '{value.isoformat(sep=' ')}'"
        case date():
            text = f"DATE '{value.isoformat()}'"
        case float():
            text = f"'{value!r}'::float8" if not math.isfinite(value) else repr(value)
        case _:
            text = str(value)
    return f"({text})"


def _text(value: str) -> str:
    if "\0" in value:
        raise SourceError("a text with a zero byte can't be a parameter in PostgreSQL")
    return literal(value)
