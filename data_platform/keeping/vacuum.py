"""Files that no version needs any more, and how they are removed.

Called by the command, which shows what would go before anything does. A version is needed while it
was current within the retention, or since the oldest run or backfill in progress began, or where
somebody pinned it. What goes is said in a commit first, so that nobody who restores a version at
the same moment gets files that are about to go.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from data_platform.errors import StorageError
from data_platform.plan.keys import Key
from data_platform.storage.commits import (
    KEEPING,
    KEPT_FROM,
    PINNED,
    data_files,
    read_log,
    snapshot_at,
)
from data_platform.storage.delta import LOG
from data_platform.storage.lake import Lake, LakeTable
from data_platform.storage.places.place import FRESH
from data_platform.storage.rewriting import Layout, MovedOnError, mark

OPERATION = "vacuum"
SETTLED = 2 * FRESH
"""How long a file must have been left alone: whoever brought it may not have committed yet."""
TRIES = 10


@dataclass(frozen=True)
class Keep:
    """What must stay whatever the retention says.

    Attributes:
        since: when the oldest run or backfill in progress began; None where there is none.
        pinned: versions, by asset.
    """

    since: datetime | None = None
    pinned: Mapping[Key, frozenset[int]] = field(default_factory=dict[Key, frozenset[int]])

    def versions(self, key: Key) -> frozenset[int]:
        """Those of an asset."""
        return self.pinned.get(key, frozenset())


@dataclass(frozen=True)
class Vacuum:
    """What would be removed of a table.

    Attributes:
        key: of the table.
        version: that is current.
        kept_from: the oldest version that can be read afterwards, but for pinned ones.
        first: the oldest version that can be told of afterwards.
        pinned: versions that are kept though they are older.
        files: names, with their bytes.
        unnamed: how many of them no version ever named.
        young: how many would go, but aren't a day old.
        log: files of the log that tell of older versions.
    """

    key: Key
    version: int
    kept_from: int
    first: int
    pinned: tuple[int, ...]
    files: Mapping[str, int]
    unnamed: int
    young: int
    log: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Of all files of data that go."""
        return sum(self.files.values())


def plan_vacuum(
    lake: Lake, key: Key, retention: timedelta, now: datetime, keep: Keep
) -> Vacuum | None:
    """What of a table no version needs; None where there is no table.

    Args:
        lake: with the table.
        key: of the table: an asset's, a quarantine's, or that of corrections.
        retention: how long versions are kept after they were current.
        now: aware.
        keep: what must stay besides.
    """
    table = lake.table(key)
    log = read_log(table)
    if log is None:
        return None
    moment = min(now - retention, keep.since) if keep.since else now - retention
    kept_from = log.current_at(moment)
    pinned = sorted(one for one in keep.versions(key) if log.first <= one < kept_from)
    needed = log.since(kept_from) | {name for one in pinned for name in log.files(one)}
    named = {life.file.relative for life in log.lives}
    spare = {name: one for name, one in data_files(table).items() if name not in needed}
    gone = {name: one.bytes for name, one in sorted(spare.items()) if now - one.modified >= SETTLED}
    # As long as files are left the log tells whose they are.
    left = named & (spare.keys() - gone.keys())
    first = log.first if left else min([kept_from, *pinned])
    return Vacuum(
        key,
        log.current,
        kept_from,
        first,
        tuple(pinned),
        gone,
        len(gone.keys() - named),
        len(spare) - len(gone),
        tuple(name for version, name in log.entries if version < first),
    )


def vacuum(
    lake: Lake, planned: Vacuum, retention: timedelta, now: datetime, keep: Keep, by: str
) -> Vacuum:
    """Remove it; gives what was removed.

    Raises:
        MovedOnError: others kept committing.
        StorageError: somebody brought a file back while it was removed.
    """
    table = lake.table(planned.key)
    for _ in range(TRIES):
        try:
            _say(table, planned, by)
        except MovedOnError:
            # What was committed since may need a file that nothing needed before.
            again = plan_vacuum(lake, planned.key, retention, now, keep)
            if again is None:
                return planned
            planned = again
            continue
        _remove(table, planned, now)
        return planned
    raise MovedOnError(f"{table.path}: others kept committing; {TRIES} tries: try again")


def _say(table: LakeTable, planned: Vacuum, by: str) -> None:
    """Let whoever restores a version know that its files go."""
    if len(planned.files) == planned.unnamed:
        return
    snapshot = snapshot_at(table, planned.version)
    layout = Layout(snapshot.schema, snapshot.partitioned, snapshot.batches)
    said = {KEEPING: OPERATION, "by": by, KEPT_FROM: f"{planned.kept_from}"}
    if planned.pinned:
        said[PINNED] = json.dumps(planned.pinned)
    mark(table, planned.version, layout, said)


def _remove(table: LakeTable, planned: Vacuum, now: datetime) -> None:
    # Whoever brings a file again makes it one of now, so it is looked at a second time.
    there = data_files(table)
    gone = [
        name for name in planned.files if name in there and now - there[name].modified >= SETTLED
    ]
    table.place.remove(f"{table.relative}/{name}" for name in gone)
    _require_nothing_lost(table, gone)
    if planned.log:
        _clear_log(table, planned)


def _clear_log(table: LakeTable, planned: Vacuum) -> None:
    """Let the log begin with a checkpoint; what is older is removed, the oldest first."""
    kept = table.delta.opened(planned.first)
    newest = table.delta.opened()
    if kept is None or newest is None:
        return
    with table.place.in_words(table.relative):
        kept.create_checkpoint()
        if newest.version() != planned.first:
            # Whoever opens the table looks for the checkpoint that was made last.
            newest.create_checkpoint()
    table.place.remove(f"{table.relative}/{LOG}/{name}" for name in planned.log)


def _require_nothing_lost(table: LakeTable, gone: Collection[str]) -> None:
    log = read_log(table)
    current = set(log.files(log.current)) if log else set()
    back = sorted(current & set(gone))
    if back:
        raise StorageError(
            f"{table.path}: while files were removed somebody published the same rows again: "
            f"{len(back):,} of them, such as {back[0]}: run these partitions again"
        )
