"""Rows of a PostgreSQL table as Arrow batches, by ADBC, from one snapshot.

Called by `raw.extraction` and by `check --connect`. Every type comes across without loss: what
Arrow has no equal for comes as text, exact numerics as decimals.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow and the driver come without types.

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa
from adbc_driver_postgresql import StatementOptions

from data_platform.engine.postgres import Refused, Unreachable, connected
from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.expressions import literal, quoted
from data_platform.plan.naming import OUTSIDE, PARTITION, WHOLE
from data_platform.plan.partitions import DailyPartitions
from data_platform.plan.schemas import Column, Schema
from data_platform.plan.sources import DatabaseQuery, DatabaseTable
from data_platform.sources.arrivals import Arrival, Notice, Question
from data_platform.sources.translated import translated
from data_platform.spec.platform import DatabaseConnection

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Cursor

BYTES_A_ROW = 128
"""A guess, to turn a number of rows into the size of a batch."""

_DIRECT = {
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double precision": "DOUBLE",
    "boolean": "BOOLEAN",
    "text": "VARCHAR",
    "bytea": "BLOB",
    "date": "DATE",
    "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
}
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_TIME_PRECISION = re.compile(r"(?<=timestamp)\(\d\)")
MAX_PRECISION = 38


@dataclass(frozen=True)
class SourceColumn:
    """A column as the database declares it, and as it is read.

    Attributes:
        name: of the column.
        declared: PostgreSQL's type.
        type: in DuckDB's words.
        as_text: whether it travels as text and is cast after.
    """

    name: str
    declared: str
    type: str
    as_text: bool


@dataclass(frozen=True)
class Extraction:
    """An open read.

    Attributes:
        reader: the batches; to be read once, before the extraction is closed.
        select: an expression for each column, over the batches, that gives its type.
        cursor_type: DuckDB's type of the cursor; None where there is none.
        outside: rows that belong to no partition: their cursor is NULL or out of range.
    """

    reader: pa.RecordBatchReader
    select: Mapping[str, str]
    cursor_type: str | None
    outside: int


@dataclass(frozen=True)
class Span:
    """Which rows are read: those whose cursor is within, half-open, and what exists at all.

    Attributes:
        start, end: of the partitions that are read.
        first, last: of all partitions; a `last` of None means there is no end.
        timezone: in which times without a zone are meant.
    """

    start: datetime
    end: datetime
    first: datetime
    last: datetime | None
    timezone: str


@contextmanager
def arriving(question: Question, source: DatabaseTable | DatabaseQuery) -> Generator[Arrival]:
    """The rows of a table, in one snapshot of the database.

    Raises:
        SourceUnavailable: the database can't be reached, or broke off.
        SourceError: there is no such table or column.
    """
    if isinstance(source, DatabaseQuery):
        raise NotImplementedError(source)
    node = question.node
    connection = question.outside.connection(source.connection)
    assert isinstance(connection, DatabaseConnection)  # noqa: S101 -- the plan has seen to it
    span = _span(node.partitions, question.keys) if node.partitions else None
    with (
        read_table(connection.url, source, span) as extraction,
        translated(source.table),
    ):
        question.session.register("_batches", extraction.reader)
        notices = []
        if span is not None:
            detail = f"{extraction.outside:,} rows whose cursor is NULL or out of range"
            notices = [Notice(OUTSIDE, question.keys[-1], extraction.outside, detail)]
        yield Arrival(_select(extraction, source, node.partitions), notices=notices)


def _span(partitions: DailyPartitions, keys: Sequence[str]) -> Span:
    start, _ = partitions.window(keys[0])
    _, end = partitions.window(keys[-1])
    first, _ = partitions.window(partitions.start.isoformat())
    last = partitions.window(partitions.end.isoformat())[0] if partitions.end else None
    return Span(start, end, first, last, partitions.timezone)


def _select(
    extraction: Extraction, source: DatabaseTable, partitions: DailyPartitions | None
) -> str:
    key = literal(WHOLE)
    if partitions and source.cursor:
        moment = quoted(source.cursor)
        if extraction.cursor_type == "TIMESTAMP WITH TIME ZONE":
            moment = f"timezone({literal(partitions.timezone)}, {moment})"
        key = f"CAST(CAST({moment} AS DATE) AS VARCHAR)"
    return f"SELECT {', '.join(extraction.select.values())}, {key} AS {PARTITION} FROM _batches"


@contextmanager
def read_table(url: str, source: DatabaseTable, span: Span | None) -> Generator[Extraction]:
    """Read a table, or the span of it that the partitions cover, in one snapshot.

    Args:
        url: of the database, as libpq takes it.
        source: the table and its cursor.
        span: None reads all of it.

    Raises:
        SourceUnavailable: the database can't be reached, or broke off.
        SourceError: there is no such table or column.
    """
    with _translated(source.table), connected(url) as (_, cursor):
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        columns = _columns(cursor, source.table)
        listed = ", ".join(
            f"{quoted(c.name)}::text" if c.as_text else quoted(c.name) for c in columns
        )
        query, outside, cursor_type = f"SELECT {listed} FROM {_table(source.table)}", 0, None
        if span is not None and source.cursor is not None:
            cursor_type = _cursor_type(columns, source)
            query = f"{query} WHERE {_within(source.cursor, cursor_type, span)}"
            outside = _count_outside(cursor, source, cursor_type, span)
        cursor.adbc_statement.set_options(
            **{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(source.fetch_size * BYTES_A_ROW)}
        )
        cursor.execute(query)
        reader = cursor.fetch_record_batch()
        yield Extraction(reader, {c.name: _cast(c) for c in columns}, cursor_type, outside)


def table_schema(url: str, table: str) -> Schema:
    """The columns of a table, from the database's catalogue.

    Raises:
        SourceUnavailable: the database can't be reached.
        SourceError: there is no such table.
    """
    with _translated(table), connected(url, autocommit=True) as (_, cursor):
        return Schema(
            tuple(Column(column.name, column.type) for column in _columns(cursor, table)),
            closed=True,
        )


def _columns(cursor: "Cursor", table: str) -> list[SourceColumn]:
    cursor.execute(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
        "WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        (_table(table),),
    )
    return [_column(str(name), str(declared)) for name, declared in cursor.fetchall()]


def _column(name: str, declared: str) -> SourceColumn:
    plain = _TIME_PRECISION.sub("", declared)  # `timestamp(3) without time zone` is a timestamp
    if plain in _DIRECT:
        return SourceColumn(name, declared, _DIRECT[plain], as_text=False)
    numeric = _NUMERIC.fullmatch(declared)
    if numeric and int(numeric[1]) <= MAX_PRECISION:
        return SourceColumn(name, declared, f"DECIMAL({numeric[1]},{numeric[2]})", as_text=True)
    return SourceColumn(name, declared, "VARCHAR", as_text=True)


def _cast(column: SourceColumn) -> str:
    name = quoted(column.name)
    return (
        f"CAST({name} AS {column.type}) AS {name}"
        if column.as_text and column.type != "VARCHAR"
        else name
    )


def _cursor_type(columns: list[SourceColumn], source: DatabaseTable) -> str:
    kind = next((column.type for column in columns if column.name == source.cursor), None)
    if kind is None:
        names = ", ".join(column.name for column in columns)
        raise SourceError(
            f"table {source.table} has no column {source.cursor} to be the cursor; it has {names}"
        )
    if kind not in {"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}:
        raise SourceError(
            f"cursor {source.cursor} of {source.table} is {kind}: it must be a date or a timestamp"
        )
    return kind


def _bound(moment: datetime, kind: str, timezone: str) -> str:
    """A moment as a literal; one without a zone is meant in the partitions' own."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"TIMESTAMPTZ '{moment.isoformat()}'"
    day = moment.astimezone(ZoneInfo(timezone)).date()
    # Partitions are days: midnight, also where the zone's clocks skip it.
    return f"TIMESTAMP '{day} 00:00:00'" if kind == "TIMESTAMP" else f"DATE '{day}'"


def _within(cursor: str, kind: str, span: Span) -> str:
    name = quoted(cursor)
    start, end = _bound(span.start, kind, span.timezone), _bound(span.end, kind, span.timezone)
    return f"{name} >= {start} AND {name} < {end}"


def _count_outside(cursor: "Cursor", source: DatabaseTable, kind: str, span: Span) -> int:
    name = quoted(str(source.cursor))
    parts = [f"{name} IS NULL", f"{name} < {_bound(span.first, kind, span.timezone)}"]
    parts += [f"{name} >= {_bound(span.last, kind, span.timezone)}"] if span.last else []
    cursor.execute(f"SELECT count(*) FROM {_table(source.table)} WHERE {' OR '.join(parts)}")
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _table(name: str) -> str:
    return ".".join(quoted(part) for part in name.split("."))


@contextmanager
def _translated(table: str) -> Generator[None]:
    try:
        yield
    except Unreachable as error:
        raise SourceUnavailable(str(error)) from error
    except Refused as error:
        raise SourceError(f"table {table} in {error}") from error
