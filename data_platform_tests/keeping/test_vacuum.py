"""Vacuum: what goes, and what must never."""

from dataclasses import replace
from datetime import timedelta

import pytest
from factories import DAY, NEXT_DAY, Project, key_of
from grown import data_version, read, rows_of, snapshot
from later import later, retention_from

from data_platform.keeping.history import history_of
from data_platform.keeping.rollback import plan_rollback, roll_back
from data_platform.keeping.vacuum import Keep, Vacuum, plan_vacuum, vacuum
from data_platform.storage.commits import data_files, read_log
from data_platform.storage.rewriting import MovedOnError

ORDERS = key_of("raw/orders")
DAYS_30 = timedelta(days=30)


def planned(project: Project, kept: int, keep: Keep | None = None) -> Vacuum:
    now = later()
    retention = retention_from(project, "raw/orders", kept, now)
    found = plan_vacuum(project.workbench.lake, ORDERS, retention, now, keep or Keep())
    assert found is not None
    return found


def cleared(project: Project, kept: int, keep: Keep | None = None) -> Vacuum:
    now = later()
    retention = retention_from(project, "raw/orders", kept, now)
    lake = project.workbench.lake
    found = planned(project, kept, keep)
    return vacuum(lake, found, retention, now, keep or Keep(), "ada")


def published(project: Project, versions: int) -> None:
    for value in range(versions):
        project.land("raw/orders", f"SELECT {value} AS v", DAY)


def test_files_of_older_versions_go_and_all_others_stay(project: Project) -> None:
    published(project, 5)
    assert len(cleared(project, 3).files) == 3
    assert read(project, "raw/orders", 3) == [{"v": 3}]
    assert project.column("raw/orders", "v") == [4]
    assert len(data_files(project.table("raw/orders"))) == 2


def test_looking_removes_nothing(project: Project) -> None:
    published(project, 5)
    before = {*data_files(project.table("raw/orders"))}
    assert len(planned(project, 4).files) == 4
    assert {*data_files(project.table("raw/orders"))} == before
    assert snapshot(project, "raw/orders").version == 4


def test_within_the_retention_nothing_goes(project: Project) -> None:
    published(project, 4)
    found = plan_vacuum(project.workbench.lake, ORDERS, DAYS_30 * 2, later(), Keep())
    assert found is not None
    assert (found.files, found.log, found.kept_from) == ({}, (), 0)


def test_a_version_counts_until_another_took_its_place(project: Project) -> None:
    published(project, 2)
    now = later()
    # The first version was current for longer than its commit is old.
    retention = retention_from(project, "raw/orders", 1, now) + timedelta(milliseconds=1)
    found = plan_vacuum(project.workbench.lake, ORDERS, retention, now, Keep())
    assert found is not None
    assert (found.kept_from, found.files) == (0, {})


def test_the_current_version_stays_whatever_its_age(project: Project) -> None:
    published(project, 2)
    now = later() + timedelta(days=999)
    found = plan_vacuum(project.workbench.lake, ORDERS, timedelta(), now, Keep())
    assert found is not None
    assert found.kept_from == 1
    assert len(found.files) == 1


def test_files_that_are_not_a_day_old_are_left(project: Project) -> None:
    published(project, 3)
    from datetime import UTC, datetime

    found = plan_vacuum(
        project.workbench.lake, ORDERS, timedelta(), datetime.now(UTC) + timedelta(hours=23), Keep()
    )
    assert found is not None
    assert (found.files, found.young) == ({}, 2)


def test_files_of_no_version_go(project: Project) -> None:
    published(project, 1)
    table = project.table("raw/orders")
    table.place.write(f"{table.relative}/partition={DAY}/left.parquet", b"a killed run's")
    found = cleared(project, 0)
    assert (len(found.files), found.unnamed) == (1, 1)
    # Nobody could have restored it, so nothing is said of it.
    assert snapshot(project, "raw/orders").version == 0


def test_notes_beside_the_table_stay(project: Project) -> None:
    published(project, 2)
    table = project.table("raw/orders")
    table.place.write(f"{table.relative}/_landings/{DAY}.json", b"{}")
    cleared(project, 1)
    assert table.place.read(f"{table.relative}/_landings/{DAY}.json") == b"{}"


def test_what_was_current_since_the_oldest_run_began_stays(project: Project) -> None:
    published(project, 4)
    log = read_log(project.table("raw/orders"))
    assert log is not None
    keep = Keep(since=log.commits[1].at)
    found = planned(project, 3, keep)
    assert (found.kept_from, len(found.files)) == (1, 1)


def test_a_pinned_version_stays_and_can_be_read(project: Project) -> None:
    published(project, 5)
    keep = Keep(pinned={ORDERS: frozenset({1, 77})})
    found = cleared(project, 4, keep)
    assert (found.pinned, len(found.files)) == ((1,), 3)
    assert read(project, "raw/orders", 1) == [{"v": 1}]
    lines = {line.version: line for line in history_of(project.workbench.lake, ORDERS).lines}
    assert (lines[1].readable, lines[2].readable) == (True, False)
    roll_back(project.workbench.lake, plan_rollback(project.workbench.lake, ORDERS, 1), "ada")
    assert project.column("raw/orders", "v") == [1]


def test_the_log_begins_with_what_is_kept(project: Project) -> None:
    published(project, 5)
    found = cleared(project, 3)
    assert len(found.log) > 0
    history = history_of(project.workbench.lake, ORDERS)
    assert [line.version for line in history.lines] == [5, 4, 3]
    assert history.first == 3
    assert read(project, "raw/orders", 3) == [{"v": 3}]
    published(project, 3)
    assert project.column("raw/orders", "v") == [2]
    assert project.rows("raw/orders") == [{"v": 2}]


def test_a_second_time_there_is_nothing_to_do(project: Project) -> None:
    published(project, 4)
    cleared(project, 3)
    found = planned(project, 3)
    assert (found.files, found.log) == ({}, ())


def test_a_reader_who_holds_a_snapshot_within_the_retention_reads_on(project: Project) -> None:
    published(project, 4)
    held = project.table("raw/orders").snapshot()
    assert held is not None
    project.land("raw/orders", "SELECT 9 AS v", DAY)
    cleared(project, 3)
    assert rows_of(project, held) == [{"v": 3}]


def test_rows_that_come_back_are_kept(project: Project) -> None:
    published(project, 2)
    project.land("raw/orders", "SELECT 0 AS v", DAY)
    found = cleared(project, 2)
    assert len(found.files) == 1
    assert project.column("raw/orders", "v") == [0]


def test_a_version_restored_meanwhile_keeps_its_files(project: Project) -> None:
    published(project, 3)
    lake, now = project.workbench.lake, later()
    retention = retention_from(project, "raw/orders", 2, now)
    found = plan_vacuum(lake, ORDERS, retention, now, Keep())
    assert found is not None
    assert len(found.files) == 2
    roll_back(lake, plan_rollback(lake, ORDERS, 0), "ada")
    done = vacuum(lake, found, retention, now, Keep(), "ada")
    assert len(done.files) == 1
    assert project.column("raw/orders", "v") == [0]


def test_a_rollback_that_was_planned_before_is_refused(project: Project) -> None:
    published(project, 3)
    lake = project.workbench.lake
    back = plan_rollback(lake, ORDERS, 0)
    cleared(project, 2)
    with pytest.raises(MovedOnError, match="nothing was changed"):
        roll_back(lake, back, "ada")
    assert project.column("raw/orders", "v") == [2]


def test_the_same_rows_published_again_after_vacuum_are_written_again(project: Project) -> None:
    published(project, 2)
    cleared(project, 1)
    project.land("raw/orders", "SELECT 0 AS v", DAY)
    assert project.column("raw/orders", "v") == [0]
    back = plan_rollback(project.workbench.lake, ORDERS, 1)
    assert roll_back(project.workbench.lake, back, "ada") == 4


def test_other_partitions_are_left_alone(project: Project) -> None:
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 2 AS v"})
    project.land("raw/orders", "SELECT 3 AS v", DAY)
    version = data_version(project, "raw/orders", NEXT_DAY)
    assert len(cleared(project, 1).files) == 1
    assert project.column("raw/orders", "v") == [2, 3]
    assert data_version(project, "raw/orders", NEXT_DAY) == version


def test_a_table_that_is_not_there_has_nothing(project: Project) -> None:
    assert plan_vacuum(project.workbench.lake, ORDERS, DAYS_30, later(), Keep()) is None


def test_an_interrupted_clearing_of_the_log_is_finished_by_the_next(project: Project) -> None:
    published(project, 5)
    now, lake = later(), project.workbench.lake
    retention = retention_from(project, "raw/orders", 3, now)
    found = plan_vacuum(lake, ORDERS, retention, now, Keep())
    assert found is not None
    vacuum(lake, replace(found, log=found.log[:1]), retention, now, Keep(), "ada")
    assert read(project, "raw/orders", 3) == [{"v": 3}]
    assert history_of(lake, ORDERS).first == 3
    cleared(project, 3)
    assert history_of(lake, ORDERS).first == 3
