"""Values of SQLite, which lets any value into any column, in the types that columns are declared.

Used by what reads tables as sources and by what reads a destination's table back. A column without
a declared type has none here: its values alone tell what they are.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa

PASSING = (
    "database is locked",
    "database table is locked",
    "database schema is locked",
    "disk i/o error",
    "database or disk is full",
    "out of memory",
)
"""How an error begins that passes."""
MAX_PRECISION = 38
"""Digits of a decimal in Arrow and in the lake."""

_DIGITS = Context(prec=2 * MAX_PRECISION)
"""Python's own has 28 digits, and takes no number that has more."""
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC|NUMBER)(?:_TEXT)?\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")


@dataclass(frozen=True)
class Held:
    """How the values of a column are taken.

    Attributes:
        kind: the type in DuckDB's words.
        wire: Arrow's type of the same.
        convert: makes a value of the driver one of it, or raises ValueError or TypeError.
    """

    kind: str
    wire: pa.DataType
    convert: Callable[[Any], Any]


def held_as(declared: str) -> Held | None:
    """How a column is taken by its declared type; None where that says nothing of its values."""
    declared = declared.upper()
    numeric = _DECIMAL.fullmatch(declared)
    if numeric:
        precision, scale = int(numeric[1]), int(numeric[2] or 0)
        wide = max(precision, scale, 1)
        if wide <= MAX_PRECISION:
            wire = pa.decimal128(wide, scale)
            return Held(f"DECIMAL({wide},{scale})", wire, lambda value: _decimal(value, scale))
    return next((HELD[kind] for word, kind in _WORDS.items() if word in declared), None)


def _integer(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value


def _boolean(value: Any) -> bool:
    if value not in {0, 1}:
        raise ValueError
    return bool(value)


def _double(value: Any) -> float:
    if not isinstance(value, int | float) or float(value) != value:
        raise TypeError
    return float(value)


def _exact_text(value: Any) -> str:
    if isinstance(value, bytes):
        raise TypeError
    return value if isinstance(value, str) else repr(value)


def _blob(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError
    return value


def _decimal(value: Any, scale: int) -> Decimal:
    if not isinstance(value, int | float | str):
        raise TypeError
    # A real is the shortest decimal that it stands for: 12.3 is 12.3.
    exact = Decimal(repr(value) if isinstance(value, float) else value)
    if not exact.is_finite():
        raise ValueError
    kept = exact.quantize(Decimal(1).scaleb(-scale), context=_DIGITS)
    if kept != exact:
        raise ValueError
    return kept


def _date(value: Any) -> date:
    moment = _timestamp(value)
    if moment.time() != time():
        raise ValueError
    return moment.date()


def _timestamp(value: Any) -> datetime:
    moment = _moment(value)
    if moment.tzinfo is not None:
        raise ValueError
    return moment


def _aware(value: Any) -> datetime:
    moment = _moment(value)
    if moment.tzinfo is None:
        raise ValueError
    return moment


def _moment(value: Any) -> datetime:
    if not isinstance(value, str) or not value[:4].isdigit():
        raise TypeError
    return datetime.fromisoformat(value)


HELD: Mapping[str, Held] = {
    held.kind: held
    for held in (
        Held("BIGINT", pa.int64(), _integer),
        Held("BOOLEAN", pa.bool_(), _boolean),
        Held("DOUBLE", pa.float64(), _double),
        Held("VARCHAR", pa.string(), _exact_text),
        Held("BLOB", pa.binary(), _blob),
        Held("DATE", pa.date32(), _date),
        Held("TIMESTAMP", pa.timestamp("us"), _timestamp),
        Held("TIMESTAMP WITH TIME ZONE", pa.timestamp("us", "UTC"), _aware),
    )
}
"""By DuckDB's type."""
CLASSES = {
    "BIGINT": {"integer"},
    "BOOLEAN": {"integer"},
    "DOUBLE": {"integer", "real"},
    "VARCHAR": {"integer", "real", "text"},
    "BLOB": {"blob"},
    "DATE": {"text"},
    "TIMESTAMP": {"text"},
    "TIMESTAMP WITH TIME ZONE": {"text"},
}
"""SQLite's classes of values that a type may hold."""
_WORDS = {
    "BOOL": "BOOLEAN",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP": "TIMESTAMP",
    "DATE": "DATE",
    "INT": "BIGINT",
    "CHAR": "VARCHAR",
    "CLOB": "VARCHAR",
    "TEXT": "VARCHAR",
    "JSON": "VARCHAR",
    "UUID": "VARCHAR",
    "DECIMAL": "VARCHAR",
    "NUMERIC": "VARCHAR",
    "TIME": "VARCHAR",
    "BLOB": "BLOB",
    "REAL": "DOUBLE",
    "FLOA": "DOUBLE",
    "DOUB": "DOUBLE",
}
"""By words in the declared type; the first that is in it counts. A decimal without a precision is
a text, which holds all its digits."""
