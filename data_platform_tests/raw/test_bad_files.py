"""A file that can't be read goes to quarantine with its reason, and the others go on."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import DAY, NEXT_DAY, Project, outcome, verdict

from data_platform.errors import SourceError

DAILY = "sources:\n  orders: {type: file, path: 'in/{partition_key}/*.csv'}\n"


def put(project: Project, name: str, content: bytes | str) -> Path:
    path = project.folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def declare(project: Project, path: str) -> None:
    project.declare(f"sources:\n  orders: {{type: file, path: '{path}'}}\n")


def kept(project: Project) -> list[Path]:
    folder = project.fetched("quarantine/files/shop/orders")
    return sorted(folder.iterdir()) if folder.exists() else []


def test_the_others_of_the_partition_go_on(project: Project) -> None:
    put(project, "in/a.csv", "id\n1\n")
    bad = put(project, "in/b.csv", "id\n2\n3,4\n")
    put(project, "in/c.csv", "id\n5\n")
    declare(project, "in/*.csv")
    passage = project.land_source("orders")
    assert not passage.failed
    assert project.column("raw/orders", "id") == [1, 5]
    assert verdict(passage, "bad_files") == "warn"
    finding = outcome(passage, "bad_files").findings[""]
    assert finding.offending == 1
    assert finding.detail == f"in quarantine: {bad}: line 3: 2 fields where 1 columns are"


def test_what_is_kept_of_a_bad_file(project: Project) -> None:
    bad = put(project, "in/größe b.csv", "id\n2\n3,4\n")
    put(project, "in/c.csv", "id\n5\n")
    declare(project, "in/*.csv")
    before = datetime.now(UTC)
    project.land_source("orders")
    copy, reason = kept(project)
    assert copy.name.endswith("-größe b.csv")
    assert reason.name == f"{copy.name}.reason.json"
    assert copy.read_bytes() == bad.read_bytes()
    said = json.loads(reason.read_text())
    assert said["file"] == str(bad)
    assert said["reason"] == "line 3: 2 fields where 1 columns are"
    assert said["checksum"] == copy.name.partition("-")[0]
    assert said["bytes"] == bad.stat().st_size
    assert datetime.fromisoformat(said["modified"]).timestamp() == pytest.approx(
        bad.stat().st_mtime, abs=1e-5
    )
    assert datetime.fromisoformat(said["quarantined"]) >= before
    assert said["run_id"] == "test"
    assert said["asset"] == "raw/shop/orders"


def test_a_file_that_is_still_bad_is_kept_once(project: Project) -> None:
    put(project, "in/b.csv", "id\n2,3\n")
    put(project, "in/c.csv", "id\n5\n")
    declare(project, "in/*.csv")
    project.land_source("orders")
    first = [(path.name, path.stat().st_mtime_ns) for path in kept(project)]
    passage = project.land_source("orders")
    assert [(path.name, path.stat().st_mtime_ns) for path in kept(project)] == first
    assert verdict(passage, "bad_files") == "warn"
    put(project, "in/b.csv", "id\n2\n")
    assert verdict(project.land_source("orders"), "bad_files") == "pass"
    assert project.column("raw/orders", "id") == [2, 5]


def test_a_partition_of_bad_files_alone_fails_by_itself(project: Project) -> None:
    project.declare(DAILY, daily=True)
    put(project, f"in/{DAY}/a.csv", "id\n1,2\n")
    put(project, f"in/{DAY}/b.csv", "")
    put(project, f"in/{NEXT_DAY}/a.csv", "id\n5\n")
    passage = project.land_source("orders", DAY, NEXT_DAY)
    assert list(passage.failed) == [DAY]
    assert "all 2 files are bad" in passage.failed[DAY]
    assert "b.csv: it has no bytes" in passage.failed[DAY]
    assert project.column("raw/orders", "id") == [5]
    assert len(kept(project)) == 4


def test_each_partition_tells_of_its_own_bad_files(project: Project) -> None:
    project.declare(DAILY, daily=True)
    for day in (DAY, NEXT_DAY):
        put(project, f"in/{day}/good.csv", "id\n1\n")
        put(project, f"in/{day}/bad.csv", f"id\n1,{day}\n")
    passage = project.land_source("orders", DAY, NEXT_DAY)
    findings = outcome(passage, "bad_files").findings
    assert {day: finding.offending for day, finding in findings.items()} == {DAY: 1, NEXT_DAY: 1}


def test_nothing_but_bad_files_fails(project: Project) -> None:
    put(project, "in/a.csv", "id\n1,2\n")
    declare(project, "in/*.csv")
    with pytest.raises(SourceError, match=r"its file is bad: .*a\.csv: line 2: 2 fields"):
        project.land_source("orders")
    assert len(kept(project)) == 2


def test_a_value_that_the_tables_type_does_not_take(project: Project) -> None:
    put(project, "in/a.csv", "id,name\n1,x\n")
    declare(project, "in/*.csv")
    project.land_source("orders")
    put(project, "in/b.csv", 'id,name\n2,"two\nlines"\nx,y\n')
    passage = project.land_source("orders")
    detail = outcome(passage, "bad_files").findings[""].detail
    assert detail is not None
    assert "b.csv: line 4: column id: x is not BIGINT" in detail
    assert project.column("raw/orders", "id") == [1]


@pytest.mark.parametrize("cut", [20, 2000])
def test_a_gzip_that_was_cut(project: Project, cut: int) -> None:
    packed = gzip.compress(b"id\n" + b"".join(b"%d\n" % (n * 7919) for n in range(9999)))
    put(project, "in/a.csv.gz", packed[:-cut])
    put(project, "in/b.csv.gz", gzip.compress(b"id\n1\n", mtime=0))
    declare(project, "in/*.csv.gz")
    passage = project.land_source("orders")
    detail = outcome(passage, "bad_files").findings[""].detail
    assert detail is not None
    assert "a.csv.gz: it is no whole gzip file" in detail
    assert project.column("raw/orders", "id") == [1]


def test_a_gzip_with_a_bit_flipped(project: Project) -> None:
    packed = bytearray(gzip.compress(b"id\n" + b"".join(b"%d\n" % n for n in range(9999))))
    packed[-6] ^= 1
    put(project, "in/a.csv.gz", bytes(packed))
    declare(project, "in/*.csv.gz")
    with pytest.raises(SourceError, match="no whole gzip file: CRC check failed"):
        project.land_source("orders")


def test_a_zstd_that_was_cut(project: Project) -> None:
    rows = b"id\n" + b"".join(b"%d\n" % (n * 7919) for n in range(99_999))
    packed = pa.compress(rows, codec="zstd", asbytes=True)
    put(project, "in/a.csv.zst", packed[:-100])
    put(project, "in/b.csv.zst", pa.compress(b"id\n1\n", codec="zstd", asbytes=True))
    declare(project, "in/*.csv.zst")
    passage = project.land_source("orders")
    assert project.column("raw/orders", "id") == [1]
    assert outcome(passage, "bad_files").findings[""].offending == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no bytes"),
        (b"PAR1", "too small to be a Parquet file"),
        (b"id,name\n1,a\n2,b\n", "No magic bytes"),
    ],
)
def test_what_is_no_parquet(project: Project, content: bytes, told: str) -> None:
    put(project, "in/a.parquet", content)
    pq.write_table(pa.table({"id": [1]}), project.folder / "in" / "b.parquet")
    declare(project, "in/*.parquet")
    passage = project.land_source("orders")
    assert told in (outcome(passage, "bad_files").findings[""].detail or "")
    assert project.column("raw/orders", "id") == [1]


def test_a_parquet_whose_column_is_of_another_type(project: Project) -> None:
    (project.folder / "in").mkdir()
    pq.write_table(pa.table({"id": [1]}), project.folder / "in" / "a.parquet")
    declare(project, "in/*.parquet")
    project.land_source("orders")
    pq.write_table(pa.table({"id": ["2"]}), project.folder / "in" / "b.parquet")
    passage = project.land_source("orders")
    detail = outcome(passage, "bad_files").findings[""].detail or ""
    assert detail.endswith("b.parquet: column id is VARCHAR, and the table has BIGINT")
    assert project.column("raw/orders", "id") == [1]


def test_a_parquet_of_a_narrower_type_is_widened(project: Project) -> None:
    (project.folder / "in").mkdir()
    pq.write_table(pa.table({"id": [1], "v": ["x"]}), project.folder / "in" / "a.parquet")
    declare(project, "in/*.parquet")
    project.land_source("orders")
    narrow = pa.table({"id": pa.array([2], pa.int16()), "v": pa.nulls(1)})
    pq.write_table(narrow, project.folder / "in" / "b.parquet")
    pq.write_table(pa.table({"id": [3.0]}), project.folder / "in" / "c.parquet")
    pq.write_table(pa.table({"id": [4.5]}), project.folder / "in" / "d.parquet")
    passage = project.land_source("orders")
    detail = outcome(passage, "bad_files").findings[""].detail or ""
    assert "d.parquet: column id: 4.5 is not BIGINT" in detail
    assert [tuple(row.values()) for row in project.rows("raw/orders")] == [
        (1, "x"),
        (2, None),
        (3, None),
    ]


def test_a_json_file_that_breaks_off(project: Project) -> None:
    put(project, "in/a.json", '[{"id": 1}, {"id":')
    put(project, "in/b.json", '[{"id": 2}]')
    declare(project, "in/*.json")
    passage = project.land_source("orders")
    assert "a.json: " in (outcome(passage, "bad_files").findings[""].detail or "")
    assert project.column("raw/orders", "id") == [2]


def test_lines_of_json_of_which_one_is_broken(project: Project) -> None:
    put(project, "in/a.jsonl", '{"id": 1}\n{"id": 2\n')
    put(project, "in/b.jsonl", '{"id": 3}\n')
    put(project, "in/c.jsonl.gz", gzip.compress(b'{"id": 4}\n', mtime=0))
    declare(project, "in/*.jsonl*")
    project.declare("sources:\n  orders: {type: file, path: 'in/*.jsonl*', format: jsonl}\n")
    passage = project.land_source("orders")
    assert "a.jsonl: " in (outcome(passage, "bad_files").findings[""].detail or "")
    assert project.column("raw/orders", "id") == [3, 4]


def test_a_copy_is_as_the_file_came(project: Project) -> None:
    bad = put(project, "in/a.csv", "id,name\n1,größe,x\n".encode("cp1252"))
    put(project, "in/b[1].csv", "id,name\n2\n")
    put(project, "in/c.csv", "id,name\n3,z\n")
    project.declare("sources:\n  orders: {type: file, path: in/*.csv, csv: {encoding: cp1252}}\n")
    project.land_source("orders")
    assert project.column("raw/orders", "id") == [3]
    copies = {path.name.partition("-")[2]: path for path in kept(project)}
    assert copies["a.csv"].read_bytes() == bad.read_bytes()
    assert copies["b[1].csv"].read_text() == "id,name\n2\n"
    assert not copies["b[1].csv"].is_symlink()


def test_what_the_pipeline_says_wrong_is_no_fault_of_a_file(project: Project) -> None:
    put(project, "in/a.csv", "id,name\n1,x\n")
    project.declare("sources:\n  orders: {type: file, path: in/*.csv, csv: {delimiter: '\"'}}\n")
    with pytest.raises(SourceError, match=r"(?i)quote"):
        project.land_source("orders")
    assert not kept(project)


def test_a_line_that_is_too_long(project: Project) -> None:
    put(project, "in/a.csv", f"id,name\n1,{'x' * 9_000_000}\n")
    put(project, "in/b.csv", f"id,name\n2,{'y' * 3_000_000}\n")
    project.declare("sources:\n  orders: {type: file, path: in/*.csv}\n")
    passage = project.land_source("orders")
    detail = outcome(passage, "bad_files").findings[""].detail or ""
    assert "a line is longer than 4 MB" in detail
    assert project.column("raw/orders", "id") == [2]
