# ruff: noqa: E501 -- cases stand in tables, one a line
"""A session reads and writes the folders that were named, fetches nothing, and can't be opened up."""

from collections.abc import Generator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from data_platform.engine.lake_files import LakeFiles
from data_platform.engine.session import Session, open_session


@pytest.fixture
def session(tmp_path: Path) -> Generator[Session]:
    for name in ("scratch", "lake", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere" / "x.csv").write_text("a\n1\n")
    (tmp_path / "lake" / "x.csv").write_text("a\n1\n")
    with open_session(tmp_path / "scratch", [tmp_path / "lake"], "200MB", 1) as opened:
        yield opened


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{elsewhere}/x.csv')",
        "SELECT * FROM '{elsewhere}/x.csv'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('{lake}/../elsewhere/x.csv')",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '{elsewhere}/y.csv'",
        "ATTACH '{elsewhere}/x.db'",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET autoinstall_known_extensions = true",
        "SET lock_configuration = false",
        "SET python_enable_replacements = true",
        "RESET enable_external_access",
    ],
)
def test_what_was_not_named_is_closed(session: Session, tmp_path: Path, sql: str) -> None:
    text = sql.format(elsewhere=tmp_path / "elsewhere", lake=tmp_path / "lake")
    with pytest.raises(duckdb.Error, match=r"(?i)permission|cannot|disabled|locked|not allowed"):
        session.run(text)
    assert not (tmp_path / "elsewhere" / "y.csv").exists()


def test_what_was_named_is_open(session: Session, tmp_path: Path) -> None:
    assert session.rows(f"SELECT a FROM read_csv('{tmp_path}/lake/x.csv')") == [(1,)]
    session.run(f"COPY (SELECT 1) TO '{tmp_path}/scratch/y.csv'")


def test_a_variable_of_python_is_no_table(session: Session) -> None:
    secret = pa.table({"a": [1]})
    with pytest.raises(duckdb.CatalogException):
        session.rows("SELECT * FROM secret")
    assert secret.num_rows == 1


def test_memory_has_an_end(session: Session) -> None:
    with pytest.raises(duckdb.OutOfMemoryException):
        session.rows("SELECT list(repeat(i::VARCHAR, 1000)) FROM range(10000000) t(i)")


def test_times_are_utc(session: Session) -> None:
    assert session.rows("SELECT CAST(TIMESTAMPTZ '2024-07-01 00:00+02' AS VARCHAR)") == [
        ("2024-06-30 22:00:00+00",)
    ]


def test_no_files_are_an_empty_relation_of_the_tables_types(session: Session) -> None:
    schema = pa.schema(
        [("a", pa.int64()), ("t", pa.timestamp("us", "UTC")), ("l", pa.list_(pa.string()))]
    )
    session.show("none", LakeFiles([], schema, partitioned=True))
    assert session.rows("SELECT * FROM none") == []
    assert session.columns("SELECT * FROM none") == {
        "a": "BIGINT",
        "t": "TIMESTAMP WITH TIME ZONE",
        "l": "VARCHAR[]",
        "_partition": "VARCHAR",
        "_file": "VARCHAR",
        "_row": "BIGINT",
    }
