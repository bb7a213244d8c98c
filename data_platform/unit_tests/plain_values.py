"""Values of `tests.yaml` that Python reads as a column's type without DuckDB, which takes longer.

Called by `unit_tests.tables`. Only forms that nobody reads in two ways are read here; of any other
value DuckDB tells what it is, or that it is none.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyarrow comes without types.

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa

_INT = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?")
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?")
_INTEGERS: Mapping[str, tuple[int, pa.DataType]] = {
    "SMALLINT": (2**15, pa.int16()),
    "INTEGER": (2**31, pa.int32()),
    "BIGINT": (2**63, pa.int64()),
}


class _Unread(Exception):
    """A value that DuckDB has to judge."""


def plain_column(texts: Sequence[str | None], kind: str) -> pa.Array | None:
    """A column of these values; None where DuckDB has to judge one.

    Args:
        texts: as they were written.
        kind: the type, in DuckDB's words.
    """
    found = _reader(kind)
    if found is None:
        return None
    read, arrow = found
    try:
        return pa.array([None if text is None else read(text) for text in texts], arrow)
    except (_Unread, ValueError, OverflowError):
        return None


def _reader(kind: str) -> tuple[Callable[[str], object], pa.DataType] | None:
    if kind in _INTEGERS:
        limit, arrow = _INTEGERS[kind]
        return lambda text: _integer(text, limit), arrow
    match kind:
        case "VARCHAR":
            return str, pa.string()
        case "DOUBLE":
            return lambda text: float(_held(_NUMBER, text)), pa.float64()
        case "BOOLEAN":
            return _boolean, pa.bool_()
        case "DATE":
            return lambda text: date.fromisoformat(_held(_DATE, text)), pa.date32()
        case "TIMESTAMP":
            return _moment, pa.timestamp("us")
        case _:
            pass
    decimal = _DECIMAL.fullmatch(kind)
    if decimal is None:
        return None
    digits, scale = int(decimal[1]), int(decimal[2])
    return lambda text: _decimal(text, digits, scale), pa.decimal128(digits, scale)


def _held(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise _Unread
    return text


def _integer(text: str, limit: int) -> int:
    value = int(_held(_INT, text))
    if not -limit <= value < limit:
        raise _Unread
    return value


def _boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise _Unread
    return text == "true"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(_held(_MOMENT, text))


def _decimal(text: str, digits: int, scale: int) -> Decimal:
    value = Decimal(_held(_NUMBER, text))
    exact = value.quantize(Decimal(1).scaleb(-scale))
    if exact != value or len(exact.as_tuple().digits) > digits:
        raise _Unread
    return exact
