"""Where partitions of time begin: on the dates of a calendar, or with each hour.

Used by `plan.partitions.times`, which asks both the same questions about begins: dates of the one,
moments in UTC of the other.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Begin = date | datetime
"""What a partition begins with: a local day, or a moment in UTC."""
Dated = Literal["day", "week", "month"]
_HOUR_KEY = "%Y-%m-%d-%H:%M"
_HOUR_LENGTH = len("2024-03-31-05:00")
_HOUR, _TICK = timedelta(hours=1), timedelta(microseconds=1)


@dataclass(frozen=True)
class Dates:
    """Days, weeks or months of a zone; each begins at midnight, also one that the clocks skip.

    Attributes:
        every: how long they are.
        zone: whose midnight it is.
        weekday: with which weeks begin; Monday is 0.
    """

    every: Dated
    zone: ZoneInfo
    weekday: int

    def parsed(self, key: str) -> date:
        """The begin of a key; ValueError where it is none."""
        day = date.fromisoformat(key)
        if day.isoformat() != key or self._floor(day) != day:
            raise ValueError(key)
        return day

    def key(self, begin: date) -> str:
        """The key of what begins so."""
        return begin.isoformat()

    def moment(self, begin: date) -> datetime:
        """The begin as a moment in UTC."""
        return datetime.combine(begin, time(), self.zone).astimezone(UTC)

    def at(self, moment: datetime) -> date:
        """The begin of what an aware moment belongs to."""
        begin = self._floor(moment.astimezone(self.zone).date())
        # Where clocks are put back over midnight, the day before is shown once more.
        following = self.next(begin)
        return following if moment >= self.moment(following) else begin

    def next(self, begin: date) -> date:
        """What comes after it."""
        match self.every:
            case "day":
                return begin + timedelta(days=1)
            case "week":
                return begin + timedelta(days=7)
            case "month":
                return self._floor(begin + timedelta(days=31))

    def previous(self, begin: date) -> date:
        """What comes before it."""
        return self._floor(begin - timedelta(days=1))

    def _floor(self, day: date) -> date:
        match self.every:
            case "day":
                return day
            case "week":
                return day - timedelta(days=(day.weekday() - self.weekday) % 7)
            case "month":
                return day.replace(day=1)


@dataclass(frozen=True)
class Hours:
    """Hours of a zone, each 3,600 seconds long.

    They begin when the zone's clocks show a full hour; where these are put by half an hour, as on
    Lord Howe Island, they show half past until they are put back.

    Attributes:
        zone: whose clocks they are.
        first: a moment in UTC at which one begins.
    """

    zone: ZoneInfo
    first: datetime

    def parsed(self, key: str) -> datetime:
        """The begin of a key; ValueError where it is none."""
        if len(key) > _HOUR_LENGTH:
            begin = datetime.strptime(key, f"{_HOUR_KEY}%z").astimezone(UTC)
        else:
            local = datetime.strptime(f"{key}+0000", f"{_HOUR_KEY}%z")
            begin = local.replace(tzinfo=self.zone).astimezone(UTC)
        if self.key(begin) != key or self.at(begin) != begin:
            raise ValueError(key)
        return begin

    def key(self, begin: datetime) -> str:
        """The key of what begins so: the second of two with one name has its offset besides."""
        local = begin.astimezone(self.zone)
        return local.strftime(f"{_HOUR_KEY}%z" if local.fold else _HOUR_KEY)

    def moment(self, begin: datetime) -> datetime:
        """The begin as a moment in UTC."""
        return begin

    def at(self, moment: datetime) -> datetime:
        """The begin of what an aware moment belongs to."""
        return self.first + (moment - self.first) // _HOUR * _HOUR

    def next(self, begin: datetime) -> datetime:
        """What comes after it."""
        return begin + _HOUR

    def previous(self, begin: datetime) -> datetime:
        """What comes before it."""
        return begin - _HOUR


def latest_shown(moment: datetime, zone: ZoneInfo) -> datetime:
    """The latest time that a zone's clocks have shown when a moment begins, without a zone.

    It is what they show, unless they were put back and haven't caught up; of a moment at which they
    are put, what they would have shown.
    """
    before = (moment - _TICK).astimezone(zone)
    if before.fold:
        early, late = before.replace(fold=0).astimezone(UTC), before.astimezone(UTC)
        offset = early.astimezone(zone).utcoffset()
        while late - early > _TICK:
            middle = early + (late - early) // 2
            if middle.astimezone(zone).utcoffset() == offset:
                early = middle
            else:
                late = middle
        before = early.astimezone(zone)
    return before.replace(tzinfo=None, fold=0) + _TICK
