"""The versions of a table as a person asks for them: what each changed, and what is left of it.

Called by the command, and by `keeping.rollback` for what can be restored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from data_platform.errors import PermanentError
from data_platform.plan.keys import Key
from data_platform.storage.commits import Commit, TableLog, data_files, missing, read_log
from data_platform.storage.lake import Lake, LakeTable


@dataclass(frozen=True)
class VersionLine:
    """One version of a table.

    Attributes:
        version: Delta's number.
        at: when it was committed.
        operation: `publish`, `batch`, `rollback`, `optimize`, `vacuum` or `erase`.
        partitions: that it changed, or the batches; empty where the table has neither.
        rows: in the files that it added.
        run: the run that made it, or whoever did.
        standing: how many of the files that it added are current now.
        added: how many there were.
        lost: partitions of this version whose files are gone, so that it can't be read in full.
        held: how many partitions it has.
        current: whether it is the newest.
        to: the version that it restored, where it is a rollback.
    """

    version: int
    at: datetime
    operation: str
    partitions: tuple[str, ...]
    rows: int
    run: str | None
    standing: int
    added: int
    lost: tuple[str, ...]
    held: int
    current: bool
    to: int | None = None

    @property
    def readable(self) -> bool:
        """Whether all of it can be read, and so restored."""
        return not self.lost


@dataclass(frozen=True)
class History:
    """What is known of a table's versions.

    Attributes:
        key: of the asset.
        lines: newest first.
        versions: how many there are in all.
        first: the oldest one that the log still tells.
    """

    key: Key
    lines: tuple[VersionLine, ...]
    versions: int
    first: int


def history_of(lake: Lake, key: Key, limit: int | None = None) -> History:
    """The versions of an asset's table, the newest first.

    Args:
        lake: with the table.
        key: of the asset.
        limit: of versions; None means all.

    Raises:
        PermanentError: nothing was ever published.
    """
    table = lake.table(key)
    log = known_log(table, key)
    lost = missing(log, data_files(table))
    now = set(log.files(log.current))
    newest = sorted(log.commits, key=lambda commit: -commit.version)
    lines = [
        _line(log, commit, now, sorted(lost.get(commit.version, ()))) for commit in newest[:limit]
    ]
    return History(key, tuple(lines), len(log.commits), log.first)


def known_log(table: LakeTable, key: Key) -> TableLog:
    """The log of an asset's table.

    Raises:
        PermanentError: there is no table.
    """
    log = read_log(table)
    if log is None:
        raise PermanentError(f"{key} has never been published, so it has no versions")
    return log


def _line(log: TableLog, commit: Commit, now: set[str], lost: Sequence[str]) -> VersionLine:
    whole_state = commit.version == log.first and log.first > 0
    added = () if whole_state else commit.added
    changed = {file.partition for file in added}
    if not whole_state:
        changed |= _removed(log, commit)
    standing = sum(file.relative in now for file in added)
    held = {file.partition for file in log.files(commit.version).values()}
    to = commit.said.get("to")
    return VersionLine(
        commit.version,
        commit.at,
        commit.operation,
        tuple(sorted(changed - {""}, key=_in_order)),
        sum(file.rows for file in added),
        commit.said.get("run_id") or commit.said.get("by"),
        standing,
        len(added),
        tuple(sorted(lost, key=_in_order)),
        len(held),
        commit.version == log.current,
        int(to) if to is not None else None,
    )


def _removed(log: TableLog, commit: Commit) -> set[str]:
    return {life.file.partition for life in log.lives if life.end == commit.version}


def _in_order(key: str) -> tuple[int, str]:
    """Batches by their number, partitions by their key."""
    return (int(key), key) if key.isdigit() else (0, key)


def restorable(log: TableLog, lost: dict[int, set[str]], partitions: set[str] | None) -> list[int]:
    """The versions that can be restored and hold something else than now, oldest first.

    Args:
        log: of the table.
        lost: as `missing` gives it.
        partitions: only of these; None means of all.
    """
    now = log.files(log.current).keys()
    return [
        commit.version
        for commit in log.commits
        if log.files(commit.version).keys() != now
        and not (
            lost.get(commit.version)
            if partitions is None
            else lost.get(commit.version, set()) & partitions
        )
    ]


def spans(versions: Sequence[int]) -> str:
    """Numbers in words: `0, 3 to 7`."""
    parts: list[list[int]] = []
    for version in versions:
        if parts and parts[-1][-1] == version - 1:
            parts[-1] = [parts[-1][0], version]
        else:
            parts.append([version])
    return ", ".join(
        f"{part[0]} to {part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts
    )
