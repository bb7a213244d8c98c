"""`quarantine files` shows files that couldn't be read; `query` tells which file rows are from."""

import json
from pathlib import Path

import pytest
from factories import Project


@pytest.fixture(autouse=True)
def shop(project: Project) -> Project:
    """A source with a sound file, and one that can't be read."""
    (project.folder / "in").mkdir()
    (project.folder / "in" / "a.csv").write_text("id\n1\n")
    (project.folder / "in" / "b.csv").write_text("id\n1,2\n")
    project.declare("sources:\n  orders: {type: file, path: in/*.csv}\n")
    project.land_source("orders")
    return project


def test_files_and_their_reasons(command) -> None:
    result = command("quarantine", "files", "--format", "json")
    assert result.exit_code == 0, result.output
    [found] = json.loads(result.stdout)
    assert found["asset"] == "raw/shop/orders"
    assert found["file"].endswith("in/b.csv")
    assert found["reason"] == "line 2: 2 fields where 1 columns are"
    assert found["run_id"] == "test"
    with Path(found["copy"]).open() as copy:
        assert copy.read() == "id\n1,2\n"


def test_files_as_a_table(command) -> None:
    result = command("quarantine", "files", "shop")
    assert "line 2: 2 fields" in " ".join(result.stdout.split())
    assert "1 file in quarantine" in result.stdout


def test_no_file(command, project: Project) -> None:
    project.declare("sources:\n  x: {type: file, path: in/a.csv}\n", name="other")
    assert command("quarantine", "files", "other").stdout == "no file is in quarantine\n"


def test_a_query_that_names_the_file_gets_it(command, project: Project) -> None:
    sql = "select id, _source_file, _source_bytes from raw.orders"
    result = command("query", sql, "--format", "csv")
    assert result.stdout == f"id,_source_file,_source_bytes\n1,{project.folder}/in/a.csv,5\n"


def test_a_query_that_does_not_sees_the_tables_own_columns(command) -> None:
    assert command("query", "select * from raw.orders", "--format", "csv").stdout == "id\n1\n"
