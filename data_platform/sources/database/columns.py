"""Columns of a table or query of a database: how each is asked for, travels, and is taken.

Made by each database's module, used by `arriving` and by what tells people of columns.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false
# pyarrow comes without types.

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from data_platform.errors import SourceError
from data_platform.plan.partitions import Every
from data_platform.plan.schemas import Column, Schema
from data_platform.plan.sql.expressions import literal, quoted

MAX_PRECISION = 38
"""Digits of a decimal in Arrow and in the lake."""
TIMES = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})


@dataclass(frozen=True)
class SourceColumn:
    """A column as the database declares it, and as it is read.

    Attributes:
        name: of the column.
        declared: the database's own type, for people.
        type: in DuckDB's words.
        wire: the type in which it travels.
        asked: the expression in the database's SQL that gives it.
        taken: the expression over what travelled that gives its type.
        convert: makes a value of the driver one of `wire`, or raises ValueError; None leaves it.
    """

    name: str
    declared: str
    type: str
    wire: pa.DataType
    asked: str
    taken: str
    convert: Callable[[Any], Any] | None = None


def direct(name: str, declared: str, kind: str, wire: pa.DataType, asked: str) -> SourceColumn:
    """A column that travels in its own type."""
    return SourceColumn(name, declared, kind, wire, asked, quoted(name))


def as_text(name: str, declared: str, kind: str, asked: str) -> SourceColumn:
    """A column that travels as text and is cast after."""
    taken = quoted(name) if kind == "VARCHAR" else cast_or_tell(name, quoted(name), kind)
    return SourceColumn(name, declared, kind, pa.string(), asked, taken)


def cast_or_tell(name: str, text: str, kind: str) -> str:
    """A cast of text that names the column and what to do where it fails."""
    before = literal(f"column {name} holds ")
    after = literal(f", which is no {kind}: read it with a query that casts it to text")
    value = f"TRY_CAST({text} AS {kind})"
    failed = f"{quoted(name)} IS NOT NULL AND {value} IS NULL"
    return f"CASE WHEN {failed} THEN ERROR({before} || {quoted(name)} || {after}) ELSE {value} END"


def decimal_type(precision: int, scale: int) -> str | None:
    """DuckDB's decimal of a precision and a scale as databases have them; None if it's too wide."""
    whole = max(precision - scale, 0)
    behind = max(scale, 0)
    wide = max(whole + behind, 1)
    return f"DECIMAL({wide},{behind})" if wide <= MAX_PRECISION else None


def schema_of(columns: Sequence[SourceColumn]) -> Schema:
    """What people are told of columns."""
    return Schema(tuple(Column(column.name, column.type) for column in columns), closed=True)


def wire_schema(columns: Sequence[SourceColumn]) -> pa.Schema:
    """The schema of the batches that travel."""
    return pa.schema([pa.field(column.name, column.wire) for column in columns])


def require_names(columns: Sequence[SourceColumn], what: str) -> None:
    """See to it that each column can be named.

    Raises:
        SourceError: two have the same name, case aside.
    """
    seen: dict[str, str] = {}
    for column in columns:
        other = seen.get(column.name.lower())
        if other is not None:
            raise SourceError(
                f"{what} has two columns {other!r} and {column.name!r}, whose names are the same "
                "where case doesn't count: give one an alias in a query"
            )
        seen[column.name.lower()] = column.name


def cursor_type(
    columns: Sequence[SourceColumn], cursor: str, what: str, *, every: Every = "day"
) -> str:
    """The type of the column that tells a row's partition.

    Raises:
        SourceError: there is no such column, or it doesn't tell partitions as long as these.
    """
    found = column_type(columns, cursor, what)
    if found not in TIMES:
        raise SourceError(f"cursor {cursor} of {what} is {found}: it must be a date or a timestamp")
    if found == "DATE" and every == "hour":
        raise SourceError(
            f"cursor {cursor} of {what} is a date, which tells no hour: name a column that is a "
            "timestamp, or let the partitions be days"
        )
    return found


def column_type(
    columns: Sequence[SourceColumn], name: str, what: str, role: str = "to be the cursor"
) -> str:
    """The type of a column that is needed.

    Raises:
        SourceError: there is no such column.
    """
    kind = next((column.type for column in columns if column.name == name), None)
    if kind is None:
        names = ", ".join(column.name for column in columns)
        raise SourceError(f"{what} has no column {name} {role}; it has {names}")
    return kind
