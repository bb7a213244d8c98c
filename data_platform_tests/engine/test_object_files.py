# ruff: noqa: E501 -- statements stand in a line
"""A session reads a lake in a bucket as it reads one in a folder, and no more of it than it must."""

import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_storage import (
    BUSY,
    DENIED,
    NO_BUCKET,
    Asked,
    Cut,
    Fault,
    FaultyStorage,
    Lost,
    Slow,
    Torn,
    faulty_storage,
)
from object_storage import SECRET_KEY, Bucket

from data_platform.engine.lake_files import LakeFiles, Newest
from data_platform.engine.lake_frames import read_frame
from data_platform.engine.object_store import ObjectStore
from data_platform.engine.session import Session, open_session
from data_platform.errors import PermanentError, PlatformError, StorageError, StorageUnavailable
from data_platform.plan.naming import PROVENANCE

DAYS = "SELECT i AS a, i / 2 AS b, 'text ' || i AS t, '2024-01-' || LPAD((1 + i % 6)::VARCHAR, 2, '0') AS partition FROM RANGE(2000) AS r (i)"
ALL = "SELECT * EXCLUDE (_file), SPLIT_PART(_file, '/', -2) AS folder FROM x ORDER BY a"


class Table:
    """Files of a table, in a folder and in a bucket."""

    def __init__(self, folder: Path, storage: FaultyStorage) -> None:
        self.folder, self.storage = folder / "lake", storage
        self.scratch = folder / "scratch"
        self.folder.mkdir()
        self.bucket = Bucket()
        self.partitioned = False

    def write(self, sql: str, *, name: str = "data", partitioned: bool = False) -> None:
        """Write rows to one file, or to one for each of their partitions."""
        self.partitioned = self.partitioned or partitioned
        by = ", PARTITION_BY (partition), OVERWRITE_OR_IGNORE" if partitioned else ""
        target = self.folder if partitioned else self.folder / f"{name}.parquet"
        with duckdb.connect() as connection:
            connection.execute("SET threads = 1")
            connection.execute(f"COPY ({sql}) TO '{target}' (FORMAT parquet{by})")

    def paths(self) -> list[Path]:
        """Of all files, by name."""
        return sorted(self.folder.rglob("*.parquet"))

    def files(self, *, here: bool, uniform: bool = True, newest: Newest | None = None) -> LakeFiles:
        """All of them, at one of both places."""
        paths = self.paths()
        sizes = [path.stat().st_size for path in paths]
        schemas = [pq.ParquetFile(path).schema_arrow for path in paths]
        schema = pa.unify_schemas(schemas)
        schema = pa.schema([f for f in schema if f.name not in PROVENANCE])
        if here:
            names = [str(path) for path in paths]
        else:
            keys = [f"lake/{path.relative_to(self.folder)}" for path in paths]
            names = [f"{self.bucket.url}/{key}" for key in keys]
            for path, key in zip(paths, keys, strict=True):
                self.bucket.put(key, path.read_bytes())
        return LakeFiles(names, schema, self.partitioned, uniform, newest, sizes)

    @contextmanager
    def session(self, **connection: str | None) -> Generator[Session]:
        """A session over both places."""
        reached = self.storage.connection(self.bucket, **connection)
        folders = [self.folder, f"{self.bucket.url}/lake"]
        store = ObjectStore(reached, self.bucket.name)
        with open_session(self.scratch, folders, "500MB", 2, bucket=store) as session:
            yield session


@pytest.fixture
def storage() -> Iterator[FaultyStorage]:
    with faulty_storage() as server:
        yield server


@pytest.fixture
def table(tmp_path: Path, storage: FaultyStorage) -> Table:
    return Table(tmp_path, storage)


def whole(table: Table) -> Mapping[str, object]:
    table.write("SELECT i AS a, 'text ' || i AS t FROM RANGE(1000) AS r (i)")
    return {}


def partitioned(table: Table) -> Mapping[str, object]:
    table.write(DAYS, partitioned=True)
    return {}


def other_columns(table: Table) -> Mapping[str, object]:
    table.write(DAYS, partitioned=True)
    later = "SELECT i AS a, NULL::DOUBLE AS b, 'late' AS t, i % 2 = 0 AS new, '2024-02-01' AS partition FROM RANGE(2000, 2100) AS r (i)"
    table.write(later, partitioned=True)
    return {"uniform": False}


def in_batches(table: Table) -> Mapping[str, object]:
    for batch in range(1, 5):
        rows = f"SELECT i AS a, {batch} AS at, 'from {batch}' AS t FROM RANGE({batch * 10}, {batch * 10 + 30}) AS r (i)"
        table.write(rows, name=f"{batch:03}")
    return {"newest": Newest(("a",), "at")}


def empty(table: Table) -> Mapping[str, object]:
    table.write("SELECT i AS a, 'x' AS t FROM RANGE(0) AS r (i)")
    return {}


@pytest.mark.parametrize("write", [whole, partitioned, other_columns, in_batches, empty])
def test_rows_are_those_of_a_folder(
    table: Table, write: Callable[[Table], dict[str, object]]
) -> None:
    options = write(table)
    found: list[list[tuple[object, ...]]] = []
    with table.session() as session:
        for here in (True, False):
            session.show("x", table.files(here=here, **options))  # type: ignore[arg-type]
            found.append(session.rows(ALL))
    assert found[0] == found[1]
    assert bool(found[0]) == (write is not empty)
    # Each file by one request, and nothing else.
    assert set(table.storage.kinds()) <= {"GetObject"}
    assert len(table.storage.asked) == len(table.paths())


def test_a_relation_of_no_files_asks_for_nothing(table: Table) -> None:
    with table.session() as session:
        session.show("x", LakeFiles([], pa.schema([("a", pa.int64())]), partitioned=True))
        assert session.rows("SELECT * FROM x") == []
    assert table.storage.asked == []


def test_the_columns_that_tell_a_rows_file_are_read_by_name(table: Table) -> None:
    table.write(DAYS, partitioned=True)
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in PROVENANCE.items())
    table.write(
        f"SELECT 1::BIGINT AS a, 2.5::DOUBLE AS b, 'x' AS t, {columns}, '2024-03-01' AS partition",
        partitioned=True,
    )
    with table.session() as session:
        session.show("x", table.files(here=False), provenance=True)
        assert session.rows(f"SELECT COUNT(*), COUNT({next(iter(PROVENANCE))}) FROM x") == [
            (2001, 0)
        ]
    assert len(table.storage.asked) == 7


def _table(frame: Any) -> pa.Table:
    if isinstance(frame, pa.RecordBatchReader):
        return frame.read_all()
    if isinstance(frame, duckdb.DuckDBPyRelation):
        return frame.order("a").to_arrow_reader().read_all()
    return frame


def test_frames_are_those_of_a_folder(table: Table) -> None:
    table.write(DAYS, partitioned=True)
    with table.session() as session:
        for kind in ("arrow", "reader", "pandas", "duckdb"):
            here, there = (
                _table(read_frame(session, table.files(here=here), kind, ["a", "t"]))
                for here in (True, False)
            )
            assert here.equals(there), kind


@pytest.mark.parametrize(
    "partition",
    [
        "a b",
        "a=b",
        "a:b",
        "ä€😀",
        "a%20b",
        "a+b",
        "a'b",
        "50%",
        "a&b?c#d",
        "[a-z]*",
        "2024-01-01T05:00",
    ],
)
def test_a_partition_may_be_called_anything(table: Table, partition: str) -> None:
    said = partition.replace("'", "''")
    table.write(
        f"SELECT 1 AS a, '{said}' AS partition UNION ALL SELECT 2, 'other'", partitioned=True
    )
    with table.session() as session:
        for here in (True, False):
            session.show("x", table.files(here=here))
            assert session.rows("SELECT a, _partition FROM x ORDER BY a") == [
                (1, partition),
                (2, "other"),
            ]


def test_only_columns_and_row_groups_that_are_needed_are_read(table: Table) -> None:
    table.write(
        "SELECT i AS a, MD5(i::VARCHAR) AS t, MD5((-i)::VARCHAR) AS u FROM RANGE(250000) AS r (i)"
    )
    size = table.paths()[0].stat().st_size
    with table.session() as session:
        session.show("x", table.files(here=False), hidden=False)
        assert session.rows("SELECT SUM(a) FROM x") == [(31249875000,)]
        assert table.storage.sent < size / 8
    table.storage.forget()
    with table.session() as session:
        session.show("x", table.files(here=False), hidden=False)
        assert session.rows("SELECT MIN(t) >= '' FROM x WHERE a BETWEEN 10 AND 20") == [(True,)]
        assert table.storage.sent < size / 3
    table.storage.forget()
    with table.session() as session:
        session.show("x", table.files(here=False), hidden=False)
        assert session.rows("SELECT COUNT(*), COUNT(DISTINCT t), COUNT(DISTINCT u) FROM x") == [
            (250000,) * 3
        ]
        assert size * 0.9 < table.storage.sent <= size * 1.05
        assert all(asked.range for asked in table.storage.asked)


def test_other_partitions_are_not_read(table: Table) -> None:
    table.write(DAYS, partitioned=True)
    with table.session() as session:
        session.show("x", table.files(here=False))
        session.rows("SELECT * FROM x WHERE _partition = '2024-01-05'")
    assert {asked.key.split("/")[-2] for asked in table.storage.asked} == {
        "partition=2024-01-01",
        "partition=2024-01-05",
    }


def test_what_was_read_is_not_asked_for_again(table: Table) -> None:
    table.write(DAYS, partitioned=True)
    with table.session() as session:
        session.show("x", table.files(here=False))
        session.rows(ALL)
        table.storage.forget()
        session.show("y", table.files(here=False, uniform=False))
        session.rows("SELECT * FROM x JOIN y USING (a)")
    assert table.storage.asked == []


@pytest.mark.campaign
def test_rows_come_whole_where_memory_is_short(table: Table) -> None:
    table.write("SELECT i AS a, MD5(i::VARCHAR) AS t FROM RANGE(4000000) AS r (i)")
    reached = ObjectStore(table.bucket.connection(), table.bucket.name)
    files = table.files(here=False)
    assert sum(files.sizes) > 120_000_000
    with open_session(table.scratch, [table.bucket.url], "100MB", 2, bucket=reached) as session:
        session.show("x", files, hidden=False)
        query = "SELECT COUNT(*), SUM(a), BIT_XOR(HASH(t)) FROM x"
        assert session.rows(query) == session.rows(query)


def test_nothing_but_the_files_that_were_shown_can_be_reached(table: Table) -> None:
    table.write("SELECT 1 AS a")
    files = table.files(here=False)
    table.bucket.put("lake/secret.txt", "secret")
    table.bucket.put("lakes/secret.txt", "secret")
    with table.session() as session:
        session.show("x", files)
        for key in ("lake/secret.txt", "lakes/secret.txt", "lake/*", "lake/../lakes/secret.txt"):
            with pytest.raises(
                (duckdb.PermissionException, PermanentError), match=r"no file that|Cannot access"
            ):
                session.rows(f"SELECT * FROM read_text('{table.bucket.url}/{key}')")
        with pytest.raises((duckdb.Error, PermanentError)):
            session.run(f"COPY (SELECT 1) TO '{table.bucket.url}/lake/new.parquet'")
        with pytest.raises((duckdb.Error, PermanentError)):
            session.run(f"COPY (SELECT 1) TO '{files.paths[0]}'")
        assert session.rows("SELECT a FROM x") == [(1,)]
    assert {asked.kind for asked in table.storage.asked} == {"GetObject"}


@pytest.mark.parametrize("fault", [BUSY, Cut(0), Lost(), Torn(100)])
def test_what_passes_is_tried_again(table: Table, fault: Fault) -> None:
    table.write(DAYS, partitioned=True)
    files = table.files(here=False)
    failed: set[str] = set()

    def once(asked: Asked) -> Fault | None:
        if asked.key in failed:
            return None
        failed.add(asked.key)
        return fault

    table.storage.rule = once
    with table.session() as session:
        session.show("x", files)
        assert session.rows("SELECT COUNT(*), SUM(a) FROM x") == [(2000, 1999000)]
    assert len(failed) == 6


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (BUSY, StorageUnavailable, r"s3://.*: the server answers 503 SlowDown"),
        (DENIED, StorageError, r"s3://.*: access denied \(InvalidAccessKeyId\)"),
        (NO_BUCKET, StorageError, r"s3://.*: there is no such bucket"),
        (Lost(), StorageUnavailable, r"s3://.*: the server can't be reached"),
        (Torn(100), StorageUnavailable, r"s3://.*: the server can't be reached"),
    ],
)  # fmt: skip
def test_what_stays_is_said_in_one_line(
    table: Table, fault: Fault, kind: type[PlatformError], message: str
) -> None:
    table.write(DAYS, partitioned=True)
    files = table.files(here=False)
    with table.session() as session:
        session.show("x", files)
        table.storage.rule = lambda asked: fault if "2024-01-04" in asked.key else None
        for read in (
            lambda: session.rows("SELECT * FROM x"),
            lambda: session.run("CREATE TABLE y AS SELECT * FROM x"),
        ):
            with pytest.raises(kind, match=message) as caught:
                read()
            text = str(caught.value)
            assert not [hidden for hidden in ("\n", SECRET_KEY, "Traceback") if hidden in text]
            assert "lake/partition=2024-01-04/" in text
        table.storage.rule = lambda _: None
        assert session.rows("SELECT COUNT(*) FROM x") == [(2000,)]


def test_an_error_in_a_relation_is_the_platforms_own(table: Table) -> None:
    table.write(DAYS, partitioned=True)
    files = table.files(here=False)
    table.storage.rule = lambda asked: DENIED if "2024-01-04" in asked.key else None
    for kind in ("arrow", "reader", "pandas", "duckdb"):
        with pytest.raises(StorageError, match="access denied"), table.session() as session:
            _table(read_frame(session, files, kind))


def test_a_file_that_was_removed_says_what_helps(table: Table) -> None:
    table.write("SELECT 1 AS a")
    files = table.files(here=False)
    gone = LakeFiles(
        [files.paths[0].replace("data", "gone")], files.schema, False, sizes=files.sizes
    )
    with (
        table.session() as session,
        pytest.raises(
            StorageUnavailable, match=r"gone.parquet was removed while it was read: run it again"
        ),
    ):
        session.show("x", gone)


@pytest.mark.parametrize("uniform", [True, False])
def test_a_step_that_is_to_end_waits_for_no_answer(table: Table, *, uniform: bool) -> None:
    table.write(DAYS, partitioned=True)
    files = table.files(here=False, uniform=uniform)
    asked = threading.Event()

    def never(_: Asked) -> Fault:
        asked.set()
        return Slow(120)

    table.storage.rule = never
    reason = PlatformError("somebody ended the run")
    stopped = pytest.raises(PlatformError, match="somebody ended the run")
    with stopped, table.session() as session:
        stopping = threading.Thread(target=lambda: asked.wait(20) and session.work.stop(reason))
        stopping.start()
        with session.work.stoppable(session.connection.interrupt):
            session.show("x", files)
            session.rows("SELECT * FROM x")
    stopping.join()
