"""Partitions of time over ten years: the keys of Dagster, and windows that tile time.

The years 2016 to 2025 have clocks that are put by an hour and by half an hour, at midnight, in
Ramadan, and a country that changed its mind three days before.
"""

import itertools
import random
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from zoneinfo import ZoneInfo

import pytest
from reliability_report import Figures, record

from data_platform.partitioning.definitions import definition_of
from data_platform.plan.partitions import Every, Partitions, TimePartitions

START, END = date(2016, 1, 1), date(2026, 1, 1)
WEEKS_END = START + timedelta(weeks=521)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/St_Johns",
    "Africa/Casablanca",
    "Asia/Beirut",
]
HOURS = ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"]
"""Zones whose hours are compared as lists; of the others some days are."""
TICK, HOUR = timedelta(microseconds=1), timedelta(hours=1)


def ten_years(every: Every, zone: str) -> TimePartitions:
    return TimePartitions(every, START, WEEKS_END if every == "week" else END, zone)


def dagsters(time: TimePartitions) -> list[str]:
    """Dagster's keys of all that there are."""
    return list(definition_of(Partitions(time)).get_partition_keys())


def check_windows(time: TimePartitions, keys: list[str]) -> None:
    """Windows of keys that follow one another: no gap, no overlap, and `key_at` finds them."""
    windows = [time.window(key) for key in keys]
    for (_, end), (start, _) in itertools.pairwise(windows):
        assert end == start
    local = [time.local_window(key) for key in keys]
    for (start, end), (following, _) in itertools.pairwise(local):
        assert start <= end == following
    for key, (start, end) in zip(keys, windows, strict=True):
        assert start < end
        assert (time.key_at(start), time.key_at(end - TICK)) == (key, key)
        assert time.is_key(key)


def changes(zone: str) -> list[datetime]:
    """The hours after which the clocks of a zone are put, in the ten years."""
    there, day = ZoneInfo(zone), timedelta(days=1)
    days = (datetime(2016, 1, 1, tzinfo=UTC) + n * day for n in range(3652))
    return [
        one
        for one in days
        if one.astimezone(there).utcoffset() != (one + day).astimezone(there).utcoffset()
    ]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("every", ["day", "week", "month"])
def test_ten_years_of_days_weeks_and_months(every: Every, zone: str) -> None:
    time = ten_years(every, zone)
    keys = time.due(datetime(2030, 1, 1, tzinfo=UTC))
    assert keys == dagsters(time)
    check_windows(time, keys)


@pytest.mark.parametrize("zone", HOURS)
def test_ten_years_of_hours_have_dagsters_keys(zone: str) -> None:
    time = ten_years("hour", zone)
    keys = time.due(datetime(2030, 1, 1, tzinfo=UTC))
    assert keys == dagsters(time)
    assert len(keys) == (time.window(keys[-1])[1] - time.starts) / HOUR


@pytest.mark.parametrize("zone", ZONES)
def test_hours_around_each_change_of_the_clocks(zone: str) -> None:
    time = ten_years("hour", zone)
    for day in [datetime(2020, 2, 28, tzinfo=UTC), *changes(zone)[:8]]:
        first, last = time.key_at(day - 3 * HOUR), time.key_at(day + 30 * HOUR)
        keys = time.between(first, last)
        check_windows(time, keys)
        assert len(set(keys)) == len(keys) == 33


@pytest.mark.parametrize("every", ["hour", "day", "week", "month"])
def test_a_moment_is_of_one_partition(every: Every) -> None:
    chosen = random.Random(f"moments of {every}")
    for zone in ZONES:
        time = ten_years(every, zone)
        near = [day + timedelta(seconds=chosen.randrange(86_400)) for day in changes(zone)]
        span = int((datetime(2025, 12, 1, tzinfo=UTC) - time.starts).total_seconds())
        far = [time.starts + timedelta(seconds=chosen.randrange(span)) for _ in range(20)]
        for moment in [*far, *chosen.sample(near, min(len(near), 20))]:
            key = time.key_at(moment)
            start, end = time.window(key)
            assert start <= moment < end
            around = [*time.trailing(key, 3)[:-1], time.following(key)]
            assert not [one for one in around if _has(time, one, moment)]
            wall = moment.astimezone(time.zone).replace(tzinfo=None, fold=0)
            local = [one for one in [*around, key] if _has_local(time, one, wall)]
            assert local == [time.key_at(wall.replace(tzinfo=time.zone))]


def _has(time: TimePartitions, key: str, moment: datetime) -> bool:
    start, end = time.window(key)
    return start <= moment < end


def _has_local(time: TimePartitions, key: str, wall: datetime) -> bool:
    start, end = time.local_window(key)
    return start <= wall < end


@pytest.mark.campaign
@pytest.mark.skipif("not config.getoption('-m')", reason="a campaign of minutes: -m campaign")
@pytest.mark.parametrize("zone", ZONES)
def test_every_hour_of_ten_years(zone: str) -> None:
    began = monotonic()
    time = ten_years("hour", zone)
    keys = time.due(datetime(2030, 1, 1, tzinfo=UTC))
    assert keys == dagsters(time)
    check_windows(time, keys)
    outcome = f"its keys are Dagster's, and each of the {len(keys):,} begins where the last ended"
    record(Figures(f"every hour of ten years in {zone}", 1, outcome, monotonic() - began))
