"""Small files of a table become few: the same rows in the same order, under the same data version.

Called by the command. Readers see no difference, nothing below runs again, and what was current
before can be read until vacuum takes its files.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq

from data_platform.engine.lake_files import LakeFiles, Newest
from data_platform.engine.session import Session
from data_platform.keeping.history import known_log
from data_platform.plan.keys import Key
from data_platform.plan.naming import FILE, PROVENANCE, ROW, WHOLE
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.storage.batches import Batches, Carried
from data_platform.storage.commits import KEEPING, LoggedFile, snapshot_at
from data_platform.storage.lake import Lake, LakeTable
from data_platform.storage.rewriting import Layout, MovedOnError, adopted, replace_partitions
from data_platform.storage.versions import Snapshot

OPERATION = "optimize"
TARGET = 256 * 1024 * 1024
"""Bytes up to which files are put together: a reader takes so much in a second or two."""
SMALL = TARGET // 2
"""Bytes of a file that is left alone, since it is large enough."""
TRIES = 10
MERGED = "merged"
"""In the name of a file that holds several batches, in place of its columns' hash."""


@dataclass(frozen=True)
class Group:
    """Files that become one.

    Attributes:
        partition: of the file that they become; of batches the number of the last one.
        files: in the order in which readers have them.
    """

    partition: str
    files: tuple[LoggedFile, ...]


@dataclass(frozen=True)
class Compaction:
    """What is going to happen.

    Attributes:
        key: of the asset.
        snapshot: on top of which.
        groups: of files; none where there is nothing to do.
        files: how many there are in all.
        bytes: of them.
    """

    key: Key
    snapshot: Snapshot
    groups: tuple[Group, ...]
    files: int
    bytes: int

    @property
    def files_after(self) -> int:
        """How many there will be."""
        return self.files - sum(len(group.files) - 1 for group in self.groups)


@dataclass(frozen=True)
class Compacted:
    """What came of it.

    Attributes:
        planned: what was to be done, in the end.
        version: of the table after it.
        bytes: of all its files after it.
    """

    planned: Compaction
    version: int
    bytes: int


def plan_compaction(session: Session, lake: Lake, key: Key) -> Compaction:
    """Which files of a table become one.

    Args:
        session: for looking at the order of batches.
        lake: with the table.
        key: of the asset.

    Raises:
        PermanentError: nothing was ever published.
    """
    table = lake.table(key)
    log = known_log(table, key)
    snapshot = snapshot_at(table, log.current)
    files = sorted(log.files(log.current).values(), key=lambda file: file.relative)
    if snapshot.batches is None:
        groups = tuple(_of_partitions(files))
    else:
        groups = tuple(_of_batches(files, _bounds(session, snapshot)))
    return Compaction(key, snapshot, groups, len(files), sum(file.bytes for file in files))


def compact(session: Session, scratch: Path, lake: Lake, planned: Compaction, by: str) -> Compacted:
    """Do it; what others commit in the meantime is looked at anew.

    Args:
        session: in which the files are read.
        scratch: for the new ones.
        lake: with the table.
        planned: what to do.
        by: who does it.

    Raises:
        MovedOnError: others kept committing.
    """
    table = lake.table(planned.key)
    for attempt in range(TRIES):
        if not planned.groups:
            return Compacted(planned, planned.snapshot.version, planned.bytes)
        try:
            return _once(session, scratch / f"{attempt}", table, planned, by)
        except MovedOnError:
            planned = plan_compaction(session, lake, planned.key)
    raise MovedOnError(f"{table.path}: others kept committing; {TRIES} tries: try again")


def _once(
    session: Session, folder: Path, table: LakeTable, planned: Compaction, by: str
) -> Compacted:
    folder.mkdir()
    snapshot = planned.snapshot
    layout = Layout(snapshot.schema, snapshot.partitioned, _carrying(snapshot))
    made: list[tuple[Path, LoggedFile]] = []
    for number, group in enumerate(planned.groups):
        path = folder / f"{number}.parquet"
        _write(session, table, snapshot, group, path)
        name = f"{layout.folder(group.partition)}{_name(group, snapshot)}"
        rows = sum(file.rows for file in group.files)
        written = max(file.written for file in group.files)
        made.append((path, LoggedFile(name, group.partition, rows, 0, written)))
    new = adopted(table, made)
    files: dict[str, list[LoggedFile]] = {
        file.partition: [] for group in planned.groups for file in group.files
    }
    for file in new:
        files[file.partition] = [file]
    version = replace_partitions(
        table, snapshot.version, layout, files, {KEEPING: OPERATION, "by": by}
    )
    gone = sum(file.bytes for group in planned.groups for file in group.files)
    return Compacted(planned, version, planned.bytes - gone + sum(file.bytes for file in new))


def _of_partitions(files: Iterable[LoggedFile]) -> Iterator[Group]:
    held: dict[str, list[LoggedFile]] = {}
    for file in files:
        held.setdefault(file.partition, []).append(file)
    for key, found in held.items():
        # All of a partition or nothing: its data version is in the names of its files.
        if len(found) > 1 and sum(file.bytes for file in found) <= TARGET:
            yield Group(key, tuple(found))


def _of_batches(files: Sequence[LoggedFile], bounds: Sequence[int]) -> Iterator[Group]:
    """Neighbours that may be one file.

    Args:
        files: in their order.
        bounds: of each file the place of the last one before it with which it can't be one, -1
            where there is none.
    """
    group: list[LoggedFile] = []
    begun = size = 0
    for place, (file, bound) in enumerate(zip(files, bounds, strict=True)):
        if file.bytes > SMALL or size + file.bytes > TARGET or bound >= begun:
            yield from _worth_it(group)
            group, size, begun = [], 0, place
        if file.bytes > SMALL:
            begun = place + 1
        else:
            group.append(file)
            size += file.bytes
    yield from _worth_it(group)


def _worth_it(group: Sequence[LoggedFile]) -> Iterator[Group]:
    if len(group) > 1:
        yield Group(group[-1].partition, tuple(group))


def _bounds(session: Session, snapshot: Snapshot) -> list[int]:
    """Of each file the last one before it that holds a key with a later cursor; -1 for none.

    Of two batches the later one has the newer row, of rows of one file the one with the later
    cursor: batches where that isn't the same stay apart.
    """
    held = snapshot.partitions.get(WHOLE)
    paths = [file.path for file in held.files] if held else []
    newest = snapshot.batches.newest if snapshot.batches else None
    if newest is None or newest.cursor is None:
        return [-1] * len(paths)
    session.show("_batches", snapshot.all_rows([WHOLE]))
    places = {path: place for place, path in enumerate(paths)}
    bounds = [-1] * len(paths)
    for earlier, later in session.rows(_out_of_order(newest, newest.cursor)):
        place = places[str(later)]
        bounds[place] = max(bounds[place], places[str(earlier)])
    return bounds


def _out_of_order(newest: Newest, cursor: str) -> str:
    keys = ", ".join(map(quoted, newest.key))
    named = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in newest.key)
    same = " AND ".join(f"a.{quoted(name)} = b.{quoted(name)}" for name in newest.key)
    own = quoted(cursor)
    return (
        f"WITH spans AS (SELECT {keys}, {FILE} AS f, MIN({own}) AS low, MAX({own}) AS high, "
        f"COUNT(*) > COUNT({own}) AS nameless FROM _batches WHERE {named} GROUP BY {keys}, {FILE}) "
        "SELECT DISTINCT CAST(a.f AS VARCHAR), CAST(b.f AS VARCHAR) FROM spans AS a "
        f"JOIN spans AS b ON {same} AND a.f < b.f "
        "AND (a.high > b.low OR (b.nameless AND a.high IS NOT NULL))"
    )


def _write(
    session: Session, table: LakeTable, snapshot: Snapshot, group: Group, path: Path
) -> None:
    """The rows of files, one file after the other, with all columns that any of them has."""
    paths = [f"{table.path}/{file.relative}" for file in group.files]
    columns = [_columns(table, one) for one in paths]
    provenance = any(name in PROVENANCE for names in columns for name in names)
    own = [name for name in snapshot.schema.names if any(name in names for names in columns)]
    own += [name for name in PROVENANCE if provenance]
    sizes = [file.bytes for file in group.files]
    files = LakeFiles(paths, snapshot.schema, snapshot.partitioned, sizes=sizes)
    session.show("_small", files, provenance=provenance)
    select = f"SELECT {', '.join(map(quoted, own))} FROM _small ORDER BY {FILE}, {ROW}"
    session.run(f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")


def _columns(table: LakeTable, path: str) -> list[str]:
    with table.place.open(path) as file:
        return pq.read_schema(file).names


def _name(group: Group, snapshot: Snapshot) -> str:
    """By what is in the file: where one of this name is, it is the same."""
    if snapshot.batches is None:
        version = snapshot.partitions[group.partition]
        return f"{version.data_version}-{version.columns}.parquet"
    text = "|".join(file.relative for file in group.files)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:20]}-{MERGED}.parquet"


def _carrying(snapshot: Snapshot) -> Batches | None:
    """The state of a table of batches, whose data version files don't tell any more."""
    batches = snapshot.batches
    if batches is None:
        return None
    version = snapshot.partitions[WHOLE].data_version
    carried = Carried(batches.number, str(batches.newest), version)
    return replace(batches, carried=carried)
