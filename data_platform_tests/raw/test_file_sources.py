# ruff: noqa: E501 -- cases stand in tables, one a line
"""What CSV and Parquet files hold lands by name, a file that isn't there fails only its day."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import DAY, NEXT_DAY, Project

from data_platform.errors import SourceError
from data_platform.plan.sources import Files
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
