"""Pipelines and rows for tests: write YAML, land rows, compute, read back.

`Project` is a pipelines folder beside a lake; its defaults are the least that is sound, and each
test says only what it is about.
"""

import os
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from data_platform.analytics.computing import compute as compute_analytics
from data_platform.engine.outside import Outside
from data_platform.engine.session import Session, open_session
from data_platform.plan.building import BuiltPlan, build_plan
from data_platform.plan.keys import Key
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.nodes import AnalyticsNode, AnyNode, RawNode, StagingNode
from data_platform.plan.schemas import Column, Schema
from data_platform.plan.sources.kinds import Files
from data_platform.plan.sql.expressions import literal
from data_platform.quality.gate import Passage
from data_platform.quality.outcomes import Outcome
from data_platform.raw.extraction import extract
from data_platform.spec.platform import Connection, DatabaseConnection
from data_platform.spec.reading import Workspace, read_workspace
from data_platform.staging.computing import compute as compute_staging
from data_platform.storage.lake import Lake, LakeTable
from data_platform.storage.places.folder import Folder
from data_platform.storage.places.opening import place_of
from data_platform.storage.publish import Publication, Unwritten, publish, stored_select, write
from data_platform.storage.scratch import scratch_folder
from data_platform.storage.workbench import Workbench

PIPELINE = "shop"
DAY, NEXT_DAY = "2024-01-01", "2024-01-02"
DAYS = [f"2024-01-{day:02}" for day in range(1, 11)]
"""Ten days from the first partition on."""

PLATFORM = """
connections:
  shop: {type: database, url: postgresql://nowhere}
pools:
  database: 2
"""
PARTITIONED = "partitions: {every: day, start: 2024-01-01, end: 2024-02-01}\n"
SOURCE = "sources:\n  orders: {type: file, path: orders.parquet, partitions: none}\n"
DAILY_SOURCE = "sources:\n  orders: {type: database, connection: shop, table: orders, cursor: at}\n"

Known = Mapping[str, Mapping[str, str]]
Rows = str | pa.Table | Sequence[Mapping[str, object]]


def database_outside(url: str) -> Outside:
    """Every connection is this database."""
    return Outside(lambda _: DatabaseConnection(type="database", url=url), lambda text: text)


class Project:
    """A pipelines folder and a lake.

    Args:
        folder: of the test's own.
        lake_root: of its lake; None means a folder below.
    """

    def __init__(self, folder: Path, lake_root: str | None = None) -> None:
        self.folder = folder
        self.pipelines = folder / "pipelines"
        self.pipelines.mkdir()
        self.platform(PLATFORM)
        self.workbench = Workbench(lake_of(folder, lake_root or "lake"), threads=1)
        self._known: Known = {}

    def platform(self, text: str) -> None:
        """Write platform.yaml."""
        (self.pipelines / "platform.yaml").write_text(text)

    def declare(self, body: str, *, name: str = PIPELINE, daily: bool = False, **sql: str) -> Path:
        """Write a pipeline.

        Args:
            body: below the header; a source `orders` is added where it has no `sources`.
            name: of the pipeline.
            daily: whether there are partitions, and the source has them.
            sql: files beside it, by name without the ending.
        """
        folder = self.pipelines / name
        folder.mkdir(exist_ok=True)
        head = f"version: 1\npipeline: {name}\nowner: team:{name}\n{PARTITIONED if daily else ''}"
        source = "" if "sources:" in body else DAILY_SOURCE if daily else SOURCE
        (folder / "pipeline.yaml").write_text(f"{head}{source}{body}")
        for file, text in sql.items():
            (folder / f"{file}.sql").write_text(text)
        return folder / "pipeline.yaml"

    def know(self, **columns: Mapping[str, str]) -> None:
        """Tell the plan the columns of sources: `know(orders={"id": "BIGINT"})`."""
        self._known = columns

    def workspace(self) -> Workspace:
        """What is written, read."""
        return read_workspace([self.pipelines], os.environ, self.folder)

    def build(self) -> BuiltPlan:
        """The plan; what is written must be right as far as reading tells."""
        workspace = self.workspace()
        assert not workspace.broken, workspace.problems
        return build_plan(workspace, self._columns)

    def problems(self) -> list[str]:
        """What is wrong with the plan, as `file:line:column: message` with the file's name only."""
        folder = f"{self.pipelines}/"
        return [str(problem).replace(folder, "") for problem in self.build().problems]

    def node(self, text: str) -> AnyNode:
        """A node of the plan by `layer/name`, or the whole key."""
        built = self.build()
        assert not built.problems, "\n".join(map(str, built.problems))
        return built.plan[key_of(text)]

    def staging(self, name: str) -> StagingNode:
        """A staging node."""
        node = self.node(f"staging/{name}")
        assert isinstance(node, StagingNode)
        return node

    def table(self, text: str) -> LakeTable:
        """The table of an asset."""
        return self.workbench.lake.table(key_of(text))

    def stored(self, below: str) -> list[str]:
        """The names of all files below a folder of the lake, from there."""
        place = self.workbench.lake.place
        names = (found.relative.removeprefix(f"{below}/") for found in place.list(below))
        return sorted(names)

    def fetched(self, below: str) -> Path:
        """A folder of the lake to look into; of a lake in a bucket a copy as it is now."""
        place = self.workbench.lake.place
        if isinstance(place, Folder):
            return place.root / below
        copy = Path(tempfile.mkdtemp(dir=self.folder))
        for found in place.list(below):
            file = copy / found.relative.removeprefix(f"{below}/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(place.read(found.relative) or b"")
            os.utime(file, (found.modified.timestamp(),) * 2)
        return copy

    def land(self, text: str, rows: Rows, partition: str = WHOLE) -> Publication:
        """Publish rows without any check, as `raw` does."""
        return self.land_all(text, {partition: rows})

    def land_all(self, text: str, rows: Mapping[str, Rows]) -> Publication:
        """Publish several partitions in one commit."""
        with self._writing() as (session, scratch):
            parts = []
            for number, (partition, some) in enumerate(rows.items()):
                session.register(f"_rows{number}", arrow(some))
                parts.append(f"SELECT *, {literal(partition)} AS {PARTITION} FROM _rows{number}")
            session.run(f"CREATE TEMP VIEW _land AS {' UNION ALL BY NAME '.join(parts)}")
            select = stored_select(session, "_land", [PARTITION])
            landing = Unwritten(select, "FROM _land")
            written = write(session, landing, scratch / "land", list(rows))
            return publish(self.table(text), written, {})

    def land_source(
        self, name: str, *keys: str, url: str = "", connection: Connection | None = None
    ) -> Passage:
        """Land a source as the platform does."""
        node = at_once(self.node(f"raw/{name}"))
        outer = connection or DatabaseConnection(type="database", url=url)
        outside = Outside(lambda _: outer, lambda text: text)
        return extract(node, keys or [WHOLE], self.workbench, outside, {"run_id": "test"})

    def compute(self, text: str, *keys: str, run: str = "test") -> Passage:
        """Compute an asset of staging or analytics."""
        node = self.node(text)
        metadata = {"run_id": run}
        if isinstance(node, StagingNode):
            return compute_staging(node, keys or [WHOLE], self.workbench, metadata)
        assert isinstance(node, AnalyticsNode)
        return compute_analytics(node, keys or [WHOLE], self.workbench, metadata)

    def rows(self, text: str, *keys: str) -> list[dict[str, object]]:
        """The rows of an asset in order of their text; of all partitions, or of some."""
        snapshot = self.table(text).snapshot()
        if snapshot is None:
            return []
        with self._reading() as session:
            session.show("_rows", snapshot.files(keys or snapshot.partitions), hidden=False)
            found = session.connection.sql("SELECT * FROM _rows").to_arrow_table()
        return sorted(found.to_pylist(), key=str)

    def column(self, text: str, name: str, *keys: str) -> list[object]:
        """One column of `rows`."""
        return [row[name] for row in self.rows(text, *keys)]

    @contextmanager
    def _writing(self) -> Generator[tuple[Session, Path]]:
        lake = self.workbench.lake
        if lake.place.objects is not None:
            with self.workbench.open() as opened:
                yield opened
            return
        with scratch_folder(lake.scratch_root) as scratch, self._reading() as session:
            yield session, scratch

    @contextmanager
    def _reading(self) -> Generator[Session]:
        # Not the workbench's: that clears up what a killed process left.
        lake = self.workbench.lake
        bucket = lake.place.objects
        if bucket is None:
            with closing(Session(shared_duckdb())) as session:
                yield session
            return
        with open_session(self.folder, [lake.root], "1GB", threads=1, bucket=bucket) as session:
            yield session

    def _columns(self, node: RawNode) -> Schema | None:
        if node.key.name not in self._known:
            return None
        columns = (Column(name, kind) for name, kind in self._known[node.key.name].items())
        return Schema(tuple(columns), closed=True)


def lake_of(folder: Path, root: str) -> Lake:
    """A lake of a project in a folder, wherever its root is."""
    place = place_of(root, folder)
    return Lake(place, scratch=None if isinstance(place, Folder) else folder / "_scratch")


def at_once(node: AnyNode) -> RawNode:
    """A source that takes its files as they are, however new."""
    assert isinstance(node, RawNode)
    source = node.source
    return replace(node, source=replace(source, settle=0)) if isinstance(source, Files) else node


def key_of(text: str) -> Key:
    """A key from `layer/name`, of the default pipeline, or from `layer/pipeline/name`."""
    parts = text.split("/")
    return Key(parts[0], PIPELINE, parts[1]) if len(parts) == 2 else Key(*parts)


def shared_duckdb() -> duckdb.DuckDBPyConnection:
    """A connection of the caller's own; close it.

    All of one process are to one DuckDB in memory: starting one costs 10 ms, which is most of what
    landing or reading a few rows takes.
    """
    connection = _duckdb_of(os.getpid()).cursor()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@cache
def _duckdb_of(pid: int) -> duckdb.DuckDBPyConnection:
    # What was forked has none of the threads of the process it was forked from.
    return duckdb.connect(config={"threads": "1"})


def arrow(rows: Rows) -> pa.Table:
    """Rows as Arrow: from a SELECT, from dicts, or as they are."""
    if isinstance(rows, str):
        with shared_duckdb() as connection:
            return connection.sql(rows).to_arrow_table()
    return rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows))


def outcome(passage: Passage, name: str) -> Outcome:
    """The outcome of a check by its name."""
    return next(found for found in passage.outcomes if found.check.name == name)


def verdict(passage: Passage, name: str) -> str:
    """What came of a check."""
    return outcome(passage, name).verdict
