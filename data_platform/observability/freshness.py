"""Whether an asset's data is as new as was promised, by what is published and a clock.

Called by `observability.status`, and by whoever alerts. Pure: the moment is an argument.

**Where the clock starts.** Of a partitioned asset at the end of the first due partition that comes
after the newest published one; while the newest due partition is the only one that lacks, that is
the end of the newest due partition. Nothing is due after the partitions' `end`, so a pipeline that
has ended and has its last partition is fresh for ever. Of an asset without partitions it starts at
the last publication, one that found nothing changed included.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim

from data_platform.plan.partitions import TimePartitions
from data_platform.spec.asset import Freshness
from data_platform.spec.times import duration_words

State = Literal["pass", "warn", "fail", "none"]


@dataclass(frozen=True)
class Judgement:
    """How fresh an asset is.

    Attributes:
        state: `none` where nobody promised anything.
        reason: why it isn't `pass`, in words.
    """

    state: State
    reason: str | None = None


NOT_ASKED = Judgement("none")
FRESH = Judgement("pass")


def judge_freshness(
    policy: Freshness | None,
    partitions: TimePartitions | None,
    newest: str | None,
    published_at: datetime | None,
    now: datetime,
) -> Judgement:
    """Judge an asset.

    Args:
        policy: what was promised; None means nothing.
        partitions: of the asset.
        newest: the key of its newest published partition, where it has partitions.
        published_at: when it was published last, changed or not; None means never.
        now: an aware moment.
    """
    if policy is None:
        return NOT_ASKED
    if policy.deadline is not None and policy.within is not None:
        deadline = _last_tick(policy.deadline, policy.timezone, now)
        if partitions is not None:
            return _by_deadline(partitions, newest, deadline)
        return _built_for_deadline(published_at, deadline, policy.within)
    if partitions is None:
        if published_at is None:
            return Judgement("fail", "never published")
        return _aged(policy, now - published_at, "published")
    missing = _first_missing(partitions, newest, now)
    if missing is None:
        return FRESH
    return _aged(policy, now - partitions.window(missing)[1], f"{missing} was due")


def _aged(policy: Freshness, age: timedelta, what: str) -> Judgement:
    reason = f"{what} {duration_words(_rounded(age))} ago"
    if policy.fail_after is not None and age > policy.fail_after:
        return Judgement("fail", f"{reason}, later than {duration_words(policy.fail_after)}")
    if policy.warn_after is not None and age > policy.warn_after:
        return Judgement("warn", f"{reason}, later than {duration_words(policy.warn_after)}")
    return FRESH


def _by_deadline(partitions: TimePartitions, newest: str | None, deadline: datetime) -> Judgement:
    due = partitions.newest_due(deadline)
    if due is None or (newest is not None and newest >= due):
        return FRESH
    return Judgement("fail", f"{due} was to be there by {_moment(deadline)}")


def _built_for_deadline(
    published_at: datetime | None, deadline: datetime, within: timedelta
) -> Judgement:
    if published_at is not None and published_at >= deadline - within:
        return FRESH
    least = _moment(deadline - within)
    return Judgement("fail", f"not published between {least} and {_moment(deadline)}, nor since")


def _first_missing(partitions: TimePartitions, newest: str | None, now: datetime) -> str | None:
    """The first due partition after the newest published one; keys sort as their times do."""
    last = partitions.newest_due(now)
    if last is None or (newest is not None and newest >= last):
        return None
    return next(key for key in partitions.due(now) if newest is None or key > newest)


def _last_tick(cron: str, timezone: str, now: datetime) -> datetime:
    """The last moment of a cron expression up to `now`, itself included."""
    local = now.astimezone(ZoneInfo(timezone)) + timedelta(seconds=1)
    return next(CronSim(cron, local, reverse=True))


def _rounded(age: timedelta) -> timedelta:
    """To whole units, for words."""
    for length in (86_400, 3_600, 60):
        if age.total_seconds() >= 2 * length:
            return timedelta(seconds=int(age.total_seconds()) // length * length)
    return timedelta(seconds=int(age.total_seconds()))


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M %Z}"
