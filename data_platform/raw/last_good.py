"""What becomes of partitions that can't be read: their last good version may stand, with a warning.

Wraps `raw.extraction` for a source with `on_error: use_last_good`. What stands isn't published
anew, so that nothing looks fresh. A partition that came and broke a rule fails as ever.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from data_platform.errors import SourceError, SourceUnavailable, TimedOut
from data_platform.plan.checks.notices import notice_check
from data_platform.plan.naming import LAST_GOOD, WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.plan.retrying import in_words
from data_platform.quality.gate import Passage
from data_platform.quality.outcomes import Finding, Outcome
from data_platform.storage.lake import LakeTable
from data_platform.storage.versions import Snapshot

UNREADABLE = (SourceError, SourceUnavailable, TimedOut)
"""What a source can do to a step; a mistake in the pipeline or in the lake is something else."""
_DAY = 86_400.0


def or_last_good(
    extract: Callable[[], Passage],
    node: RawNode,
    keys: Sequence[str],
    table: LakeTable,
    now: datetime,
    *,
    last_try: bool,
) -> Passage:
    """Land partitions, or let stand what there is of those that can't be read.

    Args:
        extract: lands them.
        node: the raw asset.
        keys: its partitions.
        table: of the asset.
        now: aware.
        last_try: whether nobody tries again after this.

    Raises:
        SourceError: the source can't be read, and nothing of it stands.
        SourceUnavailable: as above, or it is tried again.
        TimedOut: as above.
    """
    if node.on_error != "use_last_good":
        return extract()
    try:
        passage = extract()
    except UNREADABLE as error:
        if isinstance(error, SourceUnavailable | TimedOut) and not last_try:
            raise
        unread = dict.fromkeys(keys, str(error))
        if not _standing(node, unread, table.snapshot()):
            raise
        return _settled(Passage(None, unread, [], unread=unread), node, keys, table, now)
    return _settled(passage, node, keys, table, now)


def _settled(
    passage: Passage, node: RawNode, keys: Sequence[str], table: LakeTable, now: datetime
) -> Passage:
    snapshot = table.snapshot()
    unread = {key: why for key, why in passage.unread.items() if key in passage.failed}
    written = _standing(node, unread, snapshot)
    kept = {key: unread[key] for key in written}
    findings = {
        key: Finding(0, 1, "warn", _words(unread[key], written[key], now))
        if key in written
        else Finding(0, 0, "pass")
        for key in (keys if len(keys) == 1 else [*written] or keys[-1:])
    }
    outcome = Outcome(notice_check(LAST_GOOD, node.location), findings)
    return replace(
        passage,
        failed={key: why for key, why in passage.failed.items() if key not in kept},
        outcomes=[*passage.outcomes, outcome],
        kept=kept,
    )


def _standing(
    node: RawNode, unread: Mapping[str, str], snapshot: Snapshot | None
) -> dict[str, datetime]:
    """When what stands of partitions was written, of those that have something."""
    if snapshot is None:
        return {}
    found: dict[str, datetime] = {}
    for key in unread:
        version = snapshot.partitions.get(key)
        files = [*version.files] if version else []
        if not files and node.increments and key == WHOLE:
            files = [file for one in snapshot.partitions.values() for file in one.files]
        if files:
            newest = max(file.committed for file in files)
            found[key] = datetime.fromtimestamp(newest / 1000, UTC)
    return found


def _words(why: str, written: datetime, now: datetime) -> str:
    seconds = max(0.0, (now - written).total_seconds())
    age = f"{seconds / _DAY:.0f} days" if seconds >= 2 * _DAY else in_words(round(seconds))
    at = f"{written:%Y-%m-%d %H:%M:%S} UTC"
    return f"not read: {why}; what was written {age} ago, at {at}, stands"
