"""One table without some of its rows, in every version of it.

Called by `keeping.erasure`, which knows what tables an asset has. A new commit holds the rest of
the rows; then every file goes that holds one of those rows, whatever version names it. What other
versions had in these files can't be read any more.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from data_platform.engine.lake_files import LakeFiles
from data_platform.engine.session import Session
from data_platform.errors import PermanentError
from data_platform.plan.keys import Key
from data_platform.plan.naming import FILE, HIDDEN_TYPES, PARTITION, PROVENANCE, ROW, WHOLE
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.storage.batches import Batches, Carried
from data_platform.storage.commits import (
    GIVEN_UP,
    KEEPING,
    LoggedFile,
    TableLog,
    data_files,
    read_log,
    snapshot_at,
)
from data_platform.storage.lake import Lake, LakeTable
from data_platform.storage.publish import Unwritten, Written, stored_select, write
from data_platform.storage.rewriting import Layout, adopted, mark, replace_partitions
from data_platform.storage.schemas import columns_hash
from data_platform.storage.versions import Snapshot

OPERATION = "erase"
EVERYTHING = "_everything"
"""The relation of all rows of a table, of whatever version."""
_KEYS = "_keys_of_rows"


@dataclass(frozen=True)
class Search:
    """Rows of a table that go.

    Attributes:
        key: of the table.
        log: of it; None where there is only what a killed run left.
        snapshot: that is current.
        hit: what is true of such rows, over `EVERYTHING` and relations like it.
        files: how many of them each file holds, by name.
        partitions: of what is current, those that hold some, or batches.
        seen: rows that readers see and that stay, where the table grows by batches.
        modified: of the files with such rows, when somebody brought them last.
    """

    key: Key
    log: TableLog
    snapshot: Snapshot
    hit: str
    files: Mapping[str, int]
    partitions: tuple[str, ...]
    seen: int = 0
    modified: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)

    @property
    def current(self) -> int:
        """Rows in files that are current."""
        now = self.log.files(self.log.current)
        return sum(count for name, count in self.files.items() if name in now)

    @property
    def versions(self) -> dict[int, int]:
        """Rows by version, of those that hold some."""
        found = {
            commit.version: sum(self.files.get(name, 0) for name in self.log.files(commit.version))
            for commit in self.log.commits
        }
        return {version: rows for version, rows in found.items() if rows}

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that committed files with such rows."""
        said = {commit.version: commit.said for commit in self.log.commits}
        found = {
            said[life.first].get("run_id")
            for life in self.log.lives
            if life.file.relative in self.files
        }
        return tuple(sorted(run for run in found if run))


@dataclass(frozen=True)
class Erased:
    """What came of it.

    Attributes:
        version: of the table after it.
        versions: the data version of each partition that was written anew, and its rows.
        removed: how many files went.
        back: files that somebody brought again in the meantime, so that they are still there.
    """

    version: int
    versions: Mapping[str, tuple[str, int]]
    removed: int
    back: tuple[str, ...]


def show_everything(session: Session, lake: Lake, key: Key) -> tuple[TableLog, Snapshot] | None:
    """Make all rows of a table readable, of whatever version; None where there is no table."""
    table = lake.table(key)
    log = read_log(table)
    if log is None:
        return None
    snapshot = snapshot_at(table, log.current)
    there = data_files(table)
    paths = [f"{table.path}/{name}" for name in sorted(there)]
    sizes = [there[name].bytes for name in sorted(there)]
    files = LakeFiles(paths, snapshot.schema, snapshot.partitioned, sizes=sizes)
    session.show(EVERYTHING, files)
    return log, snapshot


def search(
    session: Session, lake: Lake, key: Key, found: tuple[TableLog, Snapshot], hit: str
) -> Search:
    """The rows that go, after `show_everything` has shown them.

    Raises:
        PermanentError: the condition fails on a value.
    """
    table = lake.table(key)
    log, snapshot = found
    try:
        hit = _with_keys(session, snapshot, hit)
        rows = session.rows(
            f"SELECT CAST({FILE} AS VARCHAR), COUNT(*) FROM {EVERYTHING} AS r WHERE {hit} "
            "GROUP BY ALL ORDER BY ALL"
        )
        seen = _seen_after(session, snapshot, hit)
    except duckdb.Error as error:
        about = " ".join(str(error).split("\n\n")[0].split())
        raise PermanentError(f"--where: {key}: {about}") from None
    start = len(table.path) + 1
    files = {str(path)[start:]: int(count) for path, count in rows}
    now = log.files(log.current)
    partitions = {now[name].partition for name in files if name in now}
    modified = {name: one.modified for name, one in data_files(table).items() if name in files}
    return Search(key, log, snapshot, hit, files, tuple(sorted(partitions)), seen, modified)


@dataclass(frozen=True)
class Rest:
    """The files without the rows, in scratch.

    Attributes:
        files: each with what it is to be.
        versions: the data version and the rows of each partition.
        layout: of the table with them.
    """

    files: Sequence[tuple[Path, LoggedFile]]
    versions: Mapping[str, tuple[str, int]]
    layout: Layout


def prepare(
    session: Session,
    scratch: Path,
    found: Search,
    table: LakeTable,
    *,
    computed: bool,
    unversioned: Sequence[str] = (),
    replaced: str = "",
    further: Sequence[str] = (),
) -> Rest:
    """Write what stays of the partitions that hold such rows.

    Args:
        session: in which they were searched.
        scratch: of the caller's own.
        found: the rows.
        table: of them.
        computed: whether doubles are results of arithmetic.
        unversioned: columns that don't count for the data version.
        replaced: other values of columns, as SQL behind REPLACE.
        further: partitions that are written besides, for these values.
    """
    snapshot = found.snapshot
    layout = Layout(snapshot.schema, snapshot.partitioned, snapshot.batches)
    wanted = sorted({*found.partitions, *further})
    if not wanted:
        return Rest((), {}, layout)
    if snapshot.batches is not None:
        return _rest_of_batches(session, scratch, found, table, layout, wanted)
    provenance = _has_provenance(table, snapshot, wanted)
    session.show("_keeping", snapshot.files(wanted), provenance=provenance)
    relation = f"(SELECT * {replaced} FROM _keeping AS r WHERE ({found.hit}) IS NOT TRUE)"
    session.run(f"CREATE OR REPLACE TEMP VIEW _rest AS SELECT * FROM {relation}")
    select = stored_select(session, "_rest", HIDDEN_TYPES)
    rows = Unwritten(select, "FROM _rest WHERE TRUE", computed, unversioned, streamed=False)
    written = write(session, rows, scratch / "rest", wanted)
    files = list(_named(written, layout))
    versions = {key: (one.data_version, one.rows) for key, one in written.versions.items()}
    return Rest(files, versions, layout)


def settle(table: LakeTable, found: Search, rest: Rest, by: str) -> Erased:
    """Commit what stays, and remove every file that holds one of the rows.

    Raises:
        MovedOnError: somebody committed since it was searched.
    """
    said = {KEEPING: OPERATION, "by": by, GIVEN_UP: json.dumps(sorted(found.files))}
    version = found.log.current
    if rest.versions:
        new = adopted(table, rest.files)
        grouped: dict[str, list[LoggedFile]] = {file.partition: [] for file in new}
        for file in new:
            grouped[file.partition].append(file)
        version = replace_partitions(table, version, rest.layout, grouped, said)
    elif found.files:
        version = mark(table, version, rest.layout, said)
    there = data_files(table)
    back = sorted(
        name
        for name in found.files
        if name in there and there[name].modified != found.modified.get(name)
    )
    gone = [name for name in found.files if name in there and name not in back]
    table.place.remove(f"{table.relative}/{name}" for name in gone)
    return Erased(version, rest.versions, len(gone), tuple(back))


def _with_keys(session: Session, snapshot: Snapshot, hit: str) -> str:
    """Rows, and where the newest row of a key goes all older ones, which would be seen again."""
    newest = snapshot.batches.newest if snapshot.batches else None
    if newest is None:
        return hit
    session.show("_seen", snapshot.files([WHOLE]))
    keys = ", ".join(map(quoted, newest.key))
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {_KEYS} AS SELECT {keys} FROM _seen AS r WHERE {hit}"
    )
    same = " AND ".join(f"k.{quoted(name)} = r.{quoted(name)}" for name in newest.key)
    return f"({hit} OR EXISTS (SELECT 1 FROM {_KEYS} AS k WHERE {same}))"


def _seen_after(session: Session, snapshot: Snapshot, hit: str) -> int:
    if snapshot.batches is None:
        return 0
    session.show("_seen", snapshot.files([WHOLE]))
    return int(session.rows(f"SELECT COUNT(*) FROM _seen AS r WHERE ({hit}) IS NOT TRUE")[0][0])


def _has_provenance(table: LakeTable, snapshot: Snapshot, keys: Sequence[str]) -> bool:
    """Whether files tell of each row from which file of the source it is."""
    for key in keys:
        for file in snapshot.partitions[key].files[:1]:
            with table.place.open(file.path) as opened:
                if any(name in PROVENANCE for name in pq.read_schema(opened).names):
                    return True
    return False


def _named(written: Written, layout: Layout) -> "Sequence[tuple[Path, LoggedFile]]":
    """Files of scratch and what they are to be: named after their rows, as a run names them."""
    columns = columns_hash(written.schema)
    found: list[tuple[Path, LoggedFile]] = []
    for key, version in written.versions.items():
        for number, file in enumerate(version.files):
            own = f"{version.data_version}-{columns}"
            # As many files hold the same rows in other ways, each is named after its place too.
            stem = own if len(version.files) == 1 else f"{own}-{_short(file.path, number)}"
            name = f"{layout.folder(key)}{stem}.parquet"
            found.append((Path(file.path), LoggedFile(name, key, file.rows, file.bytes)))
    return found


def _short(path: str, number: int) -> str:
    return hashlib.sha256(f"{path}|{number}".encode()).hexdigest()[:8]


def _rest_of_batches(
    session: Session,
    scratch: Path,
    found: Search,
    table: LakeTable,
    layout: Layout,
    wanted: Sequence[str],
) -> Rest:
    """Each batch by itself, its rows in their order."""
    files: list[tuple[Path, LoggedFile]] = []
    provenance = _has_provenance(table, found.snapshot, [WHOLE])
    now = found.log.files(found.log.current)
    for number in sorted(wanted, key=int):
        own = sorted((file for file in now.values() if file.partition == number),
                     key=lambda file: file.relative)  # fmt: skip
        paths = [f"{table.path}/{file.relative}" for file in own]
        sizes = [file.bytes for file in own]
        show = LakeFiles(paths, found.snapshot.schema, partitioned=False, sizes=sizes)
        session.show("_keeping", show, provenance=provenance)
        session.run(
            "CREATE OR REPLACE TEMP VIEW _rest AS SELECT * FROM _keeping AS r "
            f"WHERE ({found.hit}) IS NOT TRUE"
        )
        select = stored_select(session, "_rest", HIDDEN_TYPES)
        ordered = f"FROM (SELECT * FROM _rest ORDER BY {FILE}, {ROW})"
        folder = scratch / f"batch-{number}"
        written = write(session, Unwritten(select, ordered), folder, [WHOLE])
        batch = replace(written, versions={number: written.versions[WHOLE]})
        files += _named(batch, layout)
    batches = layout.batches
    if batches is None:
        raise AssertionError(found.key)
    state = _state(found, batches, [file.relative for _, file in files])
    held = found.snapshot.partitions[WHOLE]
    version = state.carried.version if state.carried else held.data_version
    return Rest(files, {WHOLE: (version, found.seen)}, replace(layout, batches=state))


def _state(found: Search, batches: Batches, names: Sequence[str]) -> Batches:
    """Of a table with other files: its data version is told by these and by what it was before."""
    before = found.snapshot.partitions[WHOLE].data_version
    text = "|".join([before, *names])
    version = hashlib.sha256(text.encode()).hexdigest()[:20]
    carried = Carried(batches.number, str(batches.newest), version)
    rows = found.seen if batches.rows else 0
    return replace(batches, rows=rows, carried=carried)


def naming(versions: Mapping[str, tuple[Collection[str], str]]) -> str:
    """SQL behind REPLACE that lets rows of quarantine name the version that stands beside them.

    Args:
        versions: by partition, those that stood before and the one that will.
    """
    cases = " ".join(
        f"WHEN {PARTITION} = {literal(key)} AND _data_version IN ({', '.join(map(literal, old))}) "
        f"THEN {literal(new)}"
        for key, (old, new) in versions.items()
        if old
    )
    return f"REPLACE (CASE {cases} ELSE _data_version END AS _data_version)" if cases else ""
