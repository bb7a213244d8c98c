"""How far an incremental source got, as it is committed with a batch, and from where it is read on.

Pure. Called by `sources/` for the value from which rows are asked, and by `raw.increments`, which
computes the next position from the rows that came.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from data_platform.errors import ContractError
from data_platform.plan.sources.kinds import Increments

Watermark = date | datetime | int | float | Decimal | str
"""A value of a cursor. A time with a zone is in UTC."""
Position = Mapping[str, Any]
"""As JSON keeps it: `watermark`, the DuckDB `type` of it, and the `cursor` and `start` of the
declaration that it was read by."""

ZONED, UNZONED = "TIMESTAMP WITH TIME ZONE", "TIMESTAMP"
_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT"})
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_ISO = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:(?P<between>[T ])(?P<time>\d\d:\d\d:\d\d)"
    r"(?P<fraction>\.\d+)?(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?)?"
)


def lower_bound(increments: Increments, position: Position | None) -> Watermark | None:
    """The value of the cursor from which on rows are read, itself included.

    Args:
        increments: as declared.
        position: of the newest batch; None on a first run.

    Returns:
        The watermark less the lookback; `start` on a first run and where `cursor` or `start` are
        others than those of the position; None at the beginning.

    Raises:
        ContractError: the lookback isn't one for the cursor's type.
    """
    if increments.cursor is None:
        return None
    if goes_on(increments, position):
        watermark = watermark_of(position)
        if watermark is not None:
            return _less(watermark, increments)
    return None if increments.start is None else _start(increments.start)


def goes_on(increments: Increments, position: Position | None) -> bool:
    """Whether a position is one of this declaration, so that reading goes on from there."""
    return (
        position is not None
        and position.get("cursor", increments.cursor) == increments.cursor
        and position.get("start", increments.start) == increments.start
    )


def watermark_of(position: Position | None) -> Watermark | None:
    """The greatest cursor that was landed, with its type.

    A position that doesn't say its type is told by its text.
    """
    value = (position or {}).get("watermark")
    if value is None:
        return None
    kind = str((position or {}).get("type", ""))
    if not kind:
        return _start(value)
    if kind == "DATE":
        return date.fromisoformat(value)
    if kind in {ZONED, UNZONED}:
        return datetime.fromisoformat(value)
    if kind in _INTEGERS:
        return int(value)
    if kind in _FLOATS:
        return float(value)
    return Decimal(value) if kind.startswith("DECIMAL") else str(value)


def position_of(increments: Increments, watermark: Watermark | None, kind: str) -> dict[str, Any]:
    """What is committed with a batch.

    Args:
        increments: as declared.
        watermark: the greatest cursor; None where no row has come yet.
        kind: DuckDB's type of the cursor.
    """
    return {
        "cursor": increments.cursor,
        "start": increments.start,
        "type": kind,
        "watermark": None if watermark is None else written(watermark),
    }


def written(watermark: Watermark) -> str | int | float:
    """A watermark as JSON keeps it: exact, times in ISO 8601."""
    if isinstance(watermark, datetime):
        zoned = watermark.astimezone(UTC) if watermark.tzinfo else watermark
        return zoned.isoformat()
    if isinstance(watermark, date):
        return watermark.isoformat()
    return str(watermark) if isinstance(watermark, Decimal) else watermark


def _start(value: float | str) -> Watermark:
    """A value that a person wrote, or whose type nobody noted: a text may be a date or a time."""
    if not isinstance(value, str) or not _ISO.fullmatch(value):
        return value
    try:
        if len(value) == len("2024-01-31"):
            return date.fromisoformat(value)
        return datetime.fromisoformat(value)
    except ValueError:
        return value


def _less(watermark: Watermark, increments: Increments) -> Watermark | None:
    lookback = increments.lookback
    if lookback is None:
        return watermark
    try:
        if isinstance(lookback, timedelta):
            return _earlier(watermark, lookback, increments)
    except OverflowError:
        return None
    if isinstance(watermark, date | str):
        raise _no_lookback(increments, "a duration, such as 2h")
    return watermark - lookback


def _earlier(watermark: Watermark, lookback: timedelta, increments: Increments) -> Watermark:
    if isinstance(watermark, datetime):
        return watermark - lookback
    if isinstance(watermark, date):
        # Days are whole: an hour before a day is the day before.
        return (datetime.combine(watermark, time()) - lookback).date()
    if not isinstance(watermark, str):
        raise _no_lookback(increments, "a number")
    found = _ISO.fullmatch(watermark)
    if found is None:
        raise ContractError(
            f"the cursor {increments.cursor} is a text, and {watermark!r} is no time in ISO 8601: "
            "name its type under `columns`, or leave `lookback` out"
        )
    return _earlier_text(found, lookback)


def _earlier_text(found: re.Match[str], lookback: timedelta) -> str:
    """An earlier time in the very form of a text, so that both are in the order of their texts."""
    day, between, clock, fraction, zone = found.groups("")
    if not clock:
        return (datetime.fromisoformat(day) - lookback).date().isoformat()
    whole = datetime.fromisoformat(f"{day}T{clock}") - lookback
    return f"{whole:%Y-%m-%d}{between}{whole:%H:%M:%S}{fraction}{zone}"


def _no_lookback(increments: Increments, wanted: str) -> ContractError:
    return ContractError(
        f"lookback {increments.lookback} doesn't fit the cursor {increments.cursor}: "
        f"it must be {wanted}"
    )
