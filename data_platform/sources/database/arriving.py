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

from data_platform.engine.partition_keys import asked_for, key_of, time_key, times_of, value_of
from data_platform.engine.streams import TellingStream
from data_platform.engine.work import Work
from data_platform.plan.naming import PARTITION
from data_platform.plan.partitions import TIME, Partitions
from data_platform.plan.sources.increments import lower_bound
from data_platform.plan.sources.kinds import DatabaseQuery, DatabaseTable
from data_platform.plan.sources.told import told_dimensions
from data_platform.plan.sql.expressions import quoted
from data_platform.sources.arrivals import Arrival, Question
from data_platform.sources.binding import BoundValue, bound_values
from data_platform.sources.database.asking import (
    Group,
    Telling,
    fixed_column,
    groups_of,
    told_by_columns,
)
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
    quoted_by,
    relation,
)
from data_platform.sources.translated import translated
from data_platform.spec.platform import DatabaseConnection

BATCHES, WATERMARK = "_batches", "watermark"


@dataclass(frozen=True)
class Reading:
    """What is asked of an open database.

    Attributes:
        columns: of the table or query.
        asked: statements, each for its partitions.
        telling: what rows tell of their partition; None where each statement is for one.
        outside: rows that belong to no partition; None where that isn't asked.
    """

    columns: Sequence[SourceColumn]
    asked: Sequence[tuple[Group, Statement]]
    telling: Telling | None
    outside: int | None

    @property
    def schema(self) -> pa.Schema:
        """Of what travels: the columns, and what is fixed of a row's partition."""
        fixed = self.asked[0][0].fixed
        return pa.schema([*wire_schema(self.columns), *((name, pa.string()) for name in fixed)])


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
        batches = _batches(database, reading, question.work, source.fetch_size)
        stream = TellingStream(reading.schema, batches)
        question.session.register(BATCHES, stream.reader)
        with stream.telling(), translated(what):
            yield Arrival(_select(reading, question), outside=reading.outside)


def name_of(source: DatabaseTable | DatabaseQuery, name: str) -> str:
    """What is read, for messages."""
    return f"table {source.table}" if isinstance(source, DatabaseTable) else f"the query of {name}"


def _reading(
    database: Database, question: Question, source: DatabaseTable | DatabaseQuery, what: str
) -> Reading:
    node = question.node
    from_ = relation(source, database.dialect, database.quote)
    groups = groups_of(question, source)
    values = [bound_values(question, group.keys) for group in groups]
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
    telling = _telling(node.partitions, source, columns, what)
    if telling is not None:
        return _told(database, source, Reading(columns, (), telling, None), groups, values, asked)
    if FROM in values[0] and increments is not None and increments.cursor is not None:
        cursor = quoted_by(increments.cursor, database.quote)
        # Rows without a value aren't landed, but told in each run.
        asked = f"{asked} WHERE {cursor} >= :{FROM} OR {cursor} IS NULL"
    statements = [(one, Statement(asked, some)) for one, some in zip(groups, values, strict=True)]
    return Reading(columns, statements, None, None)


def _telling(
    partitions: Partitions | None,
    source: DatabaseTable | DatabaseQuery,
    columns: Sequence[SourceColumn],
    what: str,
) -> Telling | None:
    """What rows tell of their partition, by columns that there are.

    Raises:
        SourceError: there is no such column, or it is none that can tell it.
    """
    told = told_dimensions(source, partitions)
    if partitions is None or not told:
        return None
    cursor = source.cursor if TIME in told else None
    kind = ""
    if cursor is not None:
        kind = cursor_type(columns, cursor, what, every=partitions.timed.every)
    dimensions = told_by_columns(partitions, told)
    for one in dimensions:
        column_type(columns, one.column, what, f"which tells the {one.name}")
    return Telling(partitions, cursor, kind, dimensions)


def _told(
    database: Database,
    source: DatabaseTable | DatabaseQuery,
    reading: Reading,
    groups: Sequence[Group],
    values: Sequence[Mapping[str, BoundValue]],
    asked: str,
) -> Reading:
    """The reading with its statements, and how many rows belong nowhere."""
    telling, timed = reading.telling, not _is_bounded(source)
    assert telling is not None  # noqa: S101 -- who calls sees to it
    from_ = relation(source, database.dialect, database.quote)
    statements: list[tuple[Group, Statement]] = []
    missed = 0 if timed or telling.dimensions else None
    for group, some in zip(groups, values, strict=True):
        condition, bounds = telling.of(group, database.dialect, database.quote)
        statements.append((group, Statement(f"{asked} WHERE {condition}", {**some, **bounds})))
        if missed is not None:
            condition, bounds = telling.of_none(
                group, database.dialect, database.quote, timed=timed
            )
            count = f"SELECT count(*) FROM {from_} WHERE {condition}"
            missed += int(database.rows(Statement(count, {**some, **bounds}))[0][0])
    return Reading(reading.columns, statements, telling, missed)


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


def _select(reading: Reading, question: Question) -> str:
    """The rows that travelled in their types, each with its partition."""
    taken = [f"{column.taken} AS {quoted(column.name)}" for column in reading.columns]
    telling = reading.telling
    if telling is None:
        return f"SELECT {', '.join(taken)}, {PARTITION} FROM {BATCHES}"
    partitions, moments = telling.partitions, {c.name: c.taken for c in reading.columns}
    parts = {name: fixed_column(name) for name in partitions.dimensions}
    parts |= {one.name: value_of(one, moments[one.column]) for one in telling.dimensions}
    conditions: list[str] = []
    if telling.cursor is not None:
        time, times = partitions.timed, times_of(partitions, question.keys)
        moment = moments[telling.cursor]
        parts[TIME] = time_key(question.session, time, times, moment, telling.kind)
        # What a database takes for a time of the span may be none by the plan's clocks.
        conditions.append(f"{fixed_column(TIME)} IS NOT NULL")
    if telling.dimensions:
        conditions.append(f"({asked_for(question.keys)})")
    told = [f"{parts[name]} AS {fixed_column(name)}" for name in partitions.dimensions]
    names = {name: fixed_column(name) for name in partitions.dimensions}
    return (
        f"SELECT * EXCLUDE ({', '.join(names.values())}), "
        f"{key_of(partitions, names)} AS {PARTITION} "
        f"FROM (SELECT {', '.join([*taken, *told])} FROM {BATCHES}) "
        f"WHERE {' AND '.join(conditions)}"
    )


def _batches(
    database: Database, reading: Reading, work: Work, fetch_size: int
) -> Iterator[pa.RecordBatch]:
    """The batches of all statements one after another, counted as they pass."""
    schema = reading.schema
    for group, statement in reading.asked:
        for batch in database.batches(statement, reading.columns, fetch_size):
            work.go_on()
            work.count(batch.num_rows, batch.nbytes)
            fixed = [pa.scalar(value, pa.string()) for value in group.fixed.values()]
            columns = [*batch.columns, *(pa.repeat(one, batch.num_rows) for one in fixed)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
