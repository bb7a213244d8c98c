# ruff: noqa: E501 -- cases stand in tables, one a line
"""What CSV and Parquet files hold lands by name, a file that isn't there fails only its day."""

import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import DAY, NEXT_DAY, Project, at_once

from data_platform.engine.outside import Outside
from data_platform.engine.work import Work
from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.naming import WHOLE
from data_platform.plan.sources.kinds import Files
from data_platform.sources.arrivals import Arrival, Landing, Question
from data_platform.sources.files.arriving import arriving
from data_platform.sources.files.schemas import files_schema
from data_platform.spec.sources import CsvFormat


def declare(project: Project, path: str, more: str = "") -> None:
    project.declare(
        f"sources:\n  orders:\n    type: file\n    path: {path}\n    partitions: none\n{more}"
    )


def put(project: Project, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = project.folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(text.encode(encoding))
    return path


def landed(project: Project) -> list[tuple[object, ...]]:
    assert not project.land_source("orders").failed
    return [tuple(row.values()) for row in project.rows("raw/orders")]


def test_csv_with_nulls_quotes_and_unicode(project: Project) -> None:
    put(project, "o.csv", 'id,name,price\n1,"größe, 😀",1.5\n2,,\n3,"say ""x""",2\n')
    declare(project, "o.csv")
    assert landed(project) == [(1, "größe, 😀", 1.5), (2, None, None), (3, 'say "x"', 2.0)]


def test_csv_as_its_format_says(project: Project) -> None:
    put(project, "o.txt", "1;größe\nNA;x\n", "latin-1")
    declare(
        project,
        "o.txt",
        "    format: csv\n    csv: {delimiter: ';', header: false, null_values: [NA], encoding: latin-1}\n",
    )
    assert landed(project) == [(1, "größe"), (None, "x")]


def test_a_csv_of_only_a_header_is_empty(project: Project) -> None:
    put(project, "o.csv", "id,name\n")
    declare(project, "o.csv")
    assert landed(project) == []


def test_a_later_empty_or_narrower_csv_keeps_the_tables_types(project: Project) -> None:
    declare(project, "o.csv")
    put(project, "o.csv", "id,price,code\n1,1.5,a7\n")
    landed(project)
    put(project, "o.csv", "id,price,code\n1,2,007\n")
    assert landed(project) == [(1, 2.0, "007")]
    put(project, "o.csv", "id,price,code\n")
    assert landed(project) == []
    put(project, "o.csv", "id,price,code\n,,\n")
    assert landed(project) == [(None, None, None)]


def test_a_csv_value_that_is_not_of_the_tables_type_is_told(project: Project) -> None:
    declare(project, "o.csv")
    put(project, "o.csv", "id\n1\n")
    landed(project)
    put(project, "o.csv", "id\nx\n")
    with pytest.raises(SourceError, match=r"o.csv: .*x"):
        project.land_source("orders")
    assert project.column("raw/orders", "id") == [1]


def test_a_file_of_no_bytes(project: Project) -> None:
    put(project, "o.csv", "")
    declare(project, "o.csv")
    with pytest.raises(SourceError, match=r"o.csv"):
        project.land_source("orders")


def test_a_parquet_file_that_is_none(project: Project) -> None:
    put(project, "o.parquet", "id,name\n")
    declare(project, "o.parquet")
    with pytest.raises(SourceError, match=r"o.parquet"):
        project.land_source("orders")


def test_several_files_whose_columns_differ(project: Project) -> None:
    put(project, "in/a.csv", "id,name\n1,a\n")
    put(project, "in/b.csv", "price,id\n2.5,2\n")
    declare(project, "in/*.csv")
    assert landed(project) == [(1, "a", None), (2, None, 2.5)]
    put(project, "in/c.csv", "id,extra\n3,x\n")
    assert landed(project)[2] == (3, None, None, "x")


def test_parquet_with_nulls_lists_and_unicode(project: Project) -> None:
    table = pa.table({"id": [1, None], "name": ["größe", None], "l": [["a"], None]})
    pq.write_table(table, project.folder / "o.parquet")
    declare(project, "o.parquet")
    assert landed(project) == [(1, "größe", ["a"]), (None, None, None)]
    declare(project, "o.parquet")
    pq.write_table(table.slice(0, 1), project.folder / "o.parquet")
    assert landed(project) == [(1, "größe", ["a"])]


def test_a_file_of_one_row_less_is_another_version(project: Project) -> None:
    table = pa.table({"id": [1, 2]})
    pq.write_table(table, project.folder / "o.parquet")
    declare(project, "o.parquet")
    landed(project)
    publication = project.land_source("orders").publication
    assert publication is not None
    assert not publication.changed


def test_a_missing_file_is_an_error(project: Project) -> None:
    declare(project, "nothing/*.csv")
    with pytest.raises(SourceError, match=r"no file matches .*nothing/\*.csv"):
        project.land_source("orders")


def test_a_day_without_its_file_fails_alone(project: Project) -> None:
    project.declare(
        "sources:\n  orders: {type: file, path: 'in/{partition_key}/*.csv'}\n", daily=True
    )
    put(project, f"in/{NEXT_DAY}/a.csv", "id\n5\n")
    passage = project.land_source("orders", DAY, NEXT_DAY)
    assert list(passage.failed) == [DAY]
    assert "no file matches" in passage.failed[DAY]
    assert project.column("raw/orders", "id", NEXT_DAY) == [5]


def test_the_schema_of_files_that_are_not_there_is_not_known(tmp_path: Path) -> None:
    source = Files(str(tmp_path / "x.csv"), "csv", CsvFormat())
    assert files_schema(source) is None


def test_the_schema_of_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,t\n1,2024-01-01\n")
    schema = files_schema(Files(str(tmp_path / "x.csv"), "csv", CsvFormat()))
    assert schema is not None
    assert {c.name: c.type for c in schema.columns} == {"id": "BIGINT", "t": "DATE"}


def test_many_small_files(project: Project) -> None:
    for number in range(700):
        put(project, f"in/{number}.csv", f"id,name\n{number},x\n")
    declare(project, "in/*.csv")
    assert sorted(int(str(row[0])) for row in landed(project)) == list(range(700))


def test_one_bad_among_many_files(project: Project) -> None:
    for number in range(300):
        put(project, f"in/{number}.csv", f"id\n{number}\n")
    put(project, "in/150.csv", "id\n1,2\n")
    declare(project, "in/*.csv")
    assert len(landed(project)) == 299


@contextmanager
def asked(project: Project, **about: Any) -> Iterator[Arrival]:
    """What files answer to a question."""
    node = at_once(project.node("raw/orders"))
    assert isinstance(node.source, Files)
    with project.workbench.open([project.folder]) as (session, scratch):
        question = Question(node, [WHOLE], session, scratch, Outside(pytest.fail, str), **about)
        with arriving(question, node.source) as arrival:
            yield arrival


def test_files_that_did_not_change_are_not_read(project: Project) -> None:
    path = put(project, "in/a.csv", "id\n1\n")
    declare(project, "in/*.csv", "    skip_unchanged: {expires: 1d}\n")
    with asked(project) as first:
        landing = Landing("", datetime.now(UTC), first.marks[WHOLE])
    with asked(project, landings={WHOLE: landing}) as again:
        assert again.unchanged == {WHOLE}
        assert again.query is None
    os.utime(path, (1, 1))
    with asked(project, landings={WHOLE: landing}) as changed:
        assert not changed.unchanged
        assert changed.query is not None


def test_without_skipping_files_are_always_read(project: Project) -> None:
    put(project, "in/a.csv", "id\n1\n")
    declare(project, "in/*.csv")
    with asked(project) as first:
        landing = Landing("", datetime.now(UTC), first.marks[WHOLE])
    with asked(project, landings={WHOLE: landing}) as again:
        assert not again.unchanged


def test_a_file_that_changes_while_it_is_read(project: Project) -> None:
    path = put(project, "o.csv", "id\n1\n")
    declare(project, "o.csv")
    told = r"o\.csv was replaced or removed while it was read"
    with pytest.raises(SourceUnavailable, match=told), asked(project):
        path.write_text("id\n1\n2\n")


def test_a_step_that_is_ended_reads_no_further(project: Project) -> None:
    put(project, "o.csv", "id\n1\n")
    declare(project, "o.csv")
    work = Work()
    work.stop(SourceUnavailable("the time is up"))
    with pytest.raises(SourceUnavailable, match="the time is up"), asked(project, work=work):
        pytest.fail("it was read")


def test_bytes_are_counted(project: Project) -> None:
    put(project, "in/a.csv", "id\n1\n")
    put(project, "in/b.csv", "id\n22\n")
    declare(project, "in/*.csv")
    work = Work()
    with asked(project, work=work):
        assert work.moved.bytes == 11


def test_a_full_disk_is_no_fault_of_a_file(project: Project) -> None:
    put(project, "in/a.csv", "id\n1\n")
    declare(project, "in/*.csv")
    error = duckdb.IOException("IO Error: Could not write file: No space left on device")
    with asked(project) as arrival:
        assert arrival.mended is not None
        with pytest.raises(duckdb.IOException, match="No space left on device"):
            arrival.mended(error)


def test_what_a_source_of_lines_gives(project: Project) -> None:
    put(project, "o.jsonl", '{"id": 1, "at": {"city": "Bern"}}\n{"id": 2}\n')
    declare(project, "o.jsonl")
    assert landed(project) == [(1, "Bern"), (2, None)]


def test_records_below_a_path(project: Project) -> None:
    put(project, "in/a.json", '{"result": {"rows": [{"id": 1}, {"id": 2}]}}')
    put(project, "in/b.json", '{"result": {"rows": [{"id": 3}]}}')
    declare(project, "in/*.json", "    data_path: result.rows\n")
    assert landed(project) == [(1,), (2,), (3,)]
    rows = project.land_source("orders").said[""]["source_files"]
    assert [row["bytes"] for row in rows] == [44, 33]


def test_compressed_files_of_every_format(project: Project) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [1]}), sink)
    for name, content in {
        "csv": b"id\n1\n",
        "json": b'[{"id": 1}]',
        "jsonl": b'{"id": 1}\n',
        "parquet": sink.getvalue(),
    }.items():
        packed = {
            "gz": gzip.compress(content[:4], mtime=0) + gzip.compress(content[4:], mtime=0),
            "zst": pa.compress(content, codec="zstd", asbytes=True),
        }
        for ending, some in packed.items():
            (project.folder / f"o.{name}.{ending}").write_bytes(some)
            declare(project, f"o.{name}.{ending}")
            assert landed(project) == [(1,)], (name, ending)


def test_the_schema_of_files_of_any_kind(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"id,code\n1,007\n", mtime=0))
    schema = files_schema(Files(str(tmp_path / "x.csv.gz"), "csv", CsvFormat()))
    assert schema is not None
    assert {c.name: c.type for c in schema.columns} == {"id": "BIGINT", "code": "VARCHAR"}
    (tmp_path / "x.json").write_text('{"id": {"v": 1}}')
    schema = files_schema(Files(str(tmp_path / "x.json"), "json", CsvFormat()))
    assert schema is not None
    assert {c.name: c.type for c in schema.columns} == {"id__v": "BIGINT"}


def test_the_schema_of_a_bucket_is_not_asked_for() -> None:
    assert files_schema(Files("s3://nothing/x.csv", "csv", CsvFormat())) is None
