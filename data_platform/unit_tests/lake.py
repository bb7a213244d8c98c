"""A lake that holds the rows that a test gives, and keeps what is published in memory.

Made by `unit_tests.running` for one test; the stages work with it as with any other. Rows that are
given are tables of the session: no file of them is written, and nothing is read but they.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types.

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_platform.engine.lake_files import LakeFiles
from data_platform.engine.session import Session
from data_platform.plan.keys import Key
from data_platform.plan.naming import FILE, PARTITION, PROVENANCE, ROW, WHOLE
from data_platform.plan.nodes import Node
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.storage.lake import Lake, LakeTable
from data_platform.storage.places.place import Place
from data_platform.storage.scratch import scratch_folder
from data_platform.storage.versions import DataFile, PartitionVersion, Snapshot
from data_platform.storage.workbench import Workbench
from data_platform.unit_tests.database import connected, folder

MASKING_KEY = "a key of unit tests, known to all"
"""By which `hash` masks in tests, so that they don't depend on anybody's secret."""
VERSION = "given"


@dataclass(frozen=True)
class GivenFiles(LakeFiles):
    """Rows of some partitions that a test gives.

    Attributes:
        table: the session's, of all partitions.
        keys: the partitions.
    """

    table: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class GivenSnapshot(Snapshot):
    """An upstream whose rows a test gives.

    Attributes:
        table: the session's.
        rows: with `_partition` and `_row`.
    """

    table: str = ""
    rows: pa.Table = field(default=None, repr=False)

    def files(self, keys: Iterable[str]) -> LakeFiles:
        """The rows of these partitions."""
        return self.all_rows(keys)

    def all_rows(self, keys: Iterable[str]) -> LakeFiles:
        """The same: nothing came in batches."""
        return GivenFiles(
            [], self.schema, self.partitioned, uniform=True, table=self.table, keys=tuple(keys)
        )


def given_snapshot(
    name: str, rows: pa.Table, partitions: Sequence[str], published: Iterable[str]
) -> GivenSnapshot:
    """Rows of an upstream as the lake would show them.

    Args:
        name: of a table of the session.
        rows: its own columns.
        partitions: of each row; `WHOLE` where the upstream has none.
        published: the partitions that are there without rows, or `WHOLE`.
    """
    counts = dict.fromkeys(published, 0)
    for key in partitions:
        counts[key] = counts.get(key, 0) + 1
    hidden = rows.append_column(PARTITION, pa.array(partitions, pa.string()))
    hidden = hidden.append_column(ROW, pa.array(range(len(partitions)), pa.int64()))
    versions = {
        key: PartitionVersion(VERSION, (DataFile(VERSION, count, 0),))
        for key, count in sorted(counts.items())
    }
    return GivenSnapshot(0, rows.schema, WHOLE not in counts, versions, table=name, rows=hidden)


class PublishedTable(LakeTable):
    """What was published of an asset, in memory; its place is never there."""

    def __init__(self, place: Place, relative: str) -> None:
        super().__init__(place, relative)
        self.rows: pa.Table | None = None
        """With `_partition`."""
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot | None:
        """Nothing before something was published."""
        return self._snapshot

    def publish(
        self,
        versions: Mapping[str, PartitionVersion],
        schema: pa.Schema,
        metadata: Mapping[str, str],  # noqa: ARG002 -- nobody reads it again
    ) -> int:
        """Keep the rows: their files go with the step."""
        parts = [
            pq.ParquetFile(file.path)
            .read()
            .append_column(PARTITION, pa.array([key] * file.rows, pa.string()))
            for key, version in sorted(versions.items())
            for file in version.files
        ]
        self.rows = pa.concat_tables(parts, promote_options="default")
        self._snapshot = Snapshot(0, schema, WHOLE not in versions, dict(versions))
        return 0


class TestLake(Lake):
    """Upstreams of a test, and what comes of them.

    Args:
        given: by asset.
    """

    __test__ = False

    def __init__(self, given: Mapping[Key, GivenSnapshot]) -> None:
        super().__init__(folder() / "lake")
        self.given = given
        self.published: dict[Key, PublishedTable] = {}

    def table(self, key: Key) -> LakeTable:
        """What is given of an asset, or was published."""
        relative = f"{key.layer}/{key.pipeline}/{key.name}"
        if key in self.given:
            return _GivenTable(self.place, relative, self.given[key])
        return self.published.setdefault(key, PublishedTable(self.place, relative))

    @property
    def scratch_root(self) -> Path:
        """Beside the lake that isn't there."""
        return folder() / "scratch"


class _GivenTable(LakeTable):
    def __init__(self, place: Place, relative: str, given: GivenSnapshot) -> None:
        super().__init__(place, relative)
        self._given = given

    def snapshot(self) -> Snapshot:
        return self._given


class TestSession(Session):
    """A session in which the rows that a test gives are tables, beside files of scratch."""

    __test__ = False

    def show(
        self, relation: str, files: LakeFiles, *, hidden: bool = True, provenance: bool = False
    ) -> None:
        """Make rows readable under a name, given ones or those of files."""
        if not isinstance(files, GivenFiles):
            super().show(relation, files, hidden=hidden, provenance=provenance)
            return
        own = [quoted(column.name) for column in files.schema]
        further = PROVENANCE if provenance else {}
        own += [f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in further.items()]
        if hidden:
            file = f"{literal(VERSION)} || '-' || {PARTITION} || '.parquet' AS {FILE}"
            own += [PARTITION, file, ROW]
        keys = ", ".join(map(literal, files.keys)) or "NULL"
        select = f"SELECT {', '.join(own)} FROM {quoted(files.table)} WHERE {PARTITION} IN ({keys})"
        self.run(f"CREATE OR REPLACE TEMP VIEW {quoted(relation)} AS {select}")


@dataclass(frozen=True)
class TestWorkbench(Workbench):
    """What a step of a test works with.

    Attributes:
        now: what the clock of its session says; None means the real one.
    """

    __test__ = False

    now: datetime | None = None

    @contextmanager
    def open(
        self,
        folders: Sequence[Path | str] = (),  # noqa: ARG002 -- tests read no folders
        timezone: str = "UTC",
        node: Node | None = None,
    ) -> Generator[tuple[Session, Path]]:
        """A session over the rows that are given, and a scratch folder of its own."""
        lake = self.lake
        given = lake.given.values() if isinstance(lake, TestLake) else ()
        with scratch_folder(lake.scratch_root) as scratch, connected(timezone) as connection:
            session = TestSession(connection)
            session.work = self.work
            for snapshot in given:
                session.register(snapshot.table, snapshot.rows)
            if self.now is not None:
                _set_clock(session, self.now)
            self.prepare(session, node)
            yield session, scratch


def _set_clock(session: Session, now: datetime) -> None:
    """Macros go before functions of the same name; these are all that read the clock."""
    moment = f"TIMESTAMPTZ {literal(now.isoformat())}"
    for name in ("now", "get_current_timestamp"):
        session.run(f"CREATE TEMP MACRO {name}() AS {moment}")
    today = f"CAST({moment} AS DATE)"
    for name in ("today", "current_date"):
        session.run(f"CREATE TEMP MACRO {name}() AS {today}")
    since = f"system.main.age(CAST({today} AS TIMESTAMP), CAST(a AS TIMESTAMP))"
    session.run(f"CREATE TEMP MACRO age(a) AS {since}, (a, b) AS system.main.age(a, b)")
