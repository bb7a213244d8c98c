"""Which values get into which columns of PostgreSQL, and which don't get there at all.

Called by `targets.databases.postgres`. The driver sends binary values: into a column of another
type they'd be misread or rounded without a word, so nothing but what is said here is sent.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from data_platform.errors import StorageError
from data_platform.plan.destinations.column_types import DECIMAL, declared_type
from data_platform.plan.destinations.tables import TableName
from data_platform.targets.databases.transactions import Fit

_DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19}
"""Of the largest value of each of DuckDB's integers."""
_HELD_DIGITS = {"smallint": 4, "integer": 9, "bigint": 18}
"""Whole numbers with so many digits have room in each of PostgreSQL's integers."""
_EXACT_DIGITS = {"real": 7, "double precision": 15}
_NUMERIC = re.compile(r"numeric(?:\((\d+),(-?\d+)\))?")
_TEXTS = ("text", "character varying", "character", "citext", "json")
"""PostgreSQL takes the bytes of a text for these as they are, and looks at them itself."""
_MADE = frozenset(
    {
        "smallint",
        "integer",
        "bigint",
        "real",
        "double precision",
        "boolean",
        "bytea",
        "date",
        "timestamp",
        "timestamp without time zone",
        "timestamp with time zone",
        "numeric",
        "time",
    }
)
"""Types of values that aren't texts: text in the rows is a mistake of one of both."""
_ENDLESS = (2**63 - 1, -(2**63 - 1))
"""What DuckDB has for infinity, in microseconds."""


def fit_in_postgres(kind: str, declared: str) -> Fit:
    """How values of one of DuckDB's types get into a column of PostgreSQL.

    Args:
        kind: of the rows.
        declared: of the column, as `format_type` tells it.
    """
    if declared == declared_type(kind, "postgres"):
        return "direct"
    if kind.endswith("[]") and declared.endswith("[]"):
        inner = fit_in_postgres(kind[:-2], declared[:-2])
        return "alter" if inner == "alter" else "cast"  # an array names the type of its elements
    base = declared.partition("(")[0]
    if kind == "VARCHAR":
        if base in _TEXTS:
            return "direct"
        return "alter" if base in _MADE or declared.endswith("[]") else "cast"
    if base not in _MADE:
        return "alter" if base in _TEXTS or declared.endswith("[]") else "cast"
    if kind in _DIGITS:
        return _whole(_DIGITS[kind], declared, larger=_is_larger(kind, declared))
    if found := DECIMAL.fullmatch(kind):
        return _decimal(int(found[1]), int(found[2]), declared)
    if (kind, declared) in {("FLOAT", "double precision"), ("DATE", _TIMESTAMP)}:
        return "cast"
    # Times without a zone are in UTC, unless somebody says otherwise.
    return "direct" if (kind, declared) == ("TIMESTAMP", "timestamp with time zone") else "alter"


_TIMESTAMP = "timestamp without time zone"


def _is_larger(kind: str, declared: str) -> bool:
    return _HELD_DIGITS.get(declared, 0) >= _DIGITS[kind] - 1


def _whole(digits: int, declared: str, *, larger: bool) -> Fit:
    if declared in _HELD_DIGITS:
        return "cast" if larger else "alter"
    if declared in _EXACT_DIGITS:
        return "cast" if digits <= _EXACT_DIGITS[declared] else "alter"
    return _into_numeric(digits, 0, declared)


def _decimal(precision: int, scale: int, declared: str) -> Fit:
    if declared in _HELD_DIGITS:
        return "cast" if scale == 0 and precision <= _HELD_DIGITS[declared] else "alter"
    return _into_numeric(precision - scale, scale, declared)


def _into_numeric(whole: int, scale: int, declared: str) -> Fit:
    found = _NUMERIC.fullmatch(declared)
    if found is None:
        return "alter"
    if found[1] is None:
        return "cast"
    precision, held = int(found[1]), int(found[2])
    return "cast" if whole <= precision - held and scale <= held else "alter"


def finite(reader: pa.RecordBatchReader, table: TableName) -> Iterator[pa.RecordBatch]:
    """The batches, looked through for times without end: the driver would send a wrong day.

    Raises:
        StorageError: while they are read: there is one.
    """
    times = [number for number, one in enumerate(reader.schema) if pa.types.is_timestamp(one.type)]
    for batch in reader:
        for number in times:
            ends = pc.min_max(batch.column(number).cast(pa.int64()))  # pyright: ignore[reportAttributeAccessIssue]
            if {ends["min"].as_py(), ends["max"].as_py()} & set(_ENDLESS):
                raise StorageError(
                    f"table {table.full}: column {batch.schema.names[number]} holds infinity, "
                    "which can't be brought into PostgreSQL; make it NULL in staging"
                )
        yield batch
