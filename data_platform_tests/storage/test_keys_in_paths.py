"""Keys of any partition in the paths of a lake: written, read, replaced, told of, vacuumed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from factories import Project
from object_storage import Bucket

from data_platform.errors import StorageError
from data_platform.keeping.compaction import compact, plan_compaction
from data_platform.keeping.conditions import read_condition
from data_platform.keeping.erasure import Erasure
from data_platform.keeping.rollback import plan_rollback, roll_back
from data_platform.keeping.vacuum import Keep, plan_vacuum, vacuum
from data_platform.plan.keys import Key
from data_platform.plan.nodes import RawNode
from data_platform.plan.partitions import Partitions
from data_platform.spec.platform import S3Connection
from data_platform.storage.commits import data_files, read_log
from data_platform.storage.lake import lake_at
from data_platform.storage.workbench import Workbench

LONGEST = 190
KEYS = [
    "2024-03-31-05:00",
    "2024-10-27-02:00+0100",
    "2024-01-01|us",
    "a b",
    "Ünï: côdé",
    "日本",
    "50% off",
    "a=b",
    "#1 & [x]",
    'it\'s "y"',
    "..",
    "*?",
    "a/b",
    "a|b|c",
    "a\\b",
    "x" * LONGEST,
]
ORDERS = Key("raw", "shop", "orders")


@pytest.fixture(params=["folder", "bucket"])
def lake_project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    project = Project(tmp_path)
    if request.param == "bucket":
        bucket = Bucket()
        connection = bucket.connection()
        assert isinstance(connection, S3Connection)
        lake = lake_at(f"{bucket.url}/a/lake", tmp_path, tmp_path / "data", connection)
        project.workbench = Workbench(lake, threads=1)
    return project


def test_any_key_is_written_read_replaced_and_vacuumed(lake_project: Project) -> None:
    project = lake_project
    project.land_all("raw/orders", {key: [{"id": n}] for n, key in enumerate(KEYS)})
    assert {key: project.column("raw/orders", "id", key) for key in KEYS} == {
        key: [n] for n, key in enumerate(KEYS)
    }

    project.land_all("raw/orders", {key: [{"id": 100 + n}] for n, key in enumerate(KEYS)})
    table = project.table("raw/orders")
    snapshot = table.snapshot()
    assert snapshot is not None
    assert [*snapshot.partitions] == sorted(KEYS)
    assert project.column("raw/orders", "id") == [100 + n for n in range(len(KEYS))]

    log = read_log(table)
    assert log is not None
    there = set(data_files(table))
    assert {life.file.relative for life in log.lives} == there
    assert {file.partition for file in log.files(log.current).values()} == {*KEYS}

    later = datetime.now(UTC) + timedelta(days=9)
    keep = Keep(None)
    planned = plan_vacuum(project.workbench.lake, ORDERS, timedelta(days=1), later, keep)
    assert planned is not None
    assert len(planned.files) == len(KEYS)
    vacuum(project.workbench.lake, planned, timedelta(days=1), later, keep, "test")
    assert len(data_files(table)) == len(KEYS)
    assert project.column("raw/orders", "id") == [100 + n for n in range(len(KEYS))]


def test_any_key_is_rolled_back_erased_and_compacted(lake_project: Project) -> None:
    project, lake = lake_project, lake_project.workbench.lake
    project.declare(
        "partitions: {dynamic: keys}\n"
        "sources:\n  orders: {type: file, path: '{partition_key}.csv'}\n"
    )
    first = {key: [{"id": n, "who": who} for who in ("ada", "bob")] for n, key in enumerate(KEYS)}
    project.land_all("raw/orders", first)
    project.land_all("raw/orders", {key: [{"id": -1, "who": "bob"}] for key in KEYS})

    back = KEYS[::2]
    roll_back(lake, plan_rollback(lake, ORDERS, 0, back), "ada")
    wanted = [n for n, key in enumerate(KEYS) for n in ((n, n) if key in back else (-1,))]
    assert sorted(map(str, project.column("raw/orders", "id"))) == sorted(map(str, wanted))

    node = project.node("raw/orders")
    assert isinstance(node, RawNode)
    with project.workbench.open() as (session, scratch):
        plan, condition = project.build().plan, read_condition("who = 'ada'")
        Erasure(session, scratch, lake, plan, condition).erase([node], "ada")
    left = {key: [n] if key in back else [-1] for n, key in enumerate(KEYS)}
    with project.workbench.open() as (session, scratch):
        compact(session, scratch, lake, plan_compaction(session, lake, ORDERS), "ada")
    assert {key: project.column("raw/orders", "id", key) for key in KEYS} == left


@pytest.mark.parametrize("key", ["x" * 191, "ü" * 40], ids=["ascii", "umlauts"])
def test_a_key_that_no_folder_can_be_called_by_is_refused(lake_project: Project, key: str) -> None:
    partitions = Partitions(dynamic="keys")
    assert not partitions.is_key(key)
    assert all(map(partitions.is_key, KEYS))
    with pytest.raises(StorageError, match="is too long for the name of a folder"):
        lake_project.land("raw/orders", [{"id": 1}], key)
