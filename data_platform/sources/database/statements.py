"""Statements over a table or a query of a database: which rows are asked for.

Pure text and values; the database's module binds the values or writes them as literals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from data_platform.plan.partitions import Partitions
from data_platform.plan.partitions.clocks import latest_shown
from data_platform.plan.sources.increments import Watermark
from data_platform.plan.sources.kinds import DatabaseQuery, DatabaseTable
from data_platform.plan.sources.queries import bare
from data_platform.sources.binding import BoundValue

FROM, TO, FIRST, LAST = "_from", "_to", "_first", "_last"
FIRST_DAY, AFTER_DAYS = "_first_day", "_after_days"
"""The names of the platform's own parameters; a person's begin with a letter."""
MOMENT = "data_platform_moment"
"""A function of SQLite's that writes a time as bound values are written; NULL where it is none."""
Condition = tuple[str, dict[str, BoundValue]]
_DAY = timedelta(days=1)
_TEXTS = frozenset({"postgres", "sqlite", "duckdb"})


@dataclass(frozen=True)
class Statement:
    """A SELECT with `:name` where values stand.

    Attributes:
        sql: in the database's own SQL.
        values: by name; those of parameters that the text doesn't name do no harm.
    """

    sql: str
    values: Mapping[str, BoundValue] = field(default_factory=dict[str, BoundValue])


@dataclass(frozen=True)
class Span:
    """Which rows are read: those whose cursor is within, half-open, and what exists at all.

    Attributes:
        start, end: of the partitions that are read; aware.
        first, last: of all partitions; a `last` of None means there is no end.
        timezone: in which times without a zone are meant.
    """

    start: datetime
    end: datetime
    first: datetime
    last: datetime | None
    timezone: str


def span_of(partitions: Partitions, keys: Sequence[str]) -> Span:
    """The span of contiguous partitions."""
    time, times = partitions.timed, [partitions.time_key(key) for key in keys]
    start, _ = time.window(min(times))
    _, end = time.window(max(times))
    return Span(start, end, time.starts, time.ends, time.timezone)


def relation(source: DatabaseTable | DatabaseQuery, dialect: str, quote: str = '"') -> str:
    """What stands behind FROM."""
    if isinstance(source, DatabaseTable):
        return table_name(source.table, quote)
    # The line break ends a comment that the query may end with.
    return f"({bare(source.query, dialect)}\n) AS _q"


def table_name(name: str, quote: str = '"') -> str:
    """The name of a table, quoted."""
    return ".".join(quoted_by(part, quote) for part in name.split("."))


def quoted_by(name: str, quote: str) -> str:
    """A name in a database's own quotes."""
    return f"{quote}{name.replace(quote, quote * 2)}{quote}"


def within(cursor: str, kind: str, span: Span, dialect: str) -> Condition:
    """A condition on a cursor that is true within the span, and its values.

    Args:
        cursor: quoted.
        kind: DuckDB's type of it.
        span: which rows are read.
        dialect: of the database.
    """
    values = {FROM: bound_of(span.start, kind, span), TO: bound_of(span.end, kind, span)}
    compared = comparable(cursor, kind, dialect)
    exact = f"{compared} >= :{FROM} AND {compared} < :{TO}"
    if compared == cursor:
        return exact, values
    # By whole days the database may find rows in an index, however their times are written.
    days = {FIRST_DAY: span.start.date() - _DAY, AFTER_DAYS: span.end.date() + 2 * _DAY}
    about = f"{cursor} >= :{FIRST_DAY} AND {cursor} < :{AFTER_DAYS}"
    return f"{about} AND {exact}", {**values, **days}


def outside(cursor: str, kind: str, span: Span, dialect: str) -> Condition:
    """A condition on a cursor that is true where it belongs to no partition, and its values."""
    compared = comparable(cursor, kind, dialect)
    values: dict[str, BoundValue] = {FIRST: bound_of(span.first, kind, span)}
    parts = [f"{compared} IS NULL", f"{compared} < :{FIRST}"]
    if span.last is not None:
        values[LAST] = bound_of(span.last, kind, span)
        parts.append(f"{compared} >= :{LAST}")
    return " OR ".join(parts), values


def bound_of(moment: datetime, kind: str, span: Span) -> BoundValue:
    """The begin of a partition as a value of a cursor's type."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        return moment
    local = latest_shown(moment, ZoneInfo(span.timezone))
    return local if kind == "TIMESTAMP" else local.date()


def comparable(cursor: str, kind: str, dialect: str) -> str:
    """A cursor as it is compared; SQLite has times as texts, which are written in many ways."""
    return f"{MOMENT}({cursor})" if dialect == "sqlite" and kind.startswith("TIMESTAMP") else cursor


def named(column: str, values: Sequence[str], dialect: str, prefix: str) -> Condition:
    """A condition that is true of rows with one of some values, and what it binds.

    Args:
        column: quoted.
        values: as texts.
        dialect: of the database.
        prefix: of the names of its parameters.
    """
    bound: dict[str, BoundValue] = {f"{prefix}{n}": value for n, value in enumerate(values)}
    # Others compare a text with a column of theirs as the column's own type.
    text = f"CAST({column} AS VARCHAR)" if dialect in _TEXTS else column
    return f"{text} IN ({', '.join(f':{name}' for name in bound)})", bound


def fitting(bound: Watermark, kind: str) -> BoundValue:
    """The value from which rows are read, as one of a cursor's type; no zone means UTC."""
    if kind == "DATE" and isinstance(bound, datetime):
        return bound.date()
    if kind.startswith("TIMESTAMP") and isinstance(bound, date):
        moment = bound if isinstance(bound, datetime) else datetime.combine(bound, time())
        if kind == "TIMESTAMP":
            return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if kind == "VARCHAR" and isinstance(bound, date):
        return bound.isoformat()
    return bound
