"""Partitions of time: which there are, where each begins and ends, which lie before it.

Pure arithmetic on keys. A key is the local time at which its partition begins, as Dagster writes
it: `2024-03-31`, of an hour `2024-03-31-05:00`; the second of two hours with the same name, when
clocks are put back, has its offset behind it. So keys sort as their times do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from data_platform.plan.partitions.clocks import Dates, Hours, latest_shown

Every = Literal["hour", "day", "week", "month"]
LENGTHS: tuple[Every, ...] = ("hour", "day", "week", "month")
"""From the shortest to the longest."""


@dataclass(frozen=True)
class TimePartitions:
    """One partition an hour, a day, a week or a month.

    Attributes:
        every: the length of each.
        start: the local day on which the first begins; weeks begin at its weekday.
        end: the local day on which none begins any more; None means there is no end.
        timezone: whose hours and days they are.
    """

    every: Every
    start: date
    end: date | None
    timezone: str

    @property
    def first_key(self) -> str:
        """The key of the first partition."""
        return self._clock.key(self._first)

    @property
    def starts(self) -> datetime:
        """The moment at which the first partition begins, in UTC."""
        return self._clock.moment(self._first)

    @property
    def ends(self) -> datetime | None:
        """The moment at which the last partition is over, in UTC; None where there is no end."""
        return None if self.end is None else self._clock.moment(self._stop)

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.timezone)

    def window(self, key: str) -> tuple[datetime, datetime]:
        """The half-open span of a partition as aware times in UTC: `start <= t < end`."""
        begin = self._clock.parsed(key)
        return self._clock.moment(begin), self._clock.moment(self._clock.next(begin))

    def local_window(self, key: str) -> tuple[datetime, datetime]:
        """The same span as times of the partitions' own zone, without a zone.

        Each time is in the span of one partition: one that the clocks show twice in that of its
        first showing, so that a partition whose times were all shown before has an empty span.
        """
        start, end = (latest_shown(moment, self.zone) for moment in self.window(key))
        return start, end

    def due(self, now: datetime) -> list[str]:
        """The keys of all partitions that are over at `now` (aware)."""
        return list(_all_keys(self._clock, self._first, self._open(now)))

    def within(self, first: str | None, end: str | None, now: datetime) -> list[str]:
        """The keys that are over at `now` (aware), from `first` to `end`, not included.

        Args:
            first: a key or a local day; None means from the first one.
            end: a key or a local day; None means to the newest one.
            now: aware.
        """
        begin = self._first if first is None else max(self._from(first), self._first)
        stop = self._open(now)
        return _keys(self._clock, begin, stop if end is None else min(self._from(end), stop))

    def newest_due(self, now: datetime) -> str | None:
        """The key of the newest partition that is over; None where there is none yet."""
        last = self._clock.previous(self._open(now))
        return self._clock.key(last) if last >= self._first else None

    def has_ended(self, now: datetime) -> bool:
        """Whether the last partition was over a whole partition or more before `now` (aware)."""
        return self.end is not None and self._clock.at(now) > self._stop

    def between(self, first: str, end: str) -> list[str]:
        """The keys from `first`, included, to `end`, not included, cut to what exists.

        Args:
            first: a key, or a local day.
            end: a key, or a local day.
        """
        stop = self._from(end)
        return _keys(
            self._clock,
            max(self._from(first), self._first),
            stop if self.end is None else min(stop, self._stop),
        )

    def trailing(self, key: str, count: int) -> list[str]:
        """The `count` keys that end with `key`, cut at the first partition that exists."""
        begin, found = self._clock.parsed(key), list[str]()
        while len(found) < count and begin >= self._first:
            found.append(self._clock.key(begin))
            begin = self._clock.previous(begin)
        return found[::-1]

    def following(self, key: str) -> str:
        """The key of the next partition, whether it exists or not."""
        return self._clock.key(self._clock.next(self._clock.parsed(key)))

    def key_at(self, moment: datetime) -> str:
        """The key of the partition of an aware moment, whether it exists or not."""
        return self._clock.key(self._clock.at(moment))

    def overlapping(self, start: datetime, end: datetime) -> list[str]:
        """The keys of existing partitions that have a moment of a half-open span (aware).

        So a month reads the days that it contains, and a day the month that contains it.
        """
        begin = max(self._clock.at(start), self._first)
        found: list[str] = []
        while self._clock.moment(begin) < end and self._exists(begin):
            found.append(self._clock.key(begin))
            begin = self._clock.next(begin)
        return found

    def in_window(self, reader: "TimePartitions", key: str, count: int) -> list[str]:
        """The existing keys of a window that ends with a reader's partition.

        The shorter partitions are counted: of a month that reads days the last days, of a day that
        reads months those in which the last days are.

        Args:
            reader: the partitions of who reads.
            key: of it.
            count: the length of the window, its end included.
        """
        start, end = reader.window(key)
        if LENGTHS.index(self.every) > LENGTHS.index(reader.every):
            return self.overlapping(reader.begin_before(key, count - 1), end)
        own = self.overlapping(start, end)
        return self.trailing(own[-1], count) if own else []

    def begin_before(self, key: str, count: int) -> datetime:
        """The moment at which what lies `count` partitions before a key begins, there or not."""
        begin = self._clock.parsed(key)
        for _ in range(count):
            begin = self._clock.previous(begin)
        return self._clock.moment(begin)

    def is_key(self, text: str) -> bool:
        """Whether `text` is the key of a partition, due or not."""
        try:
            begin = self._clock.parsed(text)
        except (ValueError, OverflowError):
            return False
        return begin >= self._first and self._exists(begin)

    def is_moment(self, text: str) -> bool:
        """Whether `text` can bound a range: a key, or a local day, existing or not."""
        try:
            self._from(text)
        except (ValueError, OverflowError):
            return False
        return True

    def contiguous(self, keys: Iterable[str]) -> list[Sequence[str]]:
        """The keys in order, split where one is missing between two of them."""
        ranges: list[list[str]] = []
        for key in sorted(set(keys)):
            if ranges and self.following(ranges[-1][-1]) == key:
                ranges[-1].append(key)
            else:
                ranges.append([key])
        return list(ranges)

    @cached_property
    def _clock(self) -> Any:
        """Where partitions begin; its begins are dates or moments, and are compared only."""
        if self.every == "hour":
            return Hours(self.zone, Dates("day", self.zone, 0).moment(self.start))
        return Dates(self.every, self.zone, self.start.weekday())

    @cached_property
    def _first(self) -> Any:
        return self._from(self.start.isoformat())

    @cached_property
    def _stop(self) -> Any:
        """The first begin that doesn't exist any more."""
        if self.end is None:
            raise AssertionError(self)
        return self._from(self.end.isoformat())

    def _exists(self, begin: Any) -> bool:
        return self.end is None or begin < self._stop

    def _from(self, text: str) -> Any:
        """The begin of a key, or the first one on or after a local day."""
        try:
            return self._clock.parsed(text)
        except ValueError:
            midnight = Dates("day", self.zone, 0).moment(date.fromisoformat(text))
            begin = self._clock.at(midnight)
            return begin if self._clock.moment(begin) >= midnight else self._clock.next(begin)

    def _open(self, now: datetime) -> Any:
        """The first begin whose partition isn't over at `now`, or doesn't exist any more."""
        begin = self._clock.at(now)
        return begin if self.end is None else min(begin, self._stop)


def _keys(clock: Dates | Hours, begin: Any, stop: Any) -> list[str]:
    found: list[str] = []
    while begin < stop:
        found.append(clock.key(begin))
        begin = clock.next(begin)
    return found


@lru_cache(maxsize=8)
def _all_keys(clock: Dates | Hours, begin: Any, stop: Any) -> tuple[str, ...]:
    """Kept, since thousands of assets that have the same partitions ask in a row."""
    return tuple(_keys(clock, begin, stop))
