"""Files of a destination on this machine: whole or absent, once a version, each with a manifest."""

import hashlib
import os
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from factories import DAY, DAYS, NEXT_DAY
from files_project import AMOUNTS, Exports, lines

from data_platform.destinations.loading import deliver
from data_platform.engine.work import Work
from data_platform.errors import StorageError, StorageUnavailable, TimedOut
from data_platform.plan.explaining import explain_text
from data_platform.plan.naming import WHOLE
from data_platform.storage.workbench import Workbench
from data_platform.targets.answering import held
from data_platform.targets.files import places, writing

OTHERS = "SELECT 3 AS id, 0.5 AS amount"


def test_each_partition_is_one_file_with_a_manifest(exports: Exports) -> None:
    exports.declare()
    exports.publish(AMOUNTS, DAY)
    exports.publish(OTHERS, NEXT_DAY)
    loading = exports.deliver(DAY, NEXT_DAY, run="first")
    assert loading.loaded == {DAY, NEXT_DAY}
    ends = ("", ".manifest.json")
    assert exports.names() == sorted(f"{day}.csv{end}" for day in (DAY, NEXT_DAY) for end in ends)
    assert lines(exports.text(f"out/{DAY}.csv")) == ["id,amount", "1,10.10", "2,20.25"]
    assert exports.text(f"out/{NEXT_DAY}.csv") == "id,amount\n3,0.50\n"
    assert exports.held() == {key: one.data_version for key, one in loading.versions.items()}


def test_a_manifest_tells_how_to_know_the_file(exports: Exports) -> None:
    exports.declare()
    version = exports.publish(AMOUNTS, DAY).versions[DAY].data_version
    exports.deliver(DAY, run="first")
    content = exports.path(f"out/{DAY}.csv").read_bytes()
    manifest = exports.manifest(f"out/{DAY}.csv")
    assert manifest.pop("written_at").endswith("+00:00")
    assert manifest.pop("mark")
    assert manifest == {
        "manifest": 1,
        "file": f"{DAY}.csv",
        "asset": "staging/shop/orders",
        "partition": DAY,
        "data_version": version,
        "rows": 2,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "format": {
            "name": "csv",
            "compression": "none",
            "delimiter": ",",
            "header": True,
            "null_value": "",
        },
        "columns": {"id": "INTEGER", "amount": "DECIMAL(12,2)"},
        "run_id": "first",
    }


def test_the_same_version_is_put_once(exports: Exports) -> None:
    exports.declare()
    exports.publish(AMOUNTS, DAY)
    exports.deliver(DAY, run="first")
    before = exports.path(f"out/{DAY}.csv").stat()
    loading = exports.deliver(DAY, run="second")
    assert (loading.loaded, list(loading.versions)) == (frozenset(), [DAY])
    assert exports.path(f"out/{DAY}.csv").stat() == before
    assert exports.manifest(f"out/{DAY}.csv")["run_id"] == "first"


def test_a_new_version_replaces_the_file(exports: Exports) -> None:
    exports.declare()
    exports.publish(AMOUNTS, DAY)
    exports.publish(OTHERS, NEXT_DAY)
    exports.deliver(DAY, NEXT_DAY)
    exports.publish(OTHERS, DAY)
    assert exports.deliver(DAY, NEXT_DAY).loaded == {DAY}
    assert exports.text(f"out/{DAY}.csv") == "id,amount\n3,0.50\n"


def spoil_deleted(file: Path) -> None:
    file.unlink()


def spoil_changed(file: Path) -> None:
    file.write_text(file.read_text().replace("0.50", "9.99"))


def spoil_cut(file: Path) -> None:
    file.write_text("id,amo")


def spoil_manifest_deleted(file: Path) -> None:
    Path(f"{file}.manifest.json").unlink()


def spoil_manifest_broken(file: Path) -> None:
    Path(f"{file}.manifest.json").write_text('{"manifest": 1, "file"')


def spoil_manifest_of_another(file: Path) -> None:
    other = Path(f"{file}.manifest.json")
    other.write_text(other.read_text().replace(DAY, NEXT_DAY))


def spoil_manifest_of_a_later_form(file: Path) -> None:
    other = Path(f"{file}.manifest.json")
    other.write_text(other.read_text().replace('"manifest": 1', '"manifest": 2'))


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_deleted,
        spoil_changed,
        spoil_cut,
        spoil_manifest_deleted,
        spoil_manifest_broken,
        spoil_manifest_of_another,
        spoil_manifest_of_a_later_form,
    ],
)
def test_what_somebody_did_to_a_file_is_mended(exports: Exports, spoil: object) -> None:
    exports.declare()
    exports.publish(OTHERS, DAY)
    exports.deliver(DAY)
    assert callable(spoil)
    spoil(exports.path(f"out/{DAY}.csv"))
    assert exports.held() == {}
    assert exports.deliver(DAY).loaded == {DAY}
    assert exports.text(f"out/{DAY}.csv") == "id,amount\n3,0.50\n"
    assert list(exports.held()) == [DAY]


def test_a_file_whose_time_alone_is_another_stands(exports: Exports) -> None:
    exports.declare()
    exports.publish(OTHERS, DAY)
    exports.deliver(DAY)
    os.utime(exports.path(f"out/{DAY}.csv"), (0, 0))
    assert list(exports.held()) == [DAY]
    assert exports.deliver(DAY).loaded == frozenset()


@pytest.mark.parametrize(
    "more",
    [
        "    csv: {delimiter: ';'}\n",
        "    csv: {header: false}\n",
        "    csv: {null_value: 'NULL'}\n",
    ],
)
def test_files_are_written_anew_where_their_form_changed(exports: Exports, more: str) -> None:
    exports.declare()
    exports.publish(OTHERS, DAY)
    exports.deliver(DAY)
    exports.declare(more=more)
    assert exports.deliver(DAY).loaded == {DAY}
    assert exports.deliver(DAY).loaded == frozenset()


@pytest.mark.parametrize("which", ["put", "write"])
def test_a_crash_at_any_step_is_mended_by_the_next_run(
    exports: Exports, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    exports.declare()
    exports.publish(OTHERS, DAY)
    exports.deliver(DAY)
    before = exports.text(f"out/{DAY}.csv")
    exports.publish(AMOUNTS, DAY)

    def crash(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(places.Folder, which, crash)
        with pytest.raises(KeyboardInterrupt):
            exports.deliver(DAY)
    after = exports.text(f"out/{DAY}.csv")
    assert (after == before) == (which == "put")
    assert (DAY in exports.held()) == (which == "put")
    assert exports.deliver(DAY).loaded == {DAY}
    assert lines(exports.text(f"out/{DAY}.csv")) == ["id,amount", "1,10.10", "2,20.25"]
    assert exports.deliver(DAY).loaded == frozenset()


def test_what_a_killed_process_left_is_written_over(exports: Exports) -> None:
    exports.declare()
    exports.publish(OTHERS, DAY)
    exports.path("out").mkdir()
    exports.path(f"out/.{DAY}.csv.part").write_text("half a file that is longer than the whole one")
    exports.deliver(DAY)
    assert exports.names() == [f"{DAY}.csv", f"{DAY}.csv.manifest.json"]
    assert exports.text(f"out/{DAY}.csv") == "id,amount\n3,0.50\n"


def test_a_write_that_breaks_off_leaves_what_was_there(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.declare()
    exports.publish(OTHERS, DAY)
    exports.deliver(DAY)
    before = exports.held()
    exports.publish(AMOUNTS, DAY)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(places.shutil, "copyfileobj", full)
        with pytest.raises(StorageError, match=rf"out/{DAY}.csv: No space left on device"):
            exports.deliver(DAY)
    assert exports.text(f"out/{DAY}.csv") == "id,amount\n3,0.50\n"
    assert exports.held() == before
    assert exports.names() == [f"{DAY}.csv", f"{DAY}.csv.manifest.json"]


def test_a_file_system_that_is_away_may_be_back(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.declare()
    exports.publish(OTHERS, DAY)

    def stale(*_: object) -> None:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(places.os, "fsync", stale)
    with pytest.raises(StorageUnavailable, match="Stale file handle"):
        exports.deliver(DAY)


def test_readers_see_whole_files_only(exports: Exports) -> None:
    exports.declare()
    wholes = set()
    for number in range(1, 5):
        rows = f"SELECT {number} AS id, 1.0 AS amount FROM range({number * 5000})"
        wholes.add("id,amount\n" + f"{number},1.00\n" * (number * 5000))
        exports.publish(rows, DAY)
        if number == 1:
            exports.deliver(DAY)
            seen: set[str] = set()
            done = threading.Event()
            reader = threading.Thread(target=read_on, args=(exports, seen, done))
            reader.start()
        else:
            exports.deliver(DAY)
    done.set()
    reader.join()
    assert seen <= wholes
    assert exports.text(f"out/{DAY}.csv") in wholes


def read_on(exports: Exports, seen: set[str], done: threading.Event) -> None:
    while not done.is_set():
        seen.add(exports.text(f"out/{DAY}.csv"))


def test_files_that_were_put_stand_where_another_cannot_be(exports: Exports) -> None:
    exports.declare("out/{partition_key}/orders.csv")
    exports.publish(AMOUNTS, DAY)
    exports.publish(OTHERS, NEXT_DAY)
    exports.path("out").mkdir()
    exports.path(f"out/{NEXT_DAY}").write_text("no folder")
    with pytest.raises(StorageError, match=rf"out/{NEXT_DAY}/orders.csv: "):
        exports.deliver(DAY, NEXT_DAY)
    assert list(exports.held()) == [DAY]
    exports.path(f"out/{NEXT_DAY}").unlink()
    assert exports.deliver(DAY, NEXT_DAY).loaded == {NEXT_DAY}


def test_a_range_is_read_once_in_few_statements(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.declare("out/{partition_start:%Y/%m/%d}/orders.parquet")
    exports.project.land_all(
        "staging/orders",
        {
            day: f"SELECT i AS id, '{day}' AS day FROM range({5 if n % 3 else 0}) AS t(i)"
            for n, day in enumerate(DAYS)
        },
    )
    monkeypatch.setattr(writing, "PARTITIONS_AT_ONCE", 4)
    asked: list[list[str]] = []
    original = writing.Writer.write

    def write(self: writing.Writer, keys: list[str]) -> dict[str, writing.Staged]:
        asked.append(list(keys))
        return original(self, keys)

    monkeypatch.setattr(writing.Writer, "write", write)
    exports.deliver(*DAYS)
    assert asked == [DAYS[:4], DAYS[4:8], DAYS[8:]]
    for number, day in enumerate(DAYS):
        table = pq.read_table(exports.path(f"out/{day.replace('-', '/')}/orders.parquet"))
        assert table.column_names == ["id", "day"]
        assert set(table.column("day").to_pylist()) == ({day} if number % 3 else set())
        assert table.num_rows == (5 if number % 3 else 0)


def test_a_partition_of_many_rows_has_a_statement_of_its_own(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.declare()
    for day, rows in zip(DAYS[:4], (3, 3, 30, 3), strict=True):
        exports.publish(f"SELECT i AS id, 1.0 AS amount FROM range({rows}) AS t(i)", day)
    monkeypatch.setattr(writing, "ROWS_AT_ONCE", 10)
    assert exports.deliver(*DAYS[:4]).loaded == set(DAYS[:4])
    counted = [len(exports.text(f"out/{day}.csv").splitlines()) - 1 for day in DAYS[:4]]
    assert counted == [3, 3, 30, 3]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("out/{partition_key}.csv", b"id,amount\n"),
        ("out/{partition_key}.jsonl", b""),
    ],
)
def test_a_partition_without_rows_is_a_whole_file(
    exports: Exports, path: str, content: bytes
) -> None:
    exports.declare(path)
    exports.publish(f"{AMOUNTS} WHERE FALSE", DAY)
    exports.deliver(DAY)
    name = path.replace("{partition_key}", DAY)
    assert exports.path(name).read_bytes() == content
    assert exports.manifest(name)["rows"] == 0
    assert exports.deliver(DAY).loaded == frozenset()


def test_an_asset_without_partitions_is_one_file(exports: Exports) -> None:
    exports.declare("out/orders.csv", daily=False)
    exports.publish(AMOUNTS)
    exports.deliver()
    exports.publish(OTHERS)
    assert exports.deliver().loaded == {WHOLE}
    assert exports.text("out/orders.csv") == "id,amount\n3,0.50\n"
    assert list(exports.held()) == [WHOLE]


def test_a_partition_that_was_never_published_is_told(exports: Exports) -> None:
    exports.declare()
    exports.publish(AMOUNTS, DAY)
    loading = exports.deliver(DAY, NEXT_DAY)
    assert loading.loaded == {DAY}
    assert loading.absent == {
        NEXT_DAY: f"staging/shop/orders has no published partition {NEXT_DAY}"
    }


def test_rights_of_a_file_stay(exports: Exports) -> None:
    exports.declare()
    exports.publish(AMOUNTS, DAY)
    exports.deliver(DAY)
    exports.path(f"out/{DAY}.csv").chmod(0o640)
    exports.publish(OTHERS, DAY)
    exports.deliver(DAY)
    assert exports.path(f"out/{DAY}.csv").stat().st_mode & 0o777 == 0o640


def test_a_step_that_is_ended_puts_nothing(exports: Exports) -> None:
    exports.declare()
    exports.publish(AMOUNTS, DAY)
    work = Work()
    work.stop(TimedOut("after 1 s"))
    workbench = exports.project.workbench
    stopped = type(workbench)(workbench.lake, threads=1, work=work)
    with pytest.raises(TimedOut, match="after 1 s"):
        delivering_with(exports, stopped)
    assert exports.held() == {}
    assert not exports.path("out").exists()


def delivering_with(exports: Exports, workbench: object) -> None:
    assert isinstance(workbench, Workbench)
    deliver(exports.node(), [DAY], workbench, exports.outside, "run")


def test_a_name_may_hold_all_that_a_file_may(exports: Exports) -> None:
    exports.declare("out/größe & co {partition_key}/a b%20.csv")
    exports.publish(OTHERS, DAY)
    exports.deliver(DAY)
    assert exports.text(f"out/größe & co {DAY}/a b%20.csv") == "id,amount\n3,0.50\n"
    assert list(exports.held()) == [DAY]


def test_looking_lists_no_folder(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    exports.declare()
    exports.publish(AMOUNTS, DAY)
    exports.deliver(DAY)
    node = exports.node()

    def listed(*_: object) -> list[str]:
        raise AssertionError

    for owner, name in ((os, "listdir"), (os, "scandir"), (Path, "iterdir"), (Path, "glob")):
        monkeypatch.setattr(owner, name, listed)
    assert list(held(node, exports.outside)) == [DAY]


def test_explain_tells_path_and_format(exports: Exports) -> None:
    exports.declare("out/{partition_key}.csv.gz")
    text = explain_text(exports.project.build().plan, [exports.node().key], width=200)
    assert "{partition_key}.csv.gz" in text
    assert "csv" in text
    assert "gzip" in text
