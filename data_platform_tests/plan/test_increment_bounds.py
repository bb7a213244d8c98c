"""Watermarks: exact on their way through a commit, and less the lookback."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from data_platform.errors import ContractError
from data_platform.plan.sources.increments import Watermark, lower_bound, position_of, watermark_of
from data_platform.plan.sources.kinds import Increments

EASTERN = timezone(timedelta(hours=-5))
LAST_MICROSECOND = datetime.fromisoformat("2024-01-31T23:59:59.999999")
FIRST_MOMENT = datetime.fromisoformat("0001-01-01")


def growing(
    lookback: timedelta | int | None = None, start: float | str | None = None
) -> Increments:
    return Increments("at", ("id",), "latest", lookback, start)


def bound_after(
    watermark: Watermark | None, kind: str, lookback: timedelta | int | None = None
) -> Watermark | None:
    """The bound that comes of a watermark on its way through a commit."""
    increments = growing(lookback)
    position = json.loads(json.dumps(position_of(increments, watermark, kind)))
    return lower_bound(increments, position)


@pytest.mark.parametrize(
    ("watermark", "kind"),
    [
        (LAST_MICROSECOND, "TIMESTAMP"),
        (datetime(2024, 1, 31, 23, 59, 59, 1, UTC), "TIMESTAMP WITH TIME ZONE"),
        (FIRST_MOMENT, "TIMESTAMP"),
        (date(2024, 2, 29), "DATE"),
        (0, "INTEGER"),
        (2**63 - 1, "BIGINT"),
        (10**37, "DECIMAL(38,0)"),
        (Decimal("12345678901234567890.123456789"), "DECIMAL(38,9)"),
        (Decimal("0.10"), "DECIMAL(4,2)"),
        (0.1 + 0.2, "DOUBLE"),
        ("2024-01-31", "VARCHAR"),
        ("ünï", "VARCHAR"),
    ],
)
def test_a_watermark_is_exact(watermark: Watermark, kind: str) -> None:
    found = bound_after(watermark, kind)
    assert found == watermark
    assert isinstance(found, type(watermark) | Decimal)


def test_a_time_with_a_zone_is_the_same_moment() -> None:
    found = bound_after(datetime(2024, 1, 31, 20, tzinfo=EASTERN), "TIMESTAMP WITH TIME ZONE")
    assert found == datetime(2024, 2, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("watermark", "kind", "lookback", "expected"),
    [
        (
            datetime.fromisoformat("2024-03-01T01:00"),
            "TIMESTAMP",
            timedelta(hours=2),
            datetime.fromisoformat("2024-02-29T23:00"),
        ),
        (date(2024, 3, 1), "DATE", timedelta(days=1), date(2024, 2, 29)),
        (date(2024, 3, 1), "DATE", timedelta(hours=1), date(2024, 2, 29)),
        (100, "BIGINT", 7, 93),
        (Decimal("1.5"), "DECIMAL(4,1)", 1, Decimal("0.5")),
        ("2024-03-01T00:30:00.250Z", "VARCHAR", timedelta(hours=1), "2024-02-29T23:30:00.250Z"),
        ("2024-03-01 00:30:00+02:00", "VARCHAR", timedelta(hours=1), "2024-02-29 23:30:00+02:00"),
        ("2024-03-01", "VARCHAR", timedelta(days=1), "2024-02-29"),
        (FIRST_MOMENT, "TIMESTAMP", timedelta(days=1), None),
    ],
)
def test_the_lookback_goes_before_the_watermark(
    watermark: Watermark, kind: str, lookback: timedelta | int, expected: Watermark | None
) -> None:
    assert bound_after(watermark, kind, lookback) == expected


@pytest.mark.parametrize(
    ("watermark", "kind", "lookback", "message"),
    [
        (7, "BIGINT", timedelta(hours=1), "lookback 1:00:00 doesn't fit .*: it must be a number"),
        (date(2024, 1, 1), "DATE", 7, "lookback 7 doesn't fit the cursor at: it must be a dura"),
        ("x7", "VARCHAR", 7, "it must be a duration, such as 2h"),
        ("x7", "VARCHAR", timedelta(hours=1), "'x7' is no time in ISO 8601: name its type"),
    ],
)  # fmt: skip
def test_a_lookback_of_another_kind_is_told(
    watermark: Watermark, kind: str, lookback: timedelta | int, message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        bound_after(watermark, kind, lookback)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (None, None),
        ("2024-01-31", date(2024, 1, 31)),
        ("2024-01-31T10:00:00Z", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-13-31", "2024-13-31"),
        (0, 0),
        (1.5, 1.5),
    ],
)
def test_a_first_run_begins_at_the_start(
    start: float | str | None, expected: Watermark | None
) -> None:
    assert lower_bound(growing(timedelta(hours=1), start), None) == expected
    nothing_yet = position_of(growing(start=start), None, "DATE")
    assert lower_bound(growing(start=start), nothing_yet) == expected


def test_another_start_or_cursor_reads_again_from_there() -> None:
    position = position_of(growing(), 100, "BIGINT")
    assert lower_bound(growing(), position) == 100
    assert lower_bound(growing(start=10), position) == 10
    other = Increments("changed", ("id",), "latest", None, None)
    assert lower_bound(other, position) is None


def test_a_position_of_offsets_has_no_bound() -> None:
    assert lower_bound(Increments(None, (), "history"), {"offsets": {"0": 7}}) is None


@pytest.mark.parametrize(
    ("watermark", "expected"),
    [(7, 7), ("2024-01-31", date(2024, 1, 31)), ("a", "a"), (None, None)],
)
def test_a_position_without_a_type_is_told_by_its_text(
    watermark: float | str | None, expected: Watermark | None
) -> None:
    assert watermark_of({"watermark": watermark}) == expected
