"""One look at the files of a source: what is new, of which partitions, and what must wait.

Called by `file_arrivals` at each tick. Pure decisions over a listing; `Looked` says in words what
was seen. Must not know Dagster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from data_platform.automation.sensors.file_keys import FileKeys
from data_platform.automation.sensors.file_memory import Memory, digest_of, fingerprint, new_of
from data_platform.sources.files.found import Found

PATIENCE = 10
"""Times `settle` that a partition waits for the last of its files, if others stand still."""
NAMED = 3


@dataclass(frozen=True)
class Waiting:
    """Files that somebody may still be writing.

    Attributes:
        digest: of all of them.
        since: when they were first seen like this; aware.
    """

    digest: str
    since: datetime


@dataclass(frozen=True)
class Looked:
    """What a look found.

    Attributes:
        files: all that there are, by their fingerprints.
        new: of partitions that can run now, by key.
        listings: all files of these partitions, in order of their names.
        unsettled: files that were changed too short a time ago.
        waiting: the same, to be known by the next look.
        ahead: files of partitions that aren't over yet.
        strange: files that are of no partition.
        newest: when the newest file was changed.
    """

    files: Mapping[bytes, Found]
    new: Mapping[str, Sequence[Found]] = field(default_factory=dict[str, Sequence[Found]])
    listings: Mapping[str, Sequence[Found]] = field(default_factory=dict[str, Sequence[Found]])
    unsettled: int = 0
    waiting: Waiting | None = None
    ahead: int = 0
    strange: Sequence[str] = ()
    newest: datetime | None = None

    def in_words(self) -> str:
        """What was looked at."""
        parts = [_count(len(self.files), "file")]
        if not self.new and self.files:
            parts.append(f"none new since {self.newest:%Y-%m-%d %H:%M:%S}" if self.newest else "")
        if self.unsettled:
            parts.append(f"{self.unsettled:,} changed a moment ago and must stand still first")
        if self.ahead:
            parts.append(f"{self.ahead:,} of partitions that aren't over")
        if self.strange:
            named = ", ".join(self.strange[:NAMED])
            parts.append(f"{len(self.strange):,} of no partition ({named})")
        return ", ".join(filter(None, parts))


def look(
    files: Sequence[Found],
    keys: FileKeys,
    memory: Memory,
    *,
    settle: float,
    waiting: Waiting | None,
    now: datetime,
) -> Looked:
    """Tell what is new.

    Args:
        files: that there are.
        keys: of whom each is.
        memory: of files that were handed to a run.
        settle: how long a file must have stood still, in seconds; 0 for objects, which are whole.
        waiting: what the look before waited for.
        now: aware, by the clock of the files.
    """
    prints = {fingerprint(file): file for file in files}
    fresh = new_of(prints, memory)
    newest = max((file.modified for file in files), default=None)
    young, still_waiting = _young(fresh, settle, waiting, now)
    by_key: dict[str, list[Found]] = {}
    ahead, strange = 0, list[str]()
    for file in fresh:
        own = keys.of(file.name)
        for key in own:
            by_key.setdefault(key, []).append(file)
        if not own and keys.is_ahead(file.name):
            ahead += 1
        elif not own:
            strange.append(PurePosixPath(file.name).name)
    patience = now - timedelta(seconds=PATIENCE * settle)
    new = {
        key: settled
        for key, found in sorted(by_key.items())
        if (settled := _settled(found, young, patience))
    }
    listings = _listings(files, keys, new)
    return Looked(prints, new, listings, len(young), still_waiting, ahead, strange, newest)


def _listings(
    files: Sequence[Found], keys: FileKeys, wanted: Mapping[str, object]
) -> dict[str, Sequence[Found]]:
    found: dict[str, list[Found]] = {key: [] for key in wanted}
    for file in sorted(files, key=lambda one: one.name) if wanted else ():
        for key in keys.of(file.name):
            if key in found:
                found[key].append(file)
    return dict(found)


def _young(
    files: Sequence[Found], settle: float, waiting: Waiting | None, now: datetime
) -> tuple[frozenset[str], Waiting | None]:
    """The names of files that may still change; a time in the future is nobody's.

    A file stands still since its own time, or for as long as the looks saw it unchanged.
    """
    if settle <= 0:
        return frozenset(), None
    span = timedelta(seconds=settle)
    young = [file for file in files if now - file.modified < span]
    if not young:
        return frozenset(), None
    digest = digest_of(map(fingerprint, young))
    if waiting is None or waiting.digest != digest:
        waiting = Waiting(digest, now)
    if now - waiting.since >= span:
        return frozenset(), None
    return frozenset(file.name for file in young), waiting


def _settled(files: Sequence[Found], young: frozenset[str], patience: datetime) -> Sequence[Found]:
    """Those of a partition, once all stand still, or some have waited long enough for the rest."""
    still = [file for file in files if file.name not in young]
    if len(still) == len(files) or any(file.modified < patience for file in still):
        return still
    return []


def words_of_cause(new: Mapping[str, Sequence[Found]]) -> str:
    """Why a run was started, for its tag."""
    names = sorted({PurePosixPath(file.name).name for files in new.values() for file in files})
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"file landed: {names[0]}{more}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}" if number else f"no {what}s"
