"""Which files a path names, on this machine."""

import os
from datetime import date
from pathlib import Path

import pytest
from days import daily
from factories import DAY, NEXT_DAY, Project

from data_platform.errors import SourceError
from data_platform.sources.files.finding import find, folder_of, pattern_of

BERLIN = daily(date(2024, 1, 1), None, "Europe/Berlin")


def names(folder: Path, pattern: str) -> list[str]:
    return [file.name.removeprefix(f"{folder}/") for file in find(f"{folder}/{pattern}", None)]


def put(folder: Path, *files: str) -> None:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("id\n1\n")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("in/{partition_key}.csv", "in/2024-03-31.csv"),
        ("in/{partition_start:%Y/%m/%d}/*.csv", "in/2024/03/31/*.csv"),
        ("in/{partition_start:%Y%m%d_%H%M%z}.csv", "in/20240331_0000+0100.csv"),
        ("{partition_start:%G-W%V}/{partition_key}.csv", "2024-W13/2024-03-31.csv"),
        ("in/{partition_start:%d%%}.csv", "in/31%.csv"),
        ("in/{x}.csv", "in/{x}.csv"),
        ("in/{__import__('os')}.csv", "in/{__import__('os')}.csv"),
        ("in/{0.__class__}.csv", "in/{0.__class__}.csv"),
    ],
)
def test_what_stands_in_for_a_partition(path: str, wanted: str) -> None:
    assert pattern_of(path, BERLIN, "2024-03-31") == wanted


def test_without_partitions_a_path_is_as_written() -> None:
    assert pattern_of("in/*.csv", None, "") == "in/*.csv"


def test_globs(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "b.csv", "c.txt", "x/d.csv", "x/y/e.csv", ".hidden.csv")
    assert names(tmp_path, "*.csv") == ["a.csv", "b.csv"]
    assert names(tmp_path, "**/*.csv") == ["a.csv", "b.csv", "x/d.csv", "x/y/e.csv"]
    assert names(tmp_path, "?.csv") == ["a.csv", "b.csv"]
    assert names(tmp_path, "[!a].csv") == ["b.csv"]
    assert names(tmp_path, "a.csv") == ["a.csv"]


def test_names_with_signs_of_globs_spaces_and_umlauts(tmp_path: Path) -> None:
    put(tmp_path, "a[1].csv", "a1.csv", "grö ße*.csv", "{x}.csv")
    assert names(tmp_path, "a[1].csv") == ["a[1].csv"]
    assert names(tmp_path, "a*.csv") == ["a1.csv", "a[1].csv"]
    assert names(tmp_path, "grö ße*.csv") == ["grö ße*.csv"]
    assert names(tmp_path, "{x}.csv") == ["{x}.csv"]


def test_only_regular_files_count(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "elsewhere/b.csv")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "broken.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "linked.csv").symlink_to(tmp_path / "elsewhere" / "b.csv")
    assert names(tmp_path, "*.csv") == ["a.csv", "linked.csv"]


def test_a_file_with_two_names_is_one(tmp_path: Path) -> None:
    put(tmp_path, "a.csv")
    (tmp_path / "latest.csv").symlink_to(tmp_path / "a.csv")
    assert len(names(tmp_path, "*.csv")) == 1
    assert names(tmp_path, "latest.csv") == ["latest.csv"]


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file matches .*\*\.csv"):
        find(f"{tmp_path}/*.csv", None)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/a/b/c.csv", "/a/b"),
        ("/a/b*/c.csv", "/a"),
        ("/a/{partition_key}/b/c.csv", "/a"),
        ("/a/[[]x]/c.csv", "/a"),
    ],
)
def test_the_folder_that_a_step_may_read(path: str, wanted: str) -> None:
    assert folder_of(path) == Path(wanted)


def test_files_of_a_project_whose_folder_looks_like_a_glob(tmp_path: Path) -> None:
    folder = tmp_path / "[a] *work*"
    folder.mkdir()
    project = Project(folder)
    put(folder, "in/o[1].csv", "in/o1.csv")
    project.declare("sources:\n  orders: {type: file, path: in/*.csv}\n")
    project.land_source("orders")
    assert project.rows("raw/orders") == [{"id": 1}, {"id": 1}]


def test_days_in_folders_of_years(project: Project) -> None:
    body = "sources:\n  orders: {type: file, path: 'in/{partition_start:%Y/%m/%d}/*.csv'}\n"
    project.declare(body, daily=True)
    put(project.folder, "in/2024/01/01/a.csv", "in/2024/01/02/a.csv", "in/2024/01/02/b.csv")
    assert not project.land_source("orders", DAY, NEXT_DAY).failed
    assert project.column("raw/orders", "id", NEXT_DAY) == [1, 1]
    assert project.column("raw/orders", "id", DAY) == [1]


def test_a_file_of_a_month_belongs_to_each_of_its_days(project: Project) -> None:
    body = "sources:\n  orders: {type: file, path: 'in/{partition_start:%Y-%m}.csv'}\n"
    project.declare(body, daily=True)
    put(project.folder, "in/2024-01.csv")
    assert not project.land_source("orders", DAY, NEXT_DAY).failed
    assert (
        project.column("raw/orders", "id", DAY)
        == project.column("raw/orders", "id", NEXT_DAY)
        == [1]
    )


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("{partition_start:%Q}.csv", "'%Q' is no directive of strftime"),
        ("{partition_start:%Y%}.csv", "'%' is no directive of strftime"),
        ("{partition_start:day}.csv", "it has no directive of strftime"),
        (
            "{partition_start}.csv",
            r"doesn't say how the time is written: \{partition_start:%Y-%m-%d\}",
        ),
        ("{partition_kye}.csv", "means nothing; there are {partition_key} and"),
        ("{partition_begin:%Y}.csv", "means nothing; there are {partition_key} and"),
        ("{partition_key.__class__}.csv", "means nothing; there are {partition_key} and"),
        ("{partition_key!r}.csv", "means nothing; there are {partition_key} and"),
        ("{partition_key[0]}.csv", "means nothing; there are {partition_key} and"),
        ("{partition_start.year}.csv", "means nothing; there are {partition_key} and"),
        ("{partition_start:%n}.csv", "'%n' is no directive of strftime"),
    ],
)
def test_a_path_that_means_nothing(project: Project, path: str, told: str) -> None:
    project.declare(f"sources:\n  orders: {{type: file, path: '{path}'}}\n", daily=True)
    [problem] = project.problems()
    assert told.replace("\\", "") in problem
    assert ".yaml:6:" in problem


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff.csv")).write_text("id\n1\n")
    with pytest.raises(SourceError, match=r"the name of a file is no UTF-8: .*a\\udcff\.csv"):
        find(f"{tmp_path}/*.csv", None)


def test_a_link_to_a_file_elsewhere_is_read(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "real.csv"
    elsewhere.write_text("id\n1\n")
    (project.folder / "in").mkdir()
    (project.folder / "in" / "a.csv").symlink_to(elsewhere)
    project.declare("sources:\n  orders: {type: file, path: in/*.csv}\n")
    project.land_source("orders")
    assert project.rows("raw/orders") == [{"id": 1}]
