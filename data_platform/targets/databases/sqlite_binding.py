"""Values of Arrow as SQLite keeps them: numbers and bytes as they are, times and decimals exactly.

Called by `targets.databases.sqlite`. What SQLite can't hold is an error that names the column and
what to do: it would be kept as something else, without a word.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportAttributeAccessIssue=false
# pyarrow comes without types.

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data_platform.errors import StorageError
from data_platform.plan.destinations.sqlite_types import kept_as_text

_FIRST, _LAST = date(1, 1, 1), date(9999, 12, 31)


def bindable(array: pa.Array, column: str, what: str) -> list[Any]:
    """Values as the driver takes them.

    Args:
        array: of one column.
        column: its name.
        what: is loaded, for messages.

    Raises:
        StorageError: SQLite can't hold one of them.
    """
    kind = array.type
    for is_kind, bound in _BOUND:
        if is_kind(kind):
            try:
                return bound(array)
            except _Unheld as error:
                raise StorageError(f"{what}: column {column} holds {error}") from None
    return array.to_pylist()


class _Unheld(Exception):
    """A value that SQLite can't hold, and what to do."""


def _floats(array: pa.Array) -> list[Any]:
    if pc.any(pc.is_nan(array)).as_py():
        raise _Unheld(
            "NaN, which SQLite makes NULL of: make it NULL before, such as by "
            "CASE WHEN isnan(x) THEN NULL ELSE x END"
        )
    return array.to_pylist()


def _decimals(array: pa.Array) -> list[Any]:
    precision, scale = array.type.precision, array.type.scale
    if kept_as_text(precision, scale):
        return [None if value is None else f"{value:f}" for value in array.to_pylist()]
    # A quotient of two exact numbers is the nearest double, so it reads back as these digits. A
    # text would be parsed by SQLite, which is off by a little now and then.
    power = pa.scalar(Decimal(10**scale), pa.decimal128(scale + 1, 0))
    digits = pc.multiply(array, power).cast(pa.int64())
    if scale == 0:
        return digits.to_pylist()
    return pc.divide(digits.cast(pa.float64()), 10.0**scale).to_pylist()


def _dates(array: pa.Array) -> list[Any]:
    _require_within(array, pa.scalar(_FIRST), pa.scalar(_LAST))
    return array.cast(pa.string()).to_pylist()


def _timestamps(array: pa.Array) -> list[Any]:
    zone = array.type.tz
    plain = array.cast(pa.timestamp("us", "UTC")) if zone else array.cast(pa.timestamp("us"))
    tz = UTC if zone else None
    first = datetime(1, 1, 1, tzinfo=tz)
    last = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=tz)
    _require_within(plain, pa.scalar(first, plain.type), pa.scalar(last, plain.type))
    if not zone:
        return plain.cast(pa.string()).to_pylist()
    # As every Python writes a moment in UTC, and as SQLite's own functions read it.
    texts = plain.cast(pa.timestamp("us")).cast(pa.string())
    return pc.binary_join_element_wise(texts, "+00:00", "").to_pylist()


def _require_within(array: pa.Array, first: pa.Scalar, last: pa.Scalar) -> None:
    found = pc.min_max(array)
    low, high = found["min"], found["max"]
    if low.is_valid and (pc.less(low, first).as_py() or pc.greater(high, last).as_py()):
        raise _Unheld("a time before the year 1 or after 9999, which SQLite has no text for")


def _lists(array: pa.Array) -> list[Any]:
    try:
        return [None if value is None else _json(value) for value in array.to_pylist()]
    except ValueError:
        raise _Unheld("NaN or infinity in a list, which JSON has no word for") from None


def _json(value: Any) -> str:
    return json.dumps(value, default=_in_json, ensure_ascii=False, allow_nan=False)


def _in_json(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


_BOUND: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], list[Any]]], ...] = (
    (pa.types.is_floating, _floats),
    (pa.types.is_decimal, _decimals),
    (pa.types.is_date, _dates),
    (pa.types.is_timestamp, _timestamps),
    (pa.types.is_list, _lists),
)
