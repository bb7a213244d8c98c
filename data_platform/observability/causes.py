"""One cause for all that it holds up: which failed asset the others wait for.

Called by the command's `status` and `why`. Pure: told from how assets stand and what failed.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from data_platform.observability.failures import Cause, Failure
from data_platform.observability.late_files import late_words
from data_platform.observability.status import AssetStatus
from data_platform.plan.keys import Key
from data_platform.plan.naming import LAST_GOOD
from data_platform.plan.nodes import AnyNode, Plan


def causes_of(
    plan: Plan,
    statuses: Sequence[AssetStatus],
    failures: Mapping[Key, Failure],
    now: datetime,
) -> list[Cause]:
    """The causes of what isn't as it should be, those that hold up most first.

    Args:
        plan: of all pipelines.
        statuses: how assets stand that are asked about.
        failures: what failed and wasn't built since, of all assets.
        now: an aware moment.
    """
    began = {key: failed_words(one, now) for key, one in failures.items() if one.own}
    for status in statuses:
        text = _begins(status)
        if text is not None:
            began.setdefault(status.key, text)
    waiting: dict[Key, list[Key]] = {key: [] for key in began}
    for status in statuses:
        if status.key not in began and in_trouble(status, failures.get(status.key)):
            root = _root(plan, status.key, began)
            if root is not None:
                waiting[root].append(status.key)
    asked = {status.key for status in statuses}
    # What somebody disabled is no trouble by itself.
    disabled = {status.key for status in statuses if not status.enabled} - failures.keys()
    found = [
        Cause(key, text, failures[key].run_id if key in failures else None, tuple(waiting[key]))
        for key, text in began.items()
        if (key in asked and key not in disabled) or waiting[key]
    ]
    return sorted(found, key=lambda cause: -len(cause.waiting))


def with_causes(
    statuses: Sequence[AssetStatus], causes: Sequence[Cause], failures: Mapping[Key, Failure]
) -> list[AssetStatus]:
    """How assets stand, each with what failed of it and what it waits for."""
    of = {key: cause for cause in causes for key in (cause.key, *cause.waiting)}
    return [replace(one, failure=failures.get(one.key), cause=of.get(one.key)) for one in statuses]


def in_trouble(status: AssetStatus, failure: Failure | None) -> bool:
    """Whether an asset is late, failed, or lacks partitions that are due."""
    late = status.freshness.state in {"warn", "fail"}
    return late or failure is not None or status.published < status.due


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


def _root(plan: Plan, start: Key, began: Mapping[Key, str]) -> Key | None:
    """The nearest asset above one in which something began."""
    seen, waiting = {start}, deque([start])
    while waiting:
        node = plan.get(waiting.popleft())
        for given in _above(node):
            if given in began:
                return given
            if given not in seen:
                seen.add(given)
                waiting.append(given)
    return None


def _above(node: AnyNode | None) -> list[Key]:
    return [given.key for given in (*node.inputs, *node.after)] if node is not None else []
