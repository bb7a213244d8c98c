# ruff: noqa: E501 -- cases stand in tables, one a line
"""Each kind of partition through each kind of destination: what a partition has is in its place."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from factories import PLATFORM, Project, database_outside

from data_platform.destinations.loading import Loading, deliver
from data_platform.errors import StorageError
from data_platform.plan.destinations.kinds import TableTarget
from data_platform.plan.nodes import DestinationNode

SOURCE = "sources:\n  orders: {type: python, function: 'feed:fetch'}\n"
HOURS = "partitions: {every: hour, start: 2024-10-26, timezone: Europe/Berlin}\n"
LORD_HOWE = "partitions: {every: hour, start: 2024-04-06, timezone: Australia/Lord_Howe}\n"
WEEKS = "partitions: {every: week, start: 2024-01-01}\n"
MONTHS = "partitions: {every: month, start: 2024-01-01}\n"
REGIONS = "partitions: {by: {region: {values: [us, eu]}}}\n"
TWO = "partitions: {every: day, start: 2024-01-01, by: {region: {values: [us, eu]}}}\n"
NAMED = "partitions: {by: {region: {values: [us, eu]}, brand: {values: [a, b]}}}\n"
CUSTOMERS = "partitions: {dynamic: customers}\n"
TWICE = ["2024-10-27-01:00", "2024-10-27-02:00", "2024-10-27-02:00+0100", "2024-10-27-03:00"]
KEYS = {
    "hours": (HOURS, TWICE),
    "half hours": (LORD_HOWE, ["2024-04-07-01:00", "2024-04-07-01:30+1030", "2024-04-07-02:30"]),
    "weeks": (WEEKS, ["2024-02-26", "2024-03-04", "2024-03-18"]),
    "months": (MONTHS, ["2024-01-01", "2024-02-01"]),
    "named": (REGIONS, ["eu", "us"]),
    "two": (TWO, ["2024-01-01|eu", "2024-01-01|us", "2024-01-02|us"]),
    "two named": (NAMED, ["a|eu", "a|us", "b|us"]),
    "registered": (CUSTOMERS, ["Ünï: côdé | x", 'it\'s "y"', "50% \\ off"]),
}
KINDS = pytest.mark.parametrize("kind", KEYS)


class Outside:
    """A destination `out` of the source `orders`, in a database of some kind."""

    def __init__(self, dialect: str, url: str, project: Project) -> None:
        self.dialect, self.url, self.project = dialect, url, project
        project.platform(PLATFORM.replace("postgresql://nowhere", url))

    def declare(self, partitions: str, more: str = "", table: str = "out") -> DestinationNode:
        folder = self.project.pipelines / "shop"
        folder.mkdir(exist_ok=True)
        (folder / "feed.py").write_text("def fetch(partition):\n    return []\n")
        self.project.declare(
            f"{partitions}{SOURCE}destinations:\n"
            f"  out: {{type: database, connection: shop, from: raw.orders, table: {table}{more}}}\n"
        )
        node = self.project.node("destinations/out")
        assert isinstance(node, DestinationNode)
        return node

    def load(self, node: DestinationNode, *keys: str) -> Loading:
        return deliver(node, keys, self.project.workbench, database_outside(self.url), "run")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        if self.dialect == "postgres":
            with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        file = self.url.partition(":///")[2]
        if self.dialect == "sqlite":
            with closing(sqlite3.connect(file)) as connection:
                return connection.execute(sql).fetchall()
        with duckdb.connect(file) as connection:
            return connection.execute(sql).fetchall()

    @property
    def ledger(self) -> set[str]:
        table = "data_platform_loads" if self.dialect == "sqlite" else "data_platform.loads"
        return {str(row[0]) for row in self.rows(f"SELECT partition FROM {table}")}


@pytest.fixture(params=["postgres", "sqlite", "duckdb"])
def outside(request: pytest.FixtureRequest, project: Project, tmp_path: Path) -> Outside:
    kind = request.param
    url = (
        request.getfixturevalue("postgres_url")
        if kind == "postgres"
        else f"{kind}:///{tmp_path}/out.db"
    )
    return Outside(kind, url, project)


@KINDS
def test_a_partition_that_changed_takes_the_place_of_its_own_rows(
    outside: Outside, kind: str
) -> None:
    partitions, keys = KEYS[kind]
    node = outside.declare(partitions)
    outside.project.land_all(
        "raw/orders", {key: [{"id": f"{key}#{n}"} for n in range(2)] for key in keys}
    )
    assert outside.load(node, *keys).loaded == {*keys}
    assert outside.ledger == {*keys}
    assert outside.load(node, *keys).loaded == frozenset()
    outside.project.land("raw/orders", [{"id": "new"}], keys[1])
    assert outside.load(node, *keys).loaded == {keys[1]}
    expected = Counter(
        {(f"{key}#{n}",): 1 for key in keys for n in range(2) if key != keys[1]} | {("new",): 1}
    )
    assert Counter(outside.rows("SELECT id FROM out")) == expected


def test_each_dimension_has_a_column(outside: Outside) -> None:
    node = outside.declare(TWO)
    keys = KEYS["two"][1]
    outside.project.land_all("raw/orders", {key: [{"id": key}] for key in keys})
    outside.load(node, *keys)
    assert outside.rows("SELECT id, _partition, region FROM out ORDER BY id") == [
        (key, *key.split("|")) for key in keys
    ]


def test_a_column_of_a_dimension_that_is_there_is_used(outside: Outside) -> None:
    node = outside.declare(REGIONS)
    outside.project.land_all(
        "raw/orders", {"us": [{"id": 1, "region": "us"}], "eu": [{"id": 2, "region": "eu"}]}
    )
    outside.load(node, "us", "eu")
    assert outside.rows("SELECT id, region FROM out ORDER BY id") == [(1, "us"), (2, "eu")]
    outside.project.land("raw/orders", [{"id": 3, "region": "us"}], "eu")
    with pytest.raises(
        StorageError,
        match="region says another partition than the rows are of, or none: 1 of partition eu",
    ):
        outside.load(node, "eu")


OWN = {
    "hours": (HOURS, "timestamptz", TWICE),
    "hours without a zone": (HOURS, "timestamp", [TWICE[0], TWICE[1], TWICE[3]]),
    "weeks": (WEEKS, "date", ["2024-02-26", "2024-03-04"]),
    "weeks of moments": (WEEKS, "timestamptz", ["2024-02-26", "2024-03-04"]),
    "months": (MONTHS, "timestamp", ["2024-01-01", "2024-02-01"]),
    "two": (TWO, "timestamp", ["2024-01-01|eu", "2024-01-01|us", "2024-01-02|us"]),
}


@pytest.mark.parametrize("write", ["replace_partition", "merge", "append"])
@pytest.mark.parametrize("kind", OWN)
def test_rows_are_found_again_by_a_column_of_their_own(
    outside: Outside, kind: str, write: str
) -> None:
    partitions, type_, keys = OWN[kind]
    keyed = ", keys: [id]" if write == "merge" else ""
    node = (
        outside.declare(partitions, f", write: {write}, partition_column: placed{keyed}")
        if write != "merge"
        else merging(outside, partitions)
    )
    assert node.partitions
    ids = iter(range(100))
    rows = {}
    for key in keys:
        start, end = (
            node.partitions.window(key)
            if type_ == "timestamptz"
            else node.partitions.local_window(key)
        )
        times = [start, end - timedelta(microseconds=1)]
        rows[key] = [
            {"id": next(ids), "placed": time.date() if type_ == "date" else time} for time in times
        ]
    outside.project.land_all("raw/orders", rows)
    assert outside.load(node, *keys).loaded == {*keys}
    first = rows[keys[1]][0]
    outside.project.land(
        "raw/orders",
        [{**first, "id": 99 if write == "replace_partition" else first["id"]}],
        keys[1],
    )
    if write == "append":
        with pytest.raises(StorageError, match="added before and changed since"):
            outside.load(node, *keys)
        return
    assert outside.load(node, *keys).loaded == {keys[1]}
    found = sorted(row[0] for row in outside.rows("SELECT id FROM out"))
    kept = [row["id"] for key, some in rows.items() for row in some if key != keys[1]]
    assert found == sorted(
        [*kept, 99]
        if write == "replace_partition"
        else [row["id"] for some in rows.values() for row in some]
    )


def merging(outside: Outside, partitions: str) -> DestinationNode:
    node = outside.declare(partitions, ", partition_column: placed")
    assert isinstance(node.target, TableTarget)
    return replace(node, target=replace(node.target, write="merge", keys=("id",)))


def test_of_rows_with_the_same_keys_that_of_the_latest_hour_stands(outside: Outside) -> None:
    node = merging(outside, HOURS)
    assert node.partitions
    times = [node.partitions.window(key)[0] for key in TWICE]
    outside.project.land_all(
        "raw/orders",
        {key: [{"id": 1, "placed": time}] for key, time in zip(TWICE, times, strict=True)},
    )
    outside.load(node, *TWICE[1:3])
    outside.load(node, TWICE[0])
    (found,) = outside.rows("SELECT placed FROM out")[0]
    moment = datetime.fromisoformat(found) if isinstance(found, str) else found
    assert moment.astimezone(UTC) == times[2]
    outside.project.land(
        "raw/orders",
        [{"id": 2, "placed": times[3]}, {"id": 2, "placed": times[3] + timedelta(minutes=59)}],
        TWICE[3],
    )
    with pytest.raises(StorageError, match="2 rows of one partition have the keys"):
        outside.load(node, TWICE[3])


def test_a_date_tells_no_hour(project: Project, tmp_path: Path) -> None:
    project.know(orders={"day": "DATE"})
    outside = Outside("duckdb", f"duckdb:///{tmp_path}/out.db", project)
    outside.project.pipelines.joinpath("shop").mkdir(exist_ok=True)
    with pytest.raises(AssertionError, match="column day is a date, which tells no hour"):
        outside.declare(HOURS, ", partition_column: day")


class TestFiles:
    @KINDS
    def test_a_partition_has_its_file(self, kind: str, project: Project) -> None:
        partitions, keys = KEYS[kind]
        outside = Outside("duckdb", "duckdb:///nowhere", project)
        outside.declare(partitions)
        folder = project.pipelines / "shop"
        path = project.folder / "out" / "{partition_key}.jsonl"
        text = (folder / "pipeline.yaml").read_text().partition("destinations:")[0]
        (folder / "pipeline.yaml").write_text(
            f"{text}destinations:\n  out: {{type: file, from: raw.orders, path: '{path}'}}\n"
        )
        node = project.node("destinations/out")
        assert isinstance(node, DestinationNode)
        project.land_all("raw/orders", {key: [{"id": key}] for key in keys})
        assert outside.load(node, *keys).loaded == {*keys}
        assert outside.load(node, *keys).loaded == frozenset()
        found = {
            json.loads(file.read_text())["id"] for file in (project.folder / "out").glob("*.jsonl")
        }
        assert found == {*keys}
        assert not [
            name for name in (project.folder / "out").iterdir() if set(':|"\\*?<>') & set(name.name)
        ]

    @pytest.mark.parametrize(
        ("partitions", "path", "message"),
        [
            (HOURS, "{partition_start:%Y-%m-%d}.csv", "would both be"),
            (
                HOURS,
                "{partition_start:%Y-%m-%dT%H}.csv",
                "2024-10-27-02:00 and 2024-10-27-02:00+0100 would both be",
            ),
            (
                TWO,
                "{partition_start:%Y-%m-%d}.csv",
                "several would be written into one file: the path needs {partition_key} or {region}",
            ),
            (
                TWO,
                "{region}.csv",
                "several would be written into one file: the path needs {partition_key} or {partition_start:%Y-%m-%d}",
            ),
            (NAMED, "{region}{brand}.csv", None),
            (CUSTOMERS, "a.csv", "the path needs {partition_key}"),
            (HOURS, "{partition_start:%Y-%m-%dT%H%z}.csv", None),
        ],
    )
    def test_two_partitions_have_no_file_in_common(
        self, project: Project, partitions: str, path: str, message: str | None
    ) -> None:
        project.declare(
            f"{partitions}{SOURCE.replace('python, function: ' + chr(39) + 'feed:fetch' + chr(39), 'file, arrival: none, path: ' + chr(39) + '{partition_key}.csv' + chr(39))}destinations:\n  out: {{type: file, from: raw.orders, path: 'out/{path}'}}\n"
        )
        problems = project.problems()
        assert (message in problems[0]) if message else not problems
