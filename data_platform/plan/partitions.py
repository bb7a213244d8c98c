"""Time partitions: which there are, where each begins and ends, which lie before it.

Pure arithmetic on keys; Dagster's partitions definitions are built from it at the edge, and the
engine, the sources and `status` ask it the same questions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class DailyPartitions:
    """One partition a day, keyed `YYYY-MM-DD`.

    Attributes:
        start: the first day.
        end: the day after the last; None means there is no end.
        timezone: where a day begins and ends.
    """

    start: date
    end: date | None
    timezone: str

    def window(self, key: str) -> tuple[datetime, datetime]:
        """The half-open span of a partition as aware times: `start <= t < end`."""
        day = date.fromisoformat(key)
        return self._midnight(day), self._midnight(day + timedelta(days=1))

    def local_window(self, key: str) -> tuple[datetime, datetime]:
        """The same span as times of the partitions' own zone, without a zone."""
        zone = ZoneInfo(self.timezone)
        start, end = (moment.astimezone(zone).replace(tzinfo=None) for moment in self.window(key))
        return start, end

    def due(self, now: datetime) -> list[str]:
        """The keys of all partitions whose day is over at `now` (aware)."""
        return self._keys(self.start, self._first_open_day(now))

    def newest_due(self, now: datetime) -> str | None:
        """The key of the newest partition whose day is over; None where there is none yet."""
        last = self._first_open_day(now) - timedelta(days=1)
        return last.isoformat() if last >= self.start else None

    def has_ended(self, now: datetime) -> bool:
        """Whether the last partition was over a day or more before `now` (aware)."""
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        return self.end is not None and self.end < today

    def between(self, first: str, end: str) -> list[str]:
        """The keys from `first`, included, to `end`, not included, cut to what exists."""
        begin = max(date.fromisoformat(first), self.start)
        stop = date.fromisoformat(end)
        return self._keys(begin, min(stop, self.end) if self.end else stop)

    def trailing(self, key: str, count: int) -> list[str]:
        """The `count` keys that end with `key`, cut at the first partition that exists."""
        day = date.fromisoformat(key)
        return self._keys(max(self.start, day - timedelta(days=count - 1)), day + timedelta(days=1))

    def is_key(self, text: str) -> bool:
        """Whether `text` is the key of a partition, due or not."""
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return False
        return (
            day.isoformat() == text and day >= self.start and (self.end is None or day < self.end)
        )

    def contiguous(self, keys: Iterable[str]) -> list[Sequence[str]]:
        """The keys in order, split where a day is missing between two of them."""
        ranges: list[list[str]] = []
        for key in sorted(set(keys)):
            if ranges and date.fromisoformat(ranges[-1][-1]) + timedelta(
                days=1
            ) == date.fromisoformat(key):
                ranges[-1].append(key)
            else:
                ranges.append([key])
        return list(ranges)

    def _first_open_day(self, now: datetime) -> date:
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        return min(today, self.end) if self.end else today

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), ZoneInfo(self.timezone)).astimezone(UTC)

    @staticmethod
    def _keys(begin: date, stop: date) -> list[str]:
        return [(begin + timedelta(days=n)).isoformat() for n in range((stop - begin).days)]
