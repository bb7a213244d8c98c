"""The disk of the lake fills up, by others' files and by old versions; a file comes damaged."""

import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import Project
from handbook import Chapter, Operator, rehearses
from small_disk import fill, small_disk

DAY, NEXT_DAY, LAST_DAY = "2024-01-01", "2024-01-02", "2024-01-03"
RETAIL = """
partitions: {{every: day, start: 2024-01-01, end: {end}}}
sources:
  transactions: {{type: file, settle: 0s, path: "in/{{partition_key}}.csv"}}
staging:
  transactions:
    from: raw.transactions
    columns: {{id: {{type: bigint, unique: true}}, note: {{type: varchar}}}}
"""
MB = 10**6
DAYS_40 = 40 * 86_400


@pytest.fixture
def inbox(project: Project) -> Path:
    """Where the files of days come."""
    project.platform("{}\n")
    folder = project.folder / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def disk(project: Project) -> Iterator[Path]:
    """The data folder, on a disk of its own."""
    with small_disk(project.folder / "disk.img", project.folder / ".data") as mounted:
        yield mounted


def notes(count: int, first: int = 1) -> str:
    """A file of rows that can't be pressed together."""
    made = random.Random(count)
    rows = (f"{first + n},{made.randbytes(32).hex()}" for n in range(count))
    return "\n".join(["id,note", *rows, ""])


def free(disk: Path) -> int:
    return shutil.disk_usage(disk).free


def published(project: Project) -> dict[str, list[int]]:
    """The ids of each day, as readers of staging see them."""
    return {
        day: sorted(map(int, map(str, project.column("staging/retail/transactions", "id", day))))
        for day in (DAY, NEXT_DAY)
    }


def let_age(lake: Path, seconds: int) -> None:
    """Make all versions of all tables older."""

    def earlier(match: re.Match[str]) -> str:
        return f'"timestamp":{int(match[1]) - seconds * 1000}'

    for commit in lake.rglob("_delta_log/*.json"):
        commit.write_text(re.sub(r'"timestamp":(\d+)', earlier, commit.read_text()))
    then = time.time() - seconds
    for file in lake.rglob("*"):
        os.utime(file, (then, then))


@rehearses("the-disk-is-full")
def test_others_have_filled_the_disk(
    chapter: Chapter, operator: Operator, project: Project, inbox: Path, disk: Path
) -> None:
    project.declare(RETAIL.format(end=LAST_DAY), name="retail")
    (inbox / f"{DAY}.csv").write_text(notes(1))
    operator.does(f"data-platform run retail --partition {DAY}")
    (inbox / f"{NEXT_DAY}.csv").write_text(notes(2))
    fill(disk / "film.mkv")
    assert operator.type(f"data-platform run retail --partition {NEXT_DAY}").returncode == 1
    operator.sees(chapter)

    status, doctor, df, du = operator.looks(chapter).values()
    assert "0 bytes of 2.9 GB free" in status
    assert "fail written and read" in doctor
    assert doctor.count("No space left on device") == 1
    assert "make room" in doctor
    assert " 100% " in df
    assert re.search(r"^2\.\dG\s.*film\.mkv$", du, re.MULTILINE), du

    printed = operator.mends(chapter, (disk / "film.mkv").unlink)
    assert "machine:" not in printed["data-platform status retail"]
    assert published(project) == {DAY: [1], NEXT_DAY: [1, 2]}
    assert "failure" not in operator.does("data-platform doctor")


@rehearses("the-disk-is-full")
def test_old_versions_have_filled_the_disk(
    chapter: Chapter, operator: Operator, project: Project, inbox: Path, disk: Path
) -> None:
    """It becomes full while a step writes, and only `vacuum` can make room before it is larger."""
    project.declare(RETAIL.format(end=LAST_DAY), name="retail")
    (inbox / f"{DAY}.csv").write_text(notes(40_000))
    operator.does(f"data-platform run retail --partition {DAY}")
    (inbox / f"{DAY}.csv").write_text(notes(3))
    operator.does(f"data-platform run retail --partition {DAY} --force")
    lake = disk / "lake"
    let_age(lake, DAYS_40)
    stood = set(lake.rglob("*.parquet"))
    (inbox / f"{NEXT_DAY}.csv").write_text(notes(20_000))
    rest = disk / "lost+found" / "rest"
    fill(rest, but=MB // 2)

    assert operator.type(f"data-platform run retail --partition {NEXT_DAY}").returncode == 1
    operator.sees(chapter)
    assert set(lake.rglob("*.parquet")) == stood
    assert published(project) == {DAY: [1, 2, 3], NEXT_DAY: []}

    before = free(disk)
    _, vacuum, *_ = chapter.fix
    assert "removed" in operator.does(vacuum)
    assert free(disk) > before + MB
    operator.mends(chapter, rest.unlink)  # a larger disk
    assert published(project) == {DAY: [1, 2, 3], NEXT_DAY: [*range(1, 20_001)]}


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (b"id,note\n2,Tee\n3", "line 3: 1 fields where 2 columns are"),
        ("id,note\n2,Käse\n3,Tee\n".encode("cp1252"), "line 2"),
    ],
    ids=["cut", "encoding"],
)
@rehearses("a-file-cant-be-read")
def test_a_damaged_file_is_sent_anew(
    chapter: Chapter,
    operator: Operator,
    project: Project,
    inbox: Path,
    damaged: bytes,
    reason: str,
) -> None:
    project.declare(RETAIL.format(end="2024-01-04"), name="retail")
    for number, day in enumerate((DAY, NEXT_DAY, LAST_DAY), start=1):
        (inbox / f"{day}.csv").write_text(notes(1, number))
    (inbox / f"{NEXT_DAY}.csv").write_bytes(damaged)
    assert operator.type(f"data-platform run retail --from {DAY}").returncode == 1
    operator.sees(chapter)
    assert published(project) == {DAY: [1], NEXT_DAY: []}

    _, listed = operator.looks(chapter).values()
    assert reason in " ".join(listed.split())
    [copy] = re.findall(r"\S+/quarantine/files/\S+", listed)
    assert (project.folder / copy).read_bytes() == damaged

    operator.mends(chapter, lambda: (inbox / f"{NEXT_DAY}.csv").write_text(notes(2, 2)))
    assert published(project) == {DAY: [1], NEXT_DAY: [2, 3]}
