"""The commits of a table, read from its log: which files each added and removed, and who made it.

Called by `keeping`, which undoes commits, clears up behind them and tells of them. Nothing on the
way of the data reads it: it grows with the history of a table.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from data_platform.errors import StorageError
from data_platform.plan.naming import WHOLE
from data_platform.storage.delta import LOG
from data_platform.storage.lake import LakeTable
from data_platform.storage.places.place import Found
from data_platform.storage.versions import Snapshot, snapshot_of

KEEPING = "keeping"
"""In a commit's metadata: that it keeps the table in order, and how; runs don't say it."""
NOTE = "note"
"""Keeps the same rows, and says that they were built from something else."""
ROWS_STAY = frozenset({"optimize", "vacuum", NOTE})
"""Of these, those after which readers see the same rows."""
GIVEN_UP, KEPT_FROM, PINNED = "given_up", "kept_from", "pinned"
"""In a commit's metadata: names of files that are removed behind it, as a JSON list; the oldest
version from which on no file is, and a JSON list of older ones that keep theirs. It is said before
anything is removed, so that nobody gets such files back."""

_ENTRY = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")
_OWN = frozenset(
    {"timestamp", "operation", "operationParameters", "engineInfo", "clientVersion", "readVersion"}
)
"""What Delta says of a commit itself."""


@dataclass(frozen=True)
class LoggedFile:
    """A file as a commit names it.

    Attributes:
        relative: its name below the table's folder.
        partition: its key; `WHOLE` where the table has none, the number where it has batches.
        rows: in it.
        bytes: of it.
        written: when, in milliseconds since 1970.
    """

    relative: str
    partition: str
    rows: int
    bytes: int
    written: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Commit:
    """One commit.

    Attributes:
        version: of the table after it.
        at: when it was made.
        said: what was kept with it.
        added: files that are current from it on.
        removed: names of files that aren't any more.
    """

    version: int
    at: datetime
    said: Mapping[str, str]
    added: tuple[LoggedFile, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def operation(self) -> str:
        """What it did: `publish`, `batch`, or how it keeps the table in order."""
        return self.said.get(KEEPING) or ("batch" if "batch" in self.said else "publish")


@dataclass(frozen=True)
class Life:
    """A time in which a file was current; it may come back.

    Attributes:
        file: the file.
        first: the version that made it current.
        end: the version from which it wasn't any more; None where it is.
    """

    file: LoggedFile
    first: int
    end: int | None

    def holds(self, version: int) -> bool:
        """Whether it was current in a version."""
        return self.first <= version and (self.end is None or version < self.end)


@dataclass(frozen=True)
class TableLog:
    """All that the log of a table still tells.

    Attributes:
        commits: oldest first; the first one may stand for all before it.
        first: the oldest version that can be opened.
        lives: of all files that were current from then on.
        entries: the log's own files that tell of commits, with their versions.
        given_up: files that somebody said to remove, so that no version gets them back.
    """

    commits: tuple[Commit, ...]
    first: int
    lives: tuple[Life, ...]
    entries: tuple[tuple[int, str], ...] = ()
    given_up: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def current(self) -> int:
        """The newest version."""
        return self.commits[-1].version

    def files(self, version: int) -> dict[str, LoggedFile]:
        """The files of a version, by name."""
        return {life.file.relative: life.file for life in self.lives if life.holds(version)}

    def since(self, version: int) -> set[str]:
        """The names of all files that were current in a version or later."""
        return {life.file.relative for life in self.lives if life.end is None or life.end > version}

    def current_at(self, moment: datetime) -> int:
        """The version that was current at a moment; the oldest one where that was before it."""
        known = [commit.version for commit in self.commits if commit.at <= moment]
        return max(known, default=self.first)


def read_log(table: LakeTable) -> TableLog | None:
    """What the log of a table tells; None where there is no table."""
    entries = sorted(_entries(table))
    versions = [version for version, name in entries if name.endswith(".json")]
    if not versions:
        return None
    first = _first(entries, versions)
    names = [name for version, name in entries if version >= first and name.endswith(".json")]
    contents = table.place.read_all([f"{table.relative}/{LOG}/{name}" for name in names])
    commits = [
        _commit_of(int(name[:20]), content)
        for name, content in zip(names, contents, strict=True)
        if content is not None
    ]
    if first > 0:
        # What the commits before it added is told by its checkpoint alone.
        commits[0] = Commit(
            commits[0].version, commits[0].at, commits[0].said, _files_of(table, first)
        )
    lives = tuple(_lives(commits))
    return TableLog(tuple(commits), first, lives, tuple(entries), _given_up(commits, lives))


def snapshot_at(table: LakeTable, version: int) -> Snapshot:
    """What a table held in a version that its log still tells.

    Raises:
        StorageError: the log doesn't tell it.
    """
    opened = table.delta.opened(version)
    if opened is None:
        raise StorageError(f"{table.path}: version {version} can't be opened any more")
    return snapshot_of(opened, table.path)


def data_files(table: LakeTable) -> dict[str, Found]:
    """All Parquet files below a table's folder by their names there, of whatever version."""
    start = len(table.relative) + 1
    found = ((one.relative[start:], one) for one in table.place.list(table.relative))
    return {
        name: one
        for name, one in found
        if name.endswith(".parquet") and not name.startswith(f"{LOG}/")
    }


def _entries(table: LakeTable) -> Iterator[tuple[int, str]]:
    folder = f"{table.relative}/{LOG}/"
    for found in table.place.list(f"{table.relative}/{LOG}"):
        name = found.relative.removeprefix(folder)
        matched = _ENTRY.fullmatch(name)
        if matched:
            yield int(matched[1]), name


def _first(entries: Sequence[tuple[int, str]], versions: Sequence[int]) -> int:
    """The oldest version from which all commits are there, with a checkpoint unless it is 0."""
    oldest = versions[-1]
    for version in reversed(versions):
        if version < oldest - 1:
            break
        oldest = version
    if oldest == 0:
        return 0
    checkpoints = [version for version, name in entries if not name.endswith(".json")]
    return min((version for version in checkpoints if version >= oldest), default=oldest)


def _commit_of(version: int, content: bytes) -> Commit:
    info: dict[str, Any] = {}
    added: list[LoggedFile] = []
    removed: list[str] = []
    for line in content.splitlines():
        action: dict[str, Any] = json.loads(line) if line.strip() else {}
        if "commitInfo" in action:
            info = action["commitInfo"]
        elif "add" in action:
            added.append(_file_of(action["add"]))
        elif "remove" in action:
            removed.append(unquote(action["remove"]["path"]))
    said = {name: str(value) for name, value in info.items() if name not in _OWN}
    at = datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC)
    return Commit(version, at, said, tuple(added), tuple(removed))


def _file_of(add: Mapping[str, Any]) -> LoggedFile:
    rows = json.loads(add.get("stats") or "{}").get("numRecords", 0)
    values = add["partitionValues"]
    key = next(iter(values.values())) if values else WHOLE
    written = int(add.get("modificationTime") or 0)
    return LoggedFile(unquote(add["path"]), key or WHOLE, int(rows), int(add["size"]), written)


def _files_of(table: LakeTable, version: int) -> tuple[LoggedFile, ...]:
    snapshot = snapshot_at(table, version)
    start = len(table.path) + 1
    found: list[LoggedFile] = []
    for key, held in snapshot.partitions.items():
        for file in held.files:
            name = file.path[start:]
            own = _batch_of(name) if snapshot.batches is not None else key
            found.append(LoggedFile(name, own, file.rows, file.bytes, file.committed))
    return tuple(found)


def _batch_of(name: str) -> str:
    return str(int(name.partition("/")[0].partition("=")[2]))


def _lives(commits: Sequence[Commit]) -> Iterator[Life]:
    current: dict[str, tuple[LoggedFile, int]] = {}
    for commit in commits:
        for name in commit.removed:
            known = current.pop(name, None)
            if known is not None:
                yield Life(known[0], known[1], commit.version)
        for file in commit.added:
            current.setdefault(file.relative, (file, commit.version))
    for file, version in current.values():
        yield Life(file, version, None)


def _given_up(commits: Sequence[Commit], lives: Sequence[Life]) -> frozenset[str]:
    """Files that a commit said to remove and that no later one made current."""
    found: set[str] = set()
    for commit in commits:
        found -= {file.relative for file in commit.added}
        found |= set(json.loads(commit.said.get(GIVEN_UP, "[]")))
        if KEPT_FROM in commit.said:
            kept = int(commit.said[KEPT_FROM])
            known = [life for life in lives if life.first <= commit.version]
            pinned: list[int] = json.loads(commit.said.get(PINNED, "[]"))
            needed = {
                life.file.relative
                for life in known
                if life.end is None or life.end > kept or any(map(life.holds, pinned))
            }
            found |= {life.file.relative for life in known} - needed
    return frozenset(found)


def missing(log: TableLog, there: Collection[str]) -> dict[int, set[str]]:
    """The partitions of each version that can't be read any more, by version; none of sound ones.

    Args:
        log: of the table.
        there: names of the files that are there.
    """
    lost = [
        life
        for life in log.lives
        if life.file.relative not in there or life.file.relative in log.given_up
    ]
    found: dict[int, set[str]] = {}
    for commit in log.commits:
        gone = {life.file.partition for life in lost if life.holds(commit.version)}
        if gone:
            found[commit.version] = gone
    return found
