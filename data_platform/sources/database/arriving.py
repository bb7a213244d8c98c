"""Rows of a table or a query of a database, as batches from one snapshot.

Called by `raw.extraction` by way of `sources.answering`. Nothing is held in memory but a batch.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false
# pyarrow comes without types.

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from data_platform.engine.streams import TellingStream
from data_platform.engine.work import Work
from data_platform.plan.naming import OUTSIDE, PARTITION
from data_platform.plan.partitions import Partitions
from data_platform.plan.sources.increments import lower_bound
from data_platform.plan.sources.kinds import DatabaseQuery, DatabaseTable
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.sources.arrivals import Arrival, Notice, Question
from data_platform.sources.binding import BoundValue, bound_values
from data_platform.sources.database.columns import (
    SourceColumn,
    column_type,
    cursor_type,
    require_names,
    wire_schema,
)
from data_platform.sources.database.databases import Database, opened
from data_platform.sources.database.statements import (
    FROM,
    Statement,
    fitting,
    outside,
    quoted_by,
    relation,
    span_of,
    within,
)
from data_platform.sources.translated import translated
from data_platform.spec.platform import DatabaseConnection

BATCHES, WATERMARK = "_batches", "watermark"


@dataclass(frozen=True)
class Reading:
    """What is asked of an open database.

    Attributes:
        columns: of the table or query.
        asked: statements, each for the partition that its rows belong to; None where the cursor
            tells that of each row.
        cursor: DuckDB's type of the cursor that tells partitions; None where none does.
        outside: rows that belong to no partition; None where that isn't asked.
    """

    columns: Sequence[SourceColumn]
    asked: Sequence[tuple[str | None, Statement]]
    cursor: str | None
    outside: int | None


@contextmanager
def arriving(question: Question, source: DatabaseTable | DatabaseQuery) -> Generator[Arrival]:
    """The rows of a table or a query, in one snapshot of the database.

    Raises:
        SourceUnavailable: the database can't be reached, or broke off.
        SourceError: there is no such table or column, or the query is wrong.
    """
    node = question.node
    connection = question.outside.connection(source.connection)
    assert isinstance(connection, DatabaseConnection)  # noqa: S101 -- the plan has seen to it
    what = name_of(source, node.key.name)
    timezone = node.partitions.timezone if node.partitions else "UTC"
    with (
        opened(connection.url, what, timezone) as database,
        question.work.stoppable(database.cancel),
    ):
        reading = _reading(database, question, source, what)
        schema = wire_schema(reading.columns)
        if reading.cursor is None:
            schema = schema.append(pa.field(PARTITION, pa.string()))
        batches = _batches(database, reading, schema, question.work, source.fetch_size)
        stream = TellingStream(schema, batches)
        question.session.register(BATCHES, stream.reader)
        with stream.telling(), translated(what):
            yield Arrival(
                _select(reading, source, node.partitions), notices=_notices(reading, question)
            )


def name_of(source: DatabaseTable | DatabaseQuery, name: str) -> str:
    """What is read, for messages."""
    return f"table {source.table}" if isinstance(source, DatabaseTable) else f"the query of {name}"


def _reading(
    database: Database, question: Question, source: DatabaseTable | DatabaseQuery, what: str
) -> Reading:
    node, keys = question.node, question.keys
    from_ = relation(source, database.dialect, database.quote)
    ranged = node.partitions is not None and source.cursor is not None
    last = keys[-1] if ranged else None
    values = [bound_values(question, key, last) for key in (keys[:1] if ranged else keys)]
    columns = _columns(database, from_, values, question.types, what)
    increments = node.increments
    if increments is not None and increments.cursor is not None:
        kind = column_type(columns, increments.cursor, what)
        bound = lower_bound(increments, question.position)
        if bound is not None:
            # A date that a person wrote as the start is as much a moment as a later watermark.
            values[0] |= {FROM: fitting(bound, kind), WATERMARK: fitting(bound, kind)}
            columns = _columns(database, from_, values, question.types, what)
    asked = f"SELECT {', '.join(column.asked for column in columns)} FROM {from_}"
    if node.partitions is not None and source.cursor is not None:
        kind = cursor_type(columns, source.cursor, what)
        span, cursor = span_of(node.partitions, keys), quoted_by(source.cursor, database.quote)
        condition, bounds = within(cursor, kind, span)
        statement = Statement(f"{asked} WHERE {condition}", {**values[0], **bounds})
        condition, bounds = outside(cursor, kind, span)
        count = Statement(
            f"SELECT count(*) FROM {from_} WHERE {condition}", {**values[0], **bounds}
        )
        missed = int(database.rows(count)[0][0]) if not _is_bounded(source) else None
        return Reading(columns, [(None, statement)], kind, missed)
    if FROM in values[0] and increments is not None and increments.cursor is not None:
        cursor = quoted_by(increments.cursor, database.quote)
        # Rows without a value aren't landed, but told in each run.
        asked = f"{asked} WHERE {cursor} >= :{FROM} OR {cursor} IS NULL"
    statements = [(key, Statement(asked, some)) for key, some in zip(keys, values, strict=True)]
    return Reading(columns, statements, None, None)


def _columns(
    database: Database,
    from_: str,
    values: Sequence[Mapping[str, BoundValue]],
    known: Mapping[str, str],
    what: str,
) -> list[SourceColumn]:
    select = f"SELECT * FROM {from_}"
    columns = database.columns([Statement(select, some) for some in values], known)
    require_names(columns, what)
    return columns


def _is_bounded(source: DatabaseTable | DatabaseQuery) -> bool:
    """Whether a query itself leaves rows of other partitions out: then none of them are seen."""
    named = {"partition_start", "partition_end"}
    return isinstance(source, DatabaseQuery) and bool(named & set(source.parameters))


def _select(
    reading: Reading, source: DatabaseTable | DatabaseQuery, partitions: Partitions | None
) -> str:
    """The rows that travelled in their types, each with its partition."""
    taken = [f"{column.taken} AS {quoted(column.name)}" for column in reading.columns]
    key = quoted(PARTITION)
    if partitions and source.cursor and reading.cursor:
        moment = next(c.taken for c in reading.columns if c.name == source.cursor)
        if reading.cursor == "TIMESTAMP WITH TIME ZONE":
            moment = f"timezone({literal(partitions.timezone)}, {moment})"
        key = f"CAST(CAST({moment} AS DATE) AS VARCHAR)"
    return f"SELECT {', '.join(taken)}, {key} AS {PARTITION} FROM {BATCHES}"


def _notices(reading: Reading, question: Question) -> list[Notice]:
    if reading.outside is None:
        return []
    detail = f"{reading.outside:,} rows whose cursor is NULL or out of range"
    return [Notice(OUTSIDE, question.keys[-1], reading.outside, detail)]


def _batches(
    database: Database, reading: Reading, schema: pa.Schema, work: Work, fetch_size: int
) -> Iterator[pa.RecordBatch]:
    """The batches of all statements one after another, counted as they pass."""
    for key, statement in reading.asked:
        for batch in database.batches(statement, reading.columns, fetch_size):
            work.go_on()
            work.count(batch.num_rows, batch.nbytes)
            columns = list(batch.columns)
            if key is not None:
                columns.append(pa.repeat(pa.scalar(key, pa.string()), batch.num_rows))
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
