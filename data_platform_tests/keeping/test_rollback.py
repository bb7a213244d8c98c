"""Rollback: which version is current afterwards, for readers and for the next run."""

from dataclasses import replace

import pytest
from factories import DAY, DAYS, NEXT_DAY, Project, key_of
from grown import EVENTS, STATE, add_batch, data_version, read, snapshot
from later import later, retention_from

from data_platform.errors import PermanentError, StorageUnavailable
from data_platform.keeping.history import history_of
from data_platform.keeping.rollback import plan_rollback, roll_back, roll_back_beside
from data_platform.keeping.vacuum import Keep, plan_vacuum, vacuum
from data_platform.storage.rewriting import MovedOnError

ORDERS = key_of("raw/orders")


def back(project: Project, to: int, *partitions: str, text: str = "raw/orders") -> int:
    lake = project.workbench.lake
    return roll_back(lake, plan_rollback(lake, key_of(text), to, partitions), "ada")


def test_readers_see_what_the_older_version_held(project: Project) -> None:
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 2 AS v"})
    before = data_version(project, "raw/orders", DAY)
    project.land("raw/orders", "SELECT 9 AS v", DAY)
    assert back(project, 0) == 2
    assert project.column("raw/orders", "v") == [1, 2]
    assert data_version(project, "raw/orders", DAY) == before
    assert read(project, "raw/orders", 1) == [{"v": 2}, {"v": 9}]


def test_a_rollback_can_be_rolled_back(project: Project) -> None:
    for value in range(3):
        project.land("raw/orders", f"SELECT {value} AS v")
    back(project, 0)
    back(project, 2)
    assert project.column("raw/orders", "v") == [2]
    lines = history_of(project.workbench.lake, ORDERS).lines
    assert [(one.operation, one.to) for one in lines[:2]] == [("rollback", 2), ("rollback", 0)]


def test_only_the_named_partitions_go_back(project: Project) -> None:
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 2 AS v"})
    project.land_all("raw/orders", {DAY: "SELECT 8 AS v", NEXT_DAY: "SELECT 9 AS v"})
    back(project, 0, NEXT_DAY)
    assert project.column("raw/orders", "v") == [2, 8]


def test_partitions_that_were_not_there_are_no_longer_published(project: Project) -> None:
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    project.land("raw/orders", "SELECT 2 AS v", NEXT_DAY)
    planned = plan_rollback(project.workbench.lake, ORDERS, 0)
    assert planned.gone == (NEXT_DAY,)
    roll_back(project.workbench.lake, planned, "ada")
    assert set(snapshot(project, "raw/orders").partitions) == {DAY}


def test_columns_that_came_later_go_with_the_whole_table_and_stay_with_a_part(
    project: Project,
) -> None:
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 1 AS v"})
    project.land("raw/orders", "SELECT 2 AS v, 'é' AS w", DAY)
    lake = project.workbench.lake
    assert plan_rollback(lake, ORDERS, 0).lost_columns == ("w",)
    back(project, 0, DAY)
    assert project.rows("raw/orders", DAY) == [{"v": 1, "w": None}]
    back(project, 1)
    assert project.rows("raw/orders", DAY) == [{"v": 2, "w": "é"}]
    back(project, 0)
    assert project.rows("raw/orders", DAY) == [{"v": 1}]
    back(project, 1, DAY)
    assert project.rows("raw/orders", DAY) == [{"v": 2, "w": "é"}]
    assert project.rows("raw/orders", NEXT_DAY) == [{"v": 1, "w": None}]


def test_a_publish_in_between_refuses_it_and_is_not_lost(project: Project) -> None:
    project.land("raw/orders", "SELECT 1 AS v")
    project.land("raw/orders", "SELECT 2 AS v")
    lake = project.workbench.lake
    planned = plan_rollback(lake, ORDERS, 0)
    project.land("raw/orders", "SELECT 3 AS v")
    with pytest.raises(MovedOnError, match="committed after version 1, so nothing was changed"):
        roll_back(lake, planned, "ada")
    assert project.column("raw/orders", "v") == [3]


def test_a_table_of_batches_goes_back_with_its_position(project: Project) -> None:
    add_batch(project, "SELECT 1 AS id, 10 AS at, 'a' AS value", {"watermark": 10})
    before = data_version(project, EVENTS)
    add_batch(project, "SELECT 1 AS id, 20 AS at, 'b' AS value", {"watermark": 20})
    back(project, 0, text=EVENTS)
    held = snapshot(project, EVENTS)
    assert held.batches is not None
    assert (held.batches.position, data_version(project, EVENTS)) == ({"watermark": 10}, before)
    assert project.column(EVENTS, "value") == ["a"]
    add_batch(project, "SELECT 1 AS id, 30 AS at, 'c' AS value", {"watermark": 30})
    assert project.column(EVENTS, "value") == ["c"]
    back(project, 1, text=EVENTS)
    assert project.column(EVENTS, "value") == ["b"]


def test_a_run_that_began_before_the_rollback_adds_nothing(project: Project) -> None:
    add_batch(project, "SELECT 1 AS id, 10 AS at")
    add_batch(project, "SELECT 2 AS id, 20 AS at")
    number = snapshot(project, EVENTS).batches
    assert number is not None
    back(project, 0, text=EVENTS)
    add_batch(project, "SELECT 3 AS id, 30 AS at")
    table = project.table(EVENTS)
    held = snapshot(project, EVENTS)
    late = replace(STATE, number=number.number + 1)
    with pytest.raises(StorageUnavailable, match="another run added a batch"):
        table.append(held.partitions[""], held.schema, late, {})


def test_an_unpartitioned_table_has_no_partition_to_name(project: Project) -> None:
    project.land("raw/orders", "SELECT 1 AS v")
    project.land("raw/orders", "SELECT 2 AS v")
    with pytest.raises(PermanentError, match="has no partitions: leave --partition out"):
        plan_rollback(project.workbench.lake, ORDERS, 0, [DAY])


@pytest.mark.parametrize(
    ("to", "partitions", "message"),
    [
        (2, (), "version 2 is current"),
        (7, (), "version 7 is not there; there are 0 to 2"),
        (-1, (), "version -1 is not there"),
        (0, (NEXT_DAY,), f"version 0 has no partition {NEXT_DAY}; it has 1, {DAY} to {DAY}"),
    ],
)
def test_what_is_not_there_is_refused(
    project: Project, to: int, partitions: tuple[str, ...], message: str
) -> None:
    for number in range(3):
        project.land("raw/orders", f"SELECT {number} AS v", DAYS[number])
    with pytest.raises(PermanentError, match=message):
        plan_rollback(project.workbench.lake, ORDERS, to, partitions)


def test_what_was_never_published_has_no_versions(project: Project) -> None:
    with pytest.raises(PermanentError, match="raw/shop/orders has never been published"):
        plan_rollback(project.workbench.lake, ORDERS, 0)


def test_the_same_rows_are_nothing_to_do(project: Project) -> None:
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    project.land("raw/orders", "SELECT 2 AS v", DAY)
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    assert not plan_rollback(project.workbench.lake, ORDERS, 0).files


def test_a_version_whose_files_are_gone_is_refused_with_those_that_can_be(
    project: Project,
) -> None:
    for value in range(5):
        project.land("raw/orders", f"SELECT {value} AS v", DAY)
    lake, now = project.workbench.lake, later()
    retention = retention_from(project, "raw/orders", 2, now)
    planned = plan_vacuum(lake, ORDERS, retention, now, Keep())
    assert planned is not None
    # The log stays, so that the version is still known.
    vacuum(lake, replace(planned, log=()), retention, now, Keep(), "ada")
    can = r"files of partition 2024-01-01 were removed; these can: 2 to 3$"
    with pytest.raises(PermanentError, match=can):
        plan_rollback(lake, ORDERS, 0)
    assert history_of(lake, ORDERS).lines[-1].lost == (DAY,)
    back(project, 2)
    assert project.column("raw/orders", "v") == [2]


def test_of_a_version_in_part_the_other_partitions_can_be_restored(project: Project) -> None:
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 2 AS v"})
    lost = snapshot(project, "raw/orders").partitions[DAY].files[0].path
    project.land_all("raw/orders", {DAY: "SELECT 3 AS v", NEXT_DAY: "SELECT 4 AS v"})
    place = project.workbench.lake.place
    place.remove([lost.removeprefix(f"{project.workbench.lake.root}/")])
    words = "none can; of it, 1 other partition can be, by --partition"
    with pytest.raises(PermanentError, match=words):
        plan_rollback(project.workbench.lake, ORDERS, 0)
    back(project, 0, NEXT_DAY)
    assert project.column("raw/orders", "v") == [2, 3]


def test_quarantine_goes_back_with_its_asset(project: Project) -> None:
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    on_violation: quarantine\n"
        "    columns:\n      v: {type: integer, min: 0}\n",
        daily=True,
    )
    project.land("raw/orders", "SELECT * FROM (VALUES (1), (-1)) t(v)", DAY)
    project.compute("staging/orders", DAY)
    project.land("raw/orders", "SELECT * FROM (VALUES (2), (-2), (-3)) t(v)", DAY)
    project.compute("staging/orders", DAY)
    lake = project.workbench.lake
    planned = plan_rollback(lake, key_of("staging/orders"), 0)
    roll_back(lake, planned, "ada")
    beside = roll_back_beside(lake, planned, key_of("quarantine/orders"), "ada")
    assert {key: rows for key, (_, rows) in beside.items()} == {DAY: 1}
    standing = data_version(project, "staging/orders", DAY)
    assert [row["_data_version"] for row in project.rows("quarantine/orders")] == [standing]
    assert project.column("quarantine/orders", "v") == [-1]
