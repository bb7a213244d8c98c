"""Sources of files whose files are late, by what is published of them.

Asked by `observability.status` and by `reasons.why`; the sensor of files tells the same of what it
finds. A file that has the same rows as before is none here: nothing was published of it.
"""

from collections.abc import Container, Sequence
from datetime import datetime

from data_platform.plan.nodes import AnyNode, RawNode
from data_platform.plan.sources.deadlines import late_partitions, late_since
from data_platform.plan.sources.kinds import Files
from data_platform.spec.automation import Schedule


def late_keys(node: AnyNode, published: Container[str], now: datetime) -> tuple[str, ...]:
    """The partitions of a source that aren't published a deadline after their end.

    Args:
        node: the asset.
        published: its partitions.
        now: aware.
    """
    source = _with_deadline(node)
    if source is None or source.deadline is None or node.partitions is None:
        return ()
    return tuple(late_partitions(node.partitions, source.deadline, published, now))


def late_file(
    node: AnyNode, changed_at: datetime | None, schedule: Schedule | None, now: datetime
) -> datetime | None:
    """Since when a source without partitions lacks a new file; None where it doesn't.

    Args:
        node: the asset.
        changed_at: when its rows changed last; aware.
        schedule: of its pipeline, which tells when files are due.
        now: aware.
    """
    source = _with_deadline(node)
    if source is None or source.deadline is None or node.partitions is not None:
        return None
    cron, timezone = (schedule.cron, schedule.timezone) if schedule else (None, "UTC")
    return late_since(cron, timezone, source.deadline, changed_at, now)


def late_words(keys: Sequence[str], since: datetime | None) -> str | None:
    """What is late; None where nothing is."""
    if since is not None:
        return f"a new file is late since {since:%Y-%m-%d %H:%M %Z}"
    if not keys:
        return None
    *others, newest = keys
    more = f" and {len(others)} more" if others else ""
    return f"files are late of {newest}{more}"


def _with_deadline(node: AnyNode) -> Files | None:
    """The files of a source that somebody starts."""
    if not isinstance(node, RawNode) or not isinstance(node.source, Files) or not node.enabled:
        return None
    return node.source
