"""Whether an asset's data is as new as was promised, by what is published and a clock.

Asked by `instance.freshness` for Dagster, by `automation` for who rebuilds what is stale, and by
`observability.status` for the command: so that all of them say the same. Pure: the moment is an
argument.

**Where the clock starts.** Of an asset with partitions of time at the end of the first due one that
comes after the newest published one; while the newest due one is the only one that lacks, that is
the end of the newest due one. A time is published when all its named values are. Nothing is due
after the partitions' `end`, so a pipeline that has ended and has its last partition is fresh for
ever. Of any other asset it starts at the last publication, one that found nothing changed included.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim

from data_platform.plan.partitions import Partitions, TimePartitions
from data_platform.plan.partitions.kinds import TIME
from data_platform.spec.automation import Freshness
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


@dataclass(frozen=True)
class Published:
    """What is published of an asset.

    Attributes:
        at: the last publication, changed or not; None means never.
        newest: of partitions of time, the newest one that has all its named values.
        lacks: of partitions by named values only, those that never were.
    """

    at: datetime | None = None
    newest: str | None = None
    lacks: tuple[str, ...] = ()


NOT_ASKED = Judgement("none")
FRESH = Judgement("pass")
NOTHING = Published()


def published_of(
    partitions: Partitions | None, keys: Iterable[str], at: datetime | None
) -> Published:
    """What the published keys of an asset come to.

    Args:
        partitions: of the asset.
        keys: what is published; those that don't exist any more are left out.
        at: the last publication.
    """
    if partitions is None:
        return Published(at)
    own = {key for key in keys if partitions.is_key(key)}
    if partitions.time is None:
        known = [] if partitions.dynamic else partitions.first_keys
        return Published(at, lacks=tuple(key for key in known if key not in own))
    values: dict[str, int] = {}
    for key in own:
        time = partitions.values_of(key)[TIME]
        values[time] = values.get(time, 0) + 1
    whole = len(partitions.first_keys)
    return Published(at, max((time for time, n in values.items() if n == whole), default=None))


def judge_freshness(
    policy: Freshness | None, partitions: Partitions | None, published: Published, now: datetime
) -> Judgement:
    """Judge an asset.

    Args:
        policy: what was promised; None means nothing.
        partitions: of the asset.
        published: what there is of it.
        now: an aware moment.
    """
    if policy is None:
        return NOT_ASKED
    time = partitions.time if partitions else None
    if policy.deadline is not None and policy.within is not None:
        deadline = _last_tick(policy.deadline, policy.timezone, now)
        if time is not None:
            return _by_deadline(time, published.newest, deadline)
        return _built_for_deadline(published, deadline, policy.within)
    if time is None:
        if trouble := _never(published):
            return Judgement("fail", trouble)
        return _aged(policy, now - (published.at or now), "published")
    missing = _first_missing(time, published.newest, now)
    if missing is None:
        return FRESH
    return _aged(policy, now - time.window(missing)[1], f"{missing} was due")


def lag_of(partitions: Partitions | None, published: Published, now: datetime) -> timedelta | None:
    """How old what lacks is: what `judge_freshness` holds against a limit.

    None where nothing was ever published and there are no partitions of time to be late with.

    Args:
        partitions: of the asset.
        published: what there is of it.
        now: an aware moment.
    """
    time = partitions.time if partitions else None
    if time is None:
        return None if _never(published) or published.at is None else now - published.at
    missing = _first_missing(time, published.newest, now)
    return now - time.window(missing)[1] if missing else timedelta(0)


def to_refresh(
    policy: Freshness, partitions: Partitions | None, published: Published, now: datetime
) -> str | None:
    """Why an asset is to be built now, in words; None where there is no need.

    It is stale, was never built, or a deadline is no further away than `within`.

    Args:
        policy: what was promised.
        partitions: of the asset.
        published: what there is of it.
        now: an aware moment.
    """
    judged = judge_freshness(policy, partitions, published, now)
    if judged.state in {"warn", "fail"}:
        return judged.reason
    time = partitions.time if partitions else None
    if time is not None and published.newest is None and time.newest_due(now) is not None:
        return "never published"
    if policy.deadline is None or policy.within is None:
        return None
    deadline = next_tick(policy.deadline, policy.timezone, now)
    if now < deadline - policy.within:
        return None
    if time is not None and time.newest_due(deadline) != time.newest_due(now):
        return None
    ahead = judge_freshness(policy, partitions, published, deadline)
    return None if ahead.state == "pass" else f"due by {_moment(deadline)}"


def next_tick(cron: str, timezone: str, now: datetime) -> datetime:
    """The first moment of a cron expression after `now`."""
    return next(CronSim(cron, now.astimezone(ZoneInfo(timezone))))


def _aged(policy: Freshness, age: timedelta, what: str) -> Judgement:
    reason = f"{what} {duration_words(_rounded(age))} ago"
    if policy.fail_after is not None and age > policy.fail_after:
        return Judgement("fail", f"{reason}, later than {duration_words(policy.fail_after)}")
    if policy.warn_after is not None and age > policy.warn_after:
        return Judgement("warn", f"{reason}, later than {duration_words(policy.warn_after)}")
    return FRESH


def _by_deadline(time: TimePartitions, newest: str | None, deadline: datetime) -> Judgement:
    due = time.newest_due(deadline)
    if due is None or (newest is not None and newest >= due):
        return FRESH
    return Judgement("fail", f"{due} was to be there by {_moment(deadline)}")


def _built_for_deadline(published: Published, deadline: datetime, within: timedelta) -> Judgement:
    if trouble := _never(published) if published.lacks else None:
        return Judgement("fail", trouble)
    if published.at is not None and published.at >= deadline - within:
        return FRESH
    least = _moment(deadline - within)
    return Judgement("fail", f"not published between {least} and {_moment(deadline)}, nor since")


def _never(published: Published) -> str | None:
    if published.at is None:
        return "never published"
    return f"{', '.join(published.lacks)} never published" if published.lacks else None


def _first_missing(time: TimePartitions, newest: str | None, now: datetime) -> str | None:
    """The first due partition after the newest published one; keys sort as their times do."""
    last = time.newest_due(now)
    if last is None or (newest is not None and newest >= last):
        return None
    return time.first_key if newest is None else time.following(newest)


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
