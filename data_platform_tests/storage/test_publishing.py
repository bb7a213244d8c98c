"""Publishing: what is current, in which version, and what a reader or a crash sees of it."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from factories import DAY, DAYS, NEXT_DAY, Project, key_of
from object_storage import on_both_places

from data_platform.errors import ContractError, StorageError
from data_platform.plan.naming import PARTITION
from data_platform.storage import publish as publishing
from data_platform.storage.lake import Lake
from data_platform.storage.publish import Unwritten, Written, publish, write
from data_platform.storage.scratch import remove_abandoned, scratch_folder


def version(project: Project, partition: str = "") -> str:
    snapshot = project.table("raw/orders").snapshot()
    assert snapshot is not None
    return snapshot.partitions[partition].data_version


def files_of(project: Project) -> list[str]:
    names = project.stored("raw/shop/orders")
    return [name for name in names if name.endswith(".parquet")]


def delta_table(project: Project, version: int | None = None) -> DeltaTable:
    table = project.table("raw/orders")
    options = dict(table.place.storage_options or {})
    return DeltaTable(table.path, version=version, storage_options=options)


def lake_version(project: Project) -> int:
    snapshot = project.table("raw/orders").snapshot()
    assert snapshot is not None
    return snapshot.version


def landed_version(project: Project, rows: str) -> str:
    project.land("raw/orders", rows)
    return version(project)


def test_the_same_rows_twice_are_one_commit(project: Project) -> None:
    first = project.land("raw/orders", "SELECT 1 AS v")
    second = project.land("raw/orders", "SELECT 1 AS v")
    assert (first.changed, second.changed) == ({""}, set())
    assert (lake_version(project), second.lake_version) == (0, 0)


def test_the_order_of_rows_does_not_count(project: Project) -> None:
    rows = "SELECT i AS v, i || 'x' AS s FROM range(1000) t(i) ORDER BY i"
    assert landed_version(project, rows) == landed_version(project, f"{rows} DESC")


@pytest.mark.parametrize(
    "other",
    [
        "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (2, 'b')) t(v, s)",
        "SELECT * FROM (VALUES (1, 'a')) t(v, s)",
        "SELECT * FROM (VALUES (1, 'a'), (2, 'c')) t(v, s)",
        "SELECT * FROM (VALUES (1, 'b'), (2, 'a')) t(v, s)",
        "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) t(v, s)",
        "SELECT * FROM (VALUES (1, 'a'), (1, 'a')) t(v, s)",
        "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t(v, s) WHERE FALSE",
        "SELECT v, s, NULL::INT AS n FROM (VALUES (1, 'a'), (2, 'b')) t(v, s)",
    ],
)
def test_other_rows_are_another_version(project: Project, other: str) -> None:
    first = landed_version(project, "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t(v, s)")
    assert landed_version(project, other) != first


def test_two_copies_are_not_no_copies(project: Project) -> None:
    first = landed_version(project, "SELECT 1 AS v FROM range(2)")
    assert landed_version(project, "SELECT 1 AS v FROM range(4)") != first


def test_a_list_column_is_the_same_the_second_time(project: Project) -> None:
    project.land("raw/orders", "SELECT ['a'] AS l, 1::DECIMAL(9,2) AS d, now() AS t WHERE FALSE")
    project.land("raw/orders", "SELECT ['b'] AS l, 2::DECIMAL(9,2) AS d, NULL::TIMESTAMPTZ AS t")
    assert project.rows("raw/orders")[0]["l"] == ["b"]


def test_computed_doubles_count_to_twelve_digits(project: Project) -> None:
    def computed(value: str) -> str:
        with project.workbench.open() as (session, scratch):
            session.run(f"CREATE TEMP TABLE t AS SELECT {value}::DOUBLE AS v, '' AS {PARTITION}")
            rows = Unwritten("SELECT v", "FROM t", computed=True)
            return write(session, rows, scratch / "w", [""]).versions[""].data_version

    assert computed("0.1 + 0.2::DOUBLE") == computed("0.3")
    assert computed("0.30000001") != computed("0.3")
    assert computed("'nan'") != computed("NULL")


def test_an_empty_partition_is_published_as_empty(project: Project) -> None:
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v WHERE FALSE", NEXT_DAY: "SELECT 1 AS v"})
    snapshot = project.table("raw/orders").snapshot()
    assert snapshot is not None
    assert {key: found.rows for key, found in snapshot.partitions.items()} == {DAY: 0, NEXT_DAY: 1}


def test_an_empty_partition_is_the_same_alone_and_in_a_range(project: Project) -> None:
    empty = "SELECT 1 AS v, now() AS t, 'x' AS s, [1.5] AS l WHERE FALSE"
    project.land("raw/orders", empty, DAY)
    alone = version(project, DAY)
    project.land_all("raw/orders", {DAY: empty, NEXT_DAY: empty.replace(" WHERE FALSE", "")})
    assert version(project, DAY) == alone


def test_only_changed_partitions_are_committed(project: Project) -> None:
    project.land_all("raw/orders", dict.fromkeys(DAYS, "SELECT 1 AS v"))
    changed = {day: f"SELECT {1 if day == DAY else 2} AS v" for day in DAYS}
    assert project.land_all("raw/orders", changed).changed == set(DAYS[1:])


def test_a_former_version_comes_back(project: Project) -> None:
    for value in (1, 2, 1, 2):
        project.land("raw/orders", f"SELECT {value} AS v")
    assert project.column("raw/orders", "v") == [2]
    assert lake_version(project) == 3


@on_both_places
def test_a_new_column_is_added(project: Project) -> None:
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    project.land("raw/orders", "SELECT 2 AS v, 'x' AS s", NEXT_DAY)
    assert project.rows("raw/orders") == [{"v": 1, "s": None}, {"v": 2, "s": "x"}]


def test_a_lost_column_stays_in_the_table(project: Project) -> None:
    project.land("raw/orders", "SELECT 2 AS v, 'x' AS s", NEXT_DAY)
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    snapshot = project.table("raw/orders").snapshot()
    assert snapshot is not None
    assert snapshot.schema.names == ["v", "s"]


@pytest.mark.parametrize(
    ("before", "after"), [("1", "'x'"), ("1", "1.5"), ("1::INT", "1::BIGINT"), ("['a']", "[1]")]
)
def test_a_changed_type_is_refused(project: Project, before: str, after: str) -> None:
    project.land("raw/orders", f"SELECT {before} AS v", DAY)
    with pytest.raises(ContractError, match=r"column v is .* in the table and .* now; convert"):
        project.land("raw/orders", f"SELECT {after} AS v", NEXT_DAY)
    assert project.rows("raw/orders", NEXT_DAY) == []


def test_rows_of_a_partition_that_nobody_asked_for_are_an_error(project: Project) -> None:
    with project.workbench.open() as (session, scratch):
        session.run(f"CREATE TEMP TABLE t AS SELECT 1 AS v, '{NEXT_DAY}' AS {PARTITION}")
        with pytest.raises(StorageError, match=f"nobody asked for: {NEXT_DAY}"):
            write(session, Unwritten("SELECT v", "FROM t"), scratch / "w", [DAY])


@on_both_places
def test_another_reader_of_delta_sees_the_same(project: Project) -> None:
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 2 AS v"})
    found = delta_table(project).to_pyarrow_table()
    assert sorted(found.to_pylist(), key=str) == [
        {"v": 1, "partition": DAY},
        {"v": 2, "partition": NEXT_DAY},
    ]


@on_both_places
def test_publishers_of_disjoint_partitions_lose_nothing(project: Project) -> None:
    errors: list[Exception] = []

    def publisher(number: int) -> None:
        try:
            for value in range(5):
                project.land("raw/orders", f"SELECT {value} AS v, {number} AS n", DAYS[number])
        except Exception as error:  # noqa: BLE001  told below
            errors.append(error)

    threads = [threading.Thread(target=publisher, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [(r["v"], r["n"]) for r in project.rows("raw/orders")] == [(4, n) for n in range(4)]


@on_both_places
def test_publishers_that_each_add_a_column_lose_none(project: Project) -> None:
    project.land("raw/orders", "SELECT 0 AS v", DAYS[9])
    threads = [
        threading.Thread(
            target=project.land, args=("raw/orders", f"SELECT 1 AS c{number}", DAYS[number])
        )
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = project.table("raw/orders").snapshot()
    assert snapshot is not None
    assert set(snapshot.schema.names) == {"v", "c0", "c1", "c2", "c3"}
    assert len(snapshot.partitions) == 5


@on_both_places
def test_a_reader_sees_whole_versions_only(project: Project) -> None:
    days = DAYS[:3]
    project.land_all("raw/orders", dict.fromkeys(days, "SELECT 0 AS v FROM range(5)"))
    seen: list[set[object]] = []
    done = threading.Event()

    def reader() -> None:
        while not done.is_set():
            found = project.rows("raw/orders")
            assert len(found) == 15
            seen.append({row["v"] for row in found})

    thread = threading.Thread(target=reader)
    thread.start()
    for value in range(1, 8):
        project.land_all("raw/orders", dict.fromkeys(days, f"SELECT {value} AS v FROM range(5)"))
    done.set()
    thread.join()
    assert seen
    assert all(len(values) == 1 for values in seen)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from data_platform.storage import lake
from factories import Project, lake_of
project = Project.__new__(Project)
from data_platform.storage.workbench import Workbench
project.workbench = Workbench(lake_of(Path({folder!r}), {root!r}), threads=1)
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
lake.DeltaLog.insist = die
project.land("raw/orders", "SELECT 2 AS v", "2024-01-01")
"""


@on_both_places
def test_a_kill_between_move_and_commit_leaves_the_last_version_and_can_be_run_again(
    project: Project,
) -> None:
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    tests = str(Path(__file__).parents[1])
    root = project.workbench.lake.root
    code = KILLED.format(tests=tests, folder=str(project.folder), root=root)
    died = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    assert project.column("raw/orders", "v") == [1]
    assert len(files_of(project)) == 2
    assert list(project.workbench.lake.scratch_root.iterdir())
    project.land("raw/orders", "SELECT 2 AS v", DAY)
    assert project.column("raw/orders", "v") == [2]
    assert len(files_of(project)) == 2
    assert list(project.workbench.lake.scratch_root.iterdir()) == []


def test_scratch_is_gone_after_its_step_even_if_that_fails(tmp_path: Path) -> None:
    with (  # noqa: PT012 -- the folder holds something when its step fails
        pytest.raises(ZeroDivisionError),
        scratch_folder(tmp_path) as folder,
    ):
        (folder / "x").write_text("x")
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_scratch_of_a_living_process_stays(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        remove_abandoned(tmp_path)
        assert folder.is_dir()


def test_scratch_of_a_living_process_stays_when_the_clock_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scratch_folder(tmp_path) as folder:
        real = psutil.Process.create_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + 1.5)
        remove_abandoned(tmp_path)
        assert folder.is_dir()


def test_scratch_of_another_machine_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    with scratch_folder(tmp_path) as folder:
        name = folder.name
    monkeypatch.undo()
    (tmp_path / name.replace(str(os.getpid()), "999999999")).mkdir()
    remove_abandoned(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_scratch_of_another_machine_goes_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    with scratch_folder(tmp_path) as folder:
        name = folder.name
    monkeypatch.undo()
    (tmp_path / name).mkdir()
    long_ago = time.time() - 30 * 86_400
    os.utime(tmp_path / name, (long_ago, long_ago))
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_scratch_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    remove_abandoned(tmp_path)
    assert (tmp_path / "notes").is_dir()


def test_a_table_that_is_not_there_has_no_snapshot(tmp_path: Path) -> None:
    assert Lake(tmp_path).table(key_of("raw/none")).snapshot() is None


@on_both_places
def test_files_are_named_after_what_they_hold(project: Project) -> None:
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    [file] = files_of(project)
    assert file.startswith(f"partition={DAY}/{version(project, DAY)}-")
    table = project.table("raw/orders")
    content = table.place.read(f"{table.relative}/{file}")
    assert pq.ParquetFile(io.BytesIO(content or b"")).schema_arrow.names == ["v"]


def uniform(project: Project, *keys: str) -> bool:
    snapshot = project.table("raw/orders").snapshot()
    assert snapshot is not None
    return snapshot.files(keys).uniform


@pytest.mark.parametrize(
    "later",
    [
        "SELECT 2 AS v, 'b' AS s, 1 AS came",
        "SELECT 2 AS v",
        "SELECT 'b' AS s, 2 AS v",
    ],
)
def test_only_files_with_the_columns_of_the_table_are_read_alike(
    project: Project, later: str
) -> None:
    project.land("raw/orders", "SELECT 1 AS v, 'a' AS s", DAY)
    assert uniform(project, DAY)
    project.land("raw/orders", later, NEXT_DAY)
    assert not uniform(project, DAY, NEXT_DAY)
    assert project.column("raw/orders", "v", DAY, NEXT_DAY) == [1, 2]


@pytest.mark.parametrize(
    "kind",
    [
        "VARCHAR", "BLOB", "VARCHAR[]", "DECIMAL(12,2)[]", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE",
        "DATE", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DECIMAL(38,9)",
    ],
)  # fmt: skip
def test_the_table_says_of_a_type_what_its_file_says(project: Project, kind: str) -> None:
    project.land("raw/orders", f"SELECT CAST(NULL AS {kind}) AS v", DAY)
    assert uniform(project, DAY)


@on_both_places
def test_a_partitions_folder_in_the_table_keeps_what_is_in_it(project: Project) -> None:
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    project.land("raw/orders", "SELECT 2 AS v", DAY)
    assert len(files_of(project)) == 2
    before = delta_table(project, version=0)
    assert before.to_pyarrow_table().column("v").to_pylist() == [1]


def in_parts(project: Project, rows: str, keys: list[str]) -> Written:
    with project.workbench.open() as (session, scratch):
        session.run(f"CREATE TEMP TABLE _stored AS {rows}")
        once = Unwritten("SELECT v", "FROM _stored WHERE TRUE")
        whole = write(session, once, scratch / "w", keys)
        parts = write(session, replace(once, streamed=False), scratch / "p", keys)
        assert len(list((scratch / "p").glob("*/partition=*"))) == len(keys) - 1
        assert {k: v.data_version for k, v in parts.versions.items()} == {
            k: v.data_version for k, v in whole.versions.items()
        }
        publish(project.table("raw/orders"), parts, {})
        return parts


def test_partitions_that_are_written_in_parts_are_the_same(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "PARTITIONS_AT_ONCE", 3)
    rows = f"SELECT i AS v, list_value{tuple(DAYS)}[1 + i % 9] AS {PARTITION} FROM range(90) t(i)"
    written = in_parts(project, rows, DAYS)
    assert [version.rows for version in written.versions.values()] == [10] * 9 + [0]
    assert len(project.column("raw/orders", "v", *DAYS)) == 90


@pytest.mark.parametrize("stranger", ["'1999-01-01'", f"'{DAYS[4]}x'", "'2999-01-01'", "NULL"])
def test_rows_of_other_partitions_are_found_in_every_part(
    project: Project, monkeypatch: pytest.MonkeyPatch, stranger: str
) -> None:
    monkeypatch.setattr(publishing, "PARTITIONS_AT_ONCE", 3)
    rows = f"SELECT 1 AS v, unnest({DAYS}) AS {PARTITION} UNION ALL SELECT 1, {stranger}"
    with pytest.raises(StorageError, match="rows of partitions that nobody asked for"):
        in_parts(project, rows, DAYS)
