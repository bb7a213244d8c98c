"""One cause for all that it holds up: which asset the others wait for.

Called by `overview`. Pure: told from how assets stand and what failed. The cause of an asset that
isn't as it should be is the nearest one above it in which something began: a failure, a source that
can't be read. Where nothing did, it is the topmost one that is late or lacks partitions.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from data_platform.observability.failures import Cause, Failure, Level
from data_platform.observability.late_files import late_words
from data_platform.observability.status import AssetStatus
from data_platform.plan.keys import Key
from data_platform.plan.naming import LAST_GOOD
from data_platform.plan.nodes import AnyNode
from data_platform.plan.pipelines import Plan

_LEVELS: Sequence[Level] = ("red", "yellow", "green", "off")
_CRITICALITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True)
class _Standing:
    """What is known of all assets that are asked about.

    Attributes:
        plan: of all pipelines.
        of: how assets stand, by key.
        failures: what failed and wasn't built since, of all assets.
        now: an aware moment.
    """

    plan: Plan
    of: Mapping[Key, AssetStatus]
    failures: Mapping[Key, Failure]
    now: datetime


def causes_of(
    plan: Plan,
    statuses: Sequence[AssetStatus],
    failures: Mapping[Key, Failure],
    now: datetime,
) -> list[Cause]:
    """The causes of what isn't as it should be, the worst first.

    Args:
        plan: of all pipelines.
        statuses: how assets stand that are asked about.
        failures: what failed and wasn't built since, of all assets.
        now: an aware moment.
    """
    asked = {one.key: replace(one, failure=failures.get(one.key)) for one in statuses}
    standing = _Standing(plan, asked, failures, now)
    began = {key: failed_words(one, now) for key, one in failures.items() if one.own}
    for status in asked.values():
        if (text := _begins(status)) is not None:
            began.setdefault(status.key, text)
    waiting = _behind(standing, began)
    told = {*began, *(key for keys in waiting.values() for key in keys)}
    for status in asked.values():
        text = _own_words(status, now)
        if text is not None and status.key not in told:
            began[status.key], waiting[status.key] = text, []
    # What somebody disabled is no trouble by itself.
    disabled = {key for key, one in asked.items() if one.level == "off"}
    found = [
        _cause(standing, key, text, waiting[key])
        for key, text in began.items()
        if (key in asked and key not in disabled) or waiting[key]
    ]
    return sorted(found, key=lambda cause: _rank(standing, cause))


def with_causes(
    statuses: Sequence[AssetStatus], causes: Sequence[Cause], failures: Mapping[Key, Failure]
) -> list[AssetStatus]:
    """How assets stand, each with what failed of it and what it waits for."""
    of = {key: cause for cause in causes for key in (cause.key, *cause.waiting)}
    return [replace(one, failure=failures.get(one.key), cause=of.get(one.key)) for one in statuses]


def in_trouble(status: AssetStatus) -> bool:
    """Whether an asset is late, failed, or lacks partitions that are due."""
    late = status.freshness.state in {"warn", "fail"}
    return late or status.failure is not None or status.published < status.due


def ago_words(age: timedelta) -> str:
    """A time in its greatest unit, such as `3 h ago`."""
    seconds = max(0, int(age.total_seconds()))
    units = (("d", 86_400), ("h", 3_600), ("min", 60))
    for unit, length in units:
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return "just now"


def failed_words(failure: Failure, now: datetime) -> str:
    """That an asset failed, when and why."""
    reason = f" ({failure.reason})" if failure.reason else ""
    return f"failed {ago_words(now - failure.at)}{reason}"


# Who waits for whom ---------------------------------------------------------------------------


def _behind(standing: _Standing, began: dict[Key, str]) -> dict[Key, list[Key]]:
    """The assets behind each cause; adds to `began` those that wait for none and hold up others."""
    troubled = {
        key: status
        for key, status in standing.of.items()
        if key not in began and in_trouble(status)
    }
    rootless: dict[Key, AssetStatus] = {}
    waiting: dict[Key, list[Key]] = {key: [] for key in began}
    for key, status in troubled.items():
        root = _nearest(standing.plan, key, began.__contains__)
        if root is not None:
            waiting[root].append(key)
        elif _lags(status):
            rootless[key] = status
    tops = {
        key: status
        for key, status in rootless.items()
        if _nearest(standing.plan, key, rootless.__contains__) is None
    }
    for key, status in tops.items():
        began[key], waiting[key] = _lag_words(status, standing.now), []
    for key in rootless.keys() - tops.keys():
        top = _nearest(standing.plan, key, tops.__contains__)
        if top is not None:
            waiting[top].append(key)
    return waiting


def _nearest(plan: Plan, start: Key, is_one: Callable[[Key], bool]) -> Key | None:
    """The nearest asset above one that is one of some."""
    seen, ahead = {start}, deque([start])
    while ahead:
        for given in _above(plan.get(ahead.popleft())):
            if is_one(given) and given != start:
                return given
            if given not in seen:
                seen.add(given)
                ahead.append(given)
    return None


def _above(node: AnyNode | None) -> list[Key]:
    return [given.key for given in (*node.inputs, *node.after)] if node is not None else []


# What is wrong --------------------------------------------------------------------------------


def _begins(status: AssetStatus) -> str | None:
    """What is wrong with an asset by itself though it didn't fail; None where nothing is."""
    facts = status.facts
    if facts.unknown:
        return facts.unknown
    if LAST_GOOD in (*facts.failed_checks, *facts.warned_checks):
        return "its source can't be read; its last good data stand"
    if not status.enabled and status.published < status.due:
        return "disabled, nothing starts it"
    return late_words(status.late, status.late_since)


def _lags(status: AssetStatus) -> bool:
    """Whether an asset is behind, and not only by the partition that is just due."""
    late = status.freshness.state in {"warn", "fail"}
    return status.level != "off" and (late or status.lacks > 0 or status.failure is not None)


def _lag_words(status: AssetStatus, now: datetime) -> str:
    if status.freshness.state in {"warn", "fail"} and status.freshness.reason:
        return status.freshness.reason
    if status.failure is not None:
        return f"was left out of a run that failed {ago_words(now - status.failure.at)}"
    if not status.published:
        return "never published"
    return f"{status.lacks:,} of {status.due:,} partitions aren't published"


def _own_words(status: AssetStatus, now: datetime) -> str | None:
    """What checks say of an asset that is otherwise well, or of what it asks."""
    if status.level in {"off", "green"}:
        return None
    facts = status.facts
    checks = [("failed", facts.failed_checks), ("warned", facts.warned_checks)]
    told = [f"{how} {', '.join(names)}" for how, names in checks if names]
    if told:
        return "; ".join(told)
    return status.circuit or _early_words(status) or _lag_words(status, now)


def _early_words(status: AssetStatus) -> str:
    """That partitions were built too early: whoever built them believed that they were over."""
    if not status.early:
        return ""
    first, *others = status.early
    named = f"{first} and {len(others):,} more are" if others else f"{first} is"
    return f"{named} published, and not over by this machine's clock"


def _cause(standing: _Standing, key: Key, text: str, behind: Sequence[Key]) -> Cause:
    failure, status = standing.failures.get(key), standing.of.get(key)
    own: Level = status.level if status else "red"
    worst = _worst([own, *(standing.of[one].level for one in behind)])
    since = failure.at if failure else status.late_since if status else None
    waiting = sorted(behind, key=lambda one: _promises(standing.plan, one))
    run_id = failure.run_id if failure else None
    return Cause(key, text, run_id, tuple(waiting), worst, since)


def _worst(levels: Iterable[Level]) -> Level:
    return min(levels, key=_LEVELS.index)


def _promises(plan: Plan, key: Key) -> tuple[bool, int]:
    """What is asked for first: by what promises freshness, and how critical it is."""
    node = plan.get(key)
    return (node is None or node.freshness is None), _criticality(node)


def _rank(standing: _Standing, cause: Cause) -> tuple[int, int, int]:
    keys = (cause.key, *cause.waiting)
    critical = min(_criticality(standing.plan.get(key)) for key in keys)
    return _LEVELS.index(cause.level), critical, -len(cause.waiting)


def _criticality(node: AnyNode | None) -> int:
    return _CRITICALITIES.index(node.criticality) if node else len(_CRITICALITIES)
