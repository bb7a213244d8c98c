"""Which files are late: pure decisions about what should be there by now.

Asked by the sensor of files, for what it finds, and by `status`, for what is published.
"""

from collections.abc import Container
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from data_platform.plan.partitions import Partitions

LOOKED_BACK = 31
"""Partitions of time that are looked at: what never came long ago is nobody's news."""


def late_partitions(
    partitions: Partitions, deadline: timedelta, there: Container[str], now: datetime
) -> list[str]:
    """The newest due partitions that aren't there a deadline after their end.

    Args:
        partitions: of the source; those that aren't of time are never due.
        deadline: after the end of a partition.
        there: keys that are.
        now: aware.
    """
    if partitions.time is None:
        return []
    newest = partitions.time.newest_due(now - deadline)
    if newest is None:
        return []
    times = partitions.time.trailing(newest, LOOKED_BACK)
    wanted = partitions.within(times[0], partitions.time.following(times[-1]), now)
    return [key for key in wanted if key not in there]


def late_since(
    cron: str | None, timezone: str, deadline: timedelta, newest: datetime | None, now: datetime
) -> datetime | None:
    """Since when a file of a source without partitions has been late; None where it isn't.

    With a schedule each tick wants a file that came after the tick before; without one the
    deadline counts from the last that came, and nothing is known before the first.

    Args:
        cron: of the schedule, if there is one.
        timezone: of the cron's hours and days.
        deadline: after a tick, or after the last file.
        newest: when the newest file was changed, or landed; aware.
        now: aware.
    """
    if cron is None:
        due = newest + deadline if newest is not None else None
        return due if due is not None and due < now else None
    local = (now - deadline).astimezone(ZoneInfo(timezone))
    ticks = CronSim(cron, local, reverse=True)
    tick, before = next(ticks), next(ticks)
    return tick + deadline if newest is None or newest < before else None
