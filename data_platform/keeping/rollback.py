"""Back to an earlier version of a table: a new commit that makes its files current again.

Called by the command, which shows what will change before; what is told to Dagster is in
`keeping.recording`. Versions are never taken away by it: a rollback can be rolled back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from data_platform.errors import PermanentError
from data_platform.keeping.history import known_log, restorable, spans
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.storage.batches import Batches
from data_platform.storage.commits import (
    KEEPING,
    LoggedFile,
    TableLog,
    data_files,
    missing,
    read_log,
    snapshot_at,
)
from data_platform.storage.lake import Lake, LakeTable
from data_platform.storage.rewriting import Layout, MovedOnError, replace_partitions
from data_platform.storage.schemas import merged_schema
from data_platform.storage.versions import PartitionVersion, Snapshot

OPERATION = "rollback"
NAMED = 3
"""Partitions in a message."""
TRIES = 10


@dataclass(frozen=True)
class Change:
    """A partition that will be another.

    Attributes:
        partition: its key; `WHOLE` where the asset has none.
        before: what is published; None where it isn't.
        after: what will be; None where it won't be any more.
    """

    partition: str
    before: PartitionVersion | None
    after: PartitionVersion | None


@dataclass(frozen=True)
class Rollback:
    """What is going to happen.

    Attributes:
        key: of the asset.
        version: that is current, on top of which it happens.
        to: the version whose files are to be current again.
        changes: of partitions, in order.
        layout: of the table from then on.
        files: by partition or batch, where they are others.
        runs: the run that made what is restored, by partition, where it is known.
        lost_columns: columns that there are now and weren't then, where the whole table goes back.
        position: how far the source was read then and now, where it is incremental.
    """

    key: Key
    version: int
    to: int
    changes: tuple[Change, ...]
    layout: Layout
    files: Mapping[str, Sequence[LoggedFile]]
    runs: Mapping[str, str]
    lost_columns: tuple[str, ...] = ()
    position: tuple[object, object] | None = None

    @property
    def restored(self) -> dict[str, PartitionVersion]:
        """What will be published, by partition."""
        return {one.partition: one.after for one in self.changes if one.after is not None}

    @property
    def gone(self) -> tuple[str, ...]:
        """Partitions that won't be published any more: they weren't then."""
        return tuple(one.partition for one in self.changes if one.after is None)


def plan_rollback(lake: Lake, key: Key, to: int, partitions: Sequence[str] = ()) -> Rollback:
    """What a rollback will change.

    Args:
        lake: with the table.
        key: of the asset.
        to: the version.
        partitions: only these; empty means the whole table.

    Raises:
        PermanentError: there is no such version or partition, or it can't be read any more.
    """
    table = lake.table(key)
    log = known_log(table, key)
    _require_version(log, key, to)
    now, then = snapshot_at(table, log.current), snapshot_at(table, to)
    wanted = _wanted(key, now, then, to, partitions)
    changes = tuple(
        Change(one, now.partitions.get(one), then.partitions.get(one))
        for one in wanted
        if _version(now, one) != _version(then, one)
    )
    differing = {change.partition for change in changes}
    files = _files(log, to, differing, batches=now.batches is not None)
    _require_files(table, log, key, to, files, whole=now.batches is not None)
    layout = _layout(table, now, then, changed=bool(differing), whole=not partitions)
    if layout.batches is not None and not files:
        # No batch changes, only the state of the table does: the number is nobody's.
        files = {f"{layout.batches.number}": ()} if now.batches != then.batches else {}
    lost = () if partitions else tuple(n for n in now.schema.names if n not in then.schema.names)
    return Rollback(
        key,
        log.current,
        to,
        changes,
        layout,
        files,
        _runs(log, to, files),
        lost,
        (then.batches.position, now.batches.position) if then.batches and now.batches else None,
    )


def roll_back(lake: Lake, planned: Rollback, by: str) -> int:
    """Do it.

    Returns:
        The table's version after it.

    Raises:
        MovedOnError: somebody committed since it was planned.
    """
    metadata = {KEEPING: OPERATION, "to": f"{planned.to}", "by": by}
    table = lake.table(planned.key)
    return replace_partitions(table, planned.version, planned.layout, planned.files, metadata)


def roll_back_beside(
    lake: Lake, asset: Rollback, key: Key, by: str
) -> Mapping[str, tuple[str, int]]:
    """Let quarantine beside an asset hold what it held when that version was current.

    Rows of quarantine count only beside the version that they name, so those of the version that
    was rolled back are seen no more, and these are seen again.

    Args:
        lake: with both tables.
        asset: what was rolled back.
        key: of the quarantine.
        by: who does it.

    Returns:
        The version and the rows that are in it again, by partition.
    """
    moment = next(
        commit.at for commit in known_log(lake.table(asset.key), asset.key).commits
        if commit.version == asset.to
    )  # fmt: skip
    for _ in range(TRIES):
        log = read_log(lake.table(key))
        if log is None:
            return {}
        to = log.current_at(moment)
        there = snapshot_at(lake.table(key), to).partitions
        keys = [one for one in asset.restored if one in there]
        if to == log.current or not keys:
            return {}
        try:
            planned = plan_rollback(lake, key, to, [] if keys == [WHOLE] else keys)
            if planned.files:
                roll_back(lake, planned, by)
        except MovedOnError:
            continue
        return {one: (was.data_version, was.rows) for one, was in planned.restored.items()}
    raise MovedOnError(f"{key}: others kept committing; {TRIES} tries")


def _require_version(log: TableLog, key: Key, to: int) -> None:
    if to == log.current:
        raise PermanentError(f"{key}: version {to} is current")
    known = [commit.version for commit in log.commits]
    if to not in known:
        words = (
            "is not known any more: the log of versions was cleared" if 0 <= to < log.first
            else "is not there"
        )  # fmt: skip
        raise PermanentError(f"{key}: version {to} {words}; there are {spans(known)}")


def _wanted(
    key: Key, now: Snapshot, then: Snapshot, to: int, partitions: Sequence[str]
) -> list[str]:
    if not partitions:
        return sorted({*now.partitions, *then.partitions})
    if not now.partitioned:
        raise PermanentError(f"{key} has no partitions: leave --partition out")
    unknown = [one for one in partitions if one not in then.partitions]
    if unknown:
        known = sorted(then.partitions)
        raise PermanentError(
            f"{key}: version {to} has no partition {', '.join(unknown[:NAMED])}; "
            f"it has {len(known):,}, {known[0]} to {known[-1]}"
        )
    return list(dict.fromkeys(partitions))


def _version(snapshot: Snapshot, key: str) -> str | None:
    version = snapshot.partitions.get(key)
    return version.data_version if version else None


def _files(
    log: TableLog, to: int, partitions: set[str], *, batches: bool
) -> dict[str, list[LoggedFile]]:
    """The files of partitions or batches where they are others than now."""
    now, then = _grouped(log, log.current), _grouped(log, to)
    if batches:
        partitions = {*now, *then} if partitions else set()
    return {
        one: list(then.get(one, {}).values())
        for one in sorted(partitions)
        if set(now.get(one, ())) != set(then.get(one, ()))
    }


def _grouped(log: TableLog, version: int) -> dict[str, dict[str, LoggedFile]]:
    found: dict[str, dict[str, LoggedFile]] = {}
    for name, file in log.files(version).items():
        found.setdefault(file.partition, {})[name] = file
    return found


def _require_files(
    table: LakeTable,
    log: TableLog,
    key: Key,
    to: int,
    files: Mapping[str, Sequence[LoggedFile]],
    *,
    whole: bool,
) -> None:
    lost = missing(log, data_files(table))
    needed = {one for one, found in files.items() if found}
    gone = sorted(lost.get(to, set()) & needed)
    if not gone:
        return
    others = restorable(log, lost, None if whole else needed)
    named = ", ".join(gone[:NAMED])
    more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
    of = "" if gone == [WHOLE] else f" of {'batch' if whole else 'partition'} {named}{more}"
    can = f"these can: {spans(others)}" if others else "none can"
    if not whole and gone != [WHOLE] and (others_sound := needed - set(gone)):
        count = f"{len(others_sound):,} other partition{'s'[: len(others_sound) != 1]}"
        can = f"{can}; of it, {count} can be, by --partition"
    raise PermanentError(
        f"{key}: version {to} can't be restored, its files{of} were removed; {can}"
    )


def _layout(
    table: LakeTable, now: Snapshot, then: Snapshot, *, changed: bool, whole: bool
) -> Layout:
    # Other partitions still have the columns that came since, and those that came again.
    schema = then.schema if whole else merged_schema(now.schema, then.schema, table.path)
    return Layout(schema, now.partitioned, _batches(now, then, changed=changed))


def _batches(now: Snapshot, then: Snapshot, *, changed: bool) -> Batches | None:
    """The state of then, under a number that no batch has had.

    A run that began before must not take its batch for the next one, and add rows twice.
    """
    if now.batches is None or then.batches is None:
        return None
    carried = then.batches.carried if changed else now.batches.carried
    return replace(then.batches, number=now.batches.number + 1, carried=carried)


def _runs(log: TableLog, to: int, files: Mapping[str, Sequence[LoggedFile]]) -> dict[str, str]:
    """Which run made what is restored: the first that committed one of its files."""
    said = {commit.version: commit.said for commit in log.commits}
    found: dict[str, str] = {}
    for key, some in files.items():
        names = {file.relative for file in some}
        for life in log.lives:
            run = said[life.first].get("run_id") if life.first <= to else None
            if life.file.relative in names and run:
                found[key] = run
    return found
