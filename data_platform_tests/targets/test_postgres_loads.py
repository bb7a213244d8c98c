"""Loads into a real PostgreSQL: each version once, whole or not at all, whatever was before."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from days import daily
from factories import DAY, NEXT_DAY, database_outside

from data_platform.engine.postgres import connected
from data_platform.errors import Location, StorageUnavailable
from data_platform.plan.destinations.kinds import TableTarget
from data_platform.plan.keys import Key
from data_platform.plan.nodes import DestinationNode
from data_platform.targets import answering
from data_platform.targets.deliveries import Delivery, Rows, Version

Content = Mapping[str, Sequence[tuple[int, str]]]
COLUMNS = {"id": "BIGINT", "name": "VARCHAR"}
DAYS = TableTarget(
    "shop",
    "postgres",
    "shop.days",
    "replace_partition",
    partition_column="_partition",
    adds_partition_column=True,
)
WHOLE = TableTarget("shop", "postgres", "shop.whole", "replace")


def node_of(target: TableTarget) -> DestinationNode:
    return DestinationNode(
        key=Key("destinations", "shop", "days"),
        location=Location(Path("pipeline.yaml"), 1, 1),
        description=None,
        owner="team:shop",
        criticality="medium",
        tags={},
        runbook=None,
        partitions=daily(date(2024, 1, 1), None, "UTC") if target.partition_column else None,
        source=Key("staging", "shop", "days"),
        target=target,
    )


def rows_of(content: Content) -> Rows:
    def rows(due: Sequence[str]) -> pa.RecordBatchReader:
        found = [(*row, key) for key in due for row in content[key]]
        columns = list(zip(*found, strict=True)) or [(), (), ()]
        table = pa.table(
            {
                "id": pa.array(columns[0], pa.int64()),
                "name": pa.array(columns[1], pa.string()),
                "_partition": pa.array(columns[2], pa.string()),
            }
        )
        return (table if due != [""] else table.drop_columns("_partition")).to_reader()

    return rows


def versions_of(content: Mapping[str, Sequence[object]]) -> dict[str, Version]:
    return {key: Version(str(hash(tuple(rows))), len(rows)) for key, rows in content.items()}


def bring(url: str, content: Content, target: TableTarget = DAYS) -> list[str]:
    return brought(url, versions_of(content), rows_of(content), target)


def brought(
    url: str, versions: Mapping[str, Version], rows: Rows, target: TableTarget = DAYS
) -> list[str]:
    outside = database_outside(url)
    return answering.deliver(
        Delivery(node_of(target), versions, COLUMNS, rows, outside, Path(), "run")
    )


def ledger(url: str) -> dict[str, Version]:
    return answering.held(node_of(DAYS), database_outside(url))


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    with connected(url, autocommit=True) as (_, cursor):
        cursor.execute(query)
        return [tuple(row) for row in cursor.fetchall()]


def test_partitions_are_loaded_with_their_key(postgres_url: str) -> None:
    assert bring(postgres_url, {DAY: [(1, "x")], NEXT_DAY: [(2, "ü")]}) == [DAY, NEXT_DAY]
    assert ask(postgres_url, "SELECT * FROM shop.days ORDER BY id") == [
        (1, "x", DAY),
        (2, "ü", NEXT_DAY),
    ]


def test_the_same_version_is_loaded_once(postgres_url: str) -> None:
    content = {DAY: [(1, "x")]}
    bring(postgres_url, content)
    assert bring(postgres_url, content) == []


def test_only_the_partition_that_changed_is_replaced(postgres_url: str) -> None:
    bring(postgres_url, {DAY: [(1, "x")], NEXT_DAY: [(2, "y")]})
    assert bring(postgres_url, {DAY: [(3, "z")], NEXT_DAY: [(2, "y")]}) == [DAY]
    assert ask(postgres_url, "SELECT id FROM shop.days ORDER BY id") == [(2,), (3,)]


def test_an_empty_partition_takes_its_rows_away(postgres_url: str) -> None:
    bring(postgres_url, {DAY: [(1, "x")]})
    assert bring(postgres_url, {DAY: []}) == [DAY]
    assert ask(postgres_url, "SELECT count(*) FROM shop.days") == [(0,)]
    assert ledger(postgres_url)[DAY].rows == 0


def test_replace_leaves_nothing_of_before(postgres_url: str) -> None:
    bring(postgres_url, {"": [(1, "x"), (2, "y")]}, WHOLE)
    bring(postgres_url, {"": [(3, "z")]}, WHOLE)
    assert ask(postgres_url, "SELECT id FROM shop.whole") == [(3,)]


def test_a_table_that_was_dropped_is_loaded_whole_again(postgres_url: str) -> None:
    content = {DAY: [(1, "x")], NEXT_DAY: [(2, "y")]}
    bring(postgres_url, content)
    _execute(postgres_url, "DROP TABLE shop.days")
    bring(postgres_url, {DAY: content[DAY]})
    assert bring(postgres_url, content) == [NEXT_DAY]
    assert ask(postgres_url, "SELECT id FROM shop.days ORDER BY id") == [(1,), (2,)]


def test_a_load_that_breaks_off_leaves_the_old_rows_and_ledger(postgres_url: str) -> None:
    bring(postgres_url, {DAY: [(1, "x")]})

    def breaks(due: Sequence[str]) -> pa.RecordBatchReader:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        brought(postgres_url, {DAY: Version("new", 1)}, breaks)
    assert ask(postgres_url, "SELECT id FROM shop.days") == [(1,)]
    assert ledger(postgres_url)[DAY].data_version != "new"


def test_views_and_grants_outlive_a_load(postgres_url: str) -> None:
    bring(postgres_url, {DAY: [(1, "x")]})
    _execute(postgres_url, "CREATE VIEW shop.seen AS SELECT id FROM shop.days")
    bring(postgres_url, {DAY: [(5, "x")]})
    assert ask(postgres_url, "SELECT id FROM shop.seen") == [(5,)]


def test_a_server_that_is_not_there_may_come_back(tmp_path: object) -> None:
    url = "postgresql://someone:hidden@127.0.0.1:1/nowhere"
    with pytest.raises(StorageUnavailable, match=r"127\.0\.0\.1:1/nowhere") as caught:
        bring(url, {DAY: [(1, "x")]})
    assert "hidden" not in str(caught.value)


def _execute(url: str, statement: str) -> None:
    with connected(url, autocommit=True) as (_, cursor):
        cursor.execute(statement)
