"""Statements over a table or a query of a database: which rows are asked for, and in what order.

Pure text and values; the database's module binds the values or writes them as literals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from data_platform.plan.partitions import Partitions
from data_platform.plan.sources.increments import Watermark
from data_platform.plan.sources.kinds import DatabaseQuery, DatabaseTable
from data_platform.plan.sources.queries import bare
from data_platform.sources.binding import BoundValue

FROM, TO, FIRST, LAST = "_from", "_to", "_first", "_last"
"""The names of the platform's own parameters; a person's begin with a letter."""


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
    start, _ = partitions.window(keys[0])
    _, end = partitions.window(keys[-1])
    time = partitions.timed
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


def within(cursor: str, kind: str, span: Span) -> tuple[str, dict[str, BoundValue]]:
    """A condition on a cursor that is true within the span, and its values.

    Args:
        cursor: quoted.
        kind: DuckDB's type of it.
        span: which rows are read.
    """
    values = {
        FROM: midnight(span.start, kind, span.timezone),
        TO: midnight(span.end, kind, span.timezone),
    }
    return f"{cursor} >= :{FROM} AND {cursor} < :{TO}", values


def outside(cursor: str, kind: str, span: Span) -> tuple[str, dict[str, BoundValue]]:
    """A condition on a cursor that is true where it belongs to no partition, and its values."""
    values: dict[str, BoundValue] = {FIRST: midnight(span.first, kind, span.timezone)}
    parts = [f"{cursor} IS NULL", f"{cursor} < :{FIRST}"]
    if span.last is not None:
        values[LAST] = midnight(span.last, kind, span.timezone)
        parts.append(f"{cursor} >= :{LAST}")
    return " OR ".join(parts), values


def midnight(moment: datetime, kind: str, timezone: str) -> BoundValue:
    """The begin of a partition as a value of a cursor's type."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        return moment
    day = moment.astimezone(ZoneInfo(timezone)).date()
    # Partitions are days: midnight, also where the zone's clocks skip it.
    return datetime.combine(day, time()) if kind == "TIMESTAMP" else day


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
