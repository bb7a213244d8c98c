"""Rows as a driver of Python gives them, as batches of Arrow in the types of their columns.

Used by the modules of databases that have no stream of Arrow of their own. A value that its column
can't hold is an error that names the column, never a NULL.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false
# pyarrow comes without types.

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import pyarrow as pa

from data_platform.errors import SourceError
from data_platform.sources.database.columns import SourceColumn, wire_schema

SHOWN = 60
"""Characters of a value in a message."""


def batches_of(
    fetch: Callable[[int], Sequence[Sequence[Any]]],
    columns: Sequence[SourceColumn],
    fetch_size: int,
    what: str,
) -> Iterator[pa.RecordBatch]:
    """Rows until there are no more.

    Args:
        fetch: gives at most so many of the next rows.
        columns: of the rows, in order.
        fetch_size: rows of a batch.
        what: is read, for messages.

    Raises:
        SourceError: a value doesn't fit its column.
    """
    schema = wire_schema(columns)
    while rows := fetch(fetch_size):
        values = zip_longest(*rows)
        arrays = [
            _array(column, list(some), what) for column, some in zip(columns, values, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(column: SourceColumn, values: list[Any], what: str) -> pa.Array:
    convert = column.convert
    if convert is not None:
        values = [None if value is None else _one(column, convert, value, what) for value in values]
    try:
        return pa.array(values, column.wire)
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        raise _misfit(column, _culprit(column, values), what) from None


def _one(column: SourceColumn, convert: Callable[[Any], Any], value: Any, what: str) -> Any:
    try:
        return convert(value)
    except (ValueError, TypeError, OverflowError, ArithmeticError):
        raise _misfit(column, value, what) from None


def _culprit(column: SourceColumn, values: Sequence[Any]) -> Any:
    """The first value that its type doesn't hold."""
    for value in values:
        try:
            pa.array([value], column.wire)
        except (pa.ArrowException, TypeError, OverflowError, ValueError):
            return value
    return None


def _misfit(column: SourceColumn, value: Any, what: str) -> SourceError:
    shown = repr(value)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
    return SourceError(
        f"{what}: column {column.name} is {column.declared or 'of no type'}, and holds {shown} of "
        f"type {type(value).__name__}, which is no {column.type}: read it with a query that casts "
        "it"
    )
