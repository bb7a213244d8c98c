"""Optimize: fewer files, and nothing that anybody who reads could tell it by."""

from dataclasses import replace

import duckdb
import pytest
from factories import DAY, NEXT_DAY, Project, key_of
from grown import EVENTS, STATE, add_batch, data_version, files, read, snapshot

from data_platform.analytics.computing import compute
from data_platform.engine.lake_files import LakeFiles
from data_platform.errors import PermanentError
from data_platform.keeping import compaction
from data_platform.keeping.compaction import Compacted, compact, plan_compaction
from data_platform.plan.keys import Key
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.nodes import AnalyticsNode
from data_platform.storage.built_from import standing_of
from data_platform.storage.publish import Unwritten, Written, publish, stored_select, write
from data_platform.storage.versions import PartitionVersion


def optimize(project: Project, text: str) -> Compacted:
    lake = project.workbench.lake
    with project.workbench.open() as (session, scratch):
        planned = plan_compaction(session, lake, key_of(text))
        return compact(session, scratch, lake, planned, "ada")


def land_in_files(project: Project, parts: int, partition: str = DAY) -> None:
    """Publish a partition in several files, as a step with many threads may."""
    with project.workbench.open() as (session, scratch):
        found = []
        for number in range(parts):
            rows = f"SELECT {number} AS v, 'é{number}' AS s, '{partition}' AS {PARTITION}"
            session.run(f"CREATE OR REPLACE TEMP VIEW _land AS {rows}")
            select = stored_select(session, "_land", [PARTITION])
            folder = scratch / f"{number}"
            written = write(session, Unwritten(select, "FROM _land"), folder, [partition])
            found.append(written)
        one = found[0].versions[partition].data_version
        all_files = tuple(file for w in found for file in w.versions[partition].files)
        version = PartitionVersion(f"{one[:10]}{parts:010}", all_files)
        publish(project.table("raw/orders"), Written({partition: version}, found[0].schema), {})


def test_a_partition_of_several_files_becomes_one(project: Project) -> None:
    project.land("raw/orders", "SELECT 7 AS v, 's' AS s", NEXT_DAY)
    land_in_files(project, 4)
    before = snapshot(project, "raw/orders")
    rows = project.rows("raw/orders")
    done = optimize(project, "raw/orders")
    after = snapshot(project, "raw/orders")
    assert (done.planned.files, done.planned.files_after, files(project, "raw/orders")) == (5, 2, 2)
    assert {k: v.data_version for k, v in after.partitions.items()} == {
        k: v.data_version for k, v in before.partitions.items()
    }
    assert project.rows("raw/orders") == rows
    assert after.files([DAY]).uniform
    assert read(project, "raw/orders", before.version) == rows


def test_what_was_built_from_rows_that_are_compacted_stands(project: Project) -> None:
    project.declare("analytics: {summed: {query: select sum(v) as n from raw.orders}}", daily=True)
    land_in_files(project, 3)
    node = project.node("analytics/summed")
    assert isinstance(node, AnalyticsNode)
    before = standing_of(node, [DAY], project.workbench)
    lake = project.workbench.lake.for_step(node.key, before.inputs, before.prints)
    compute(node, [DAY], replace(project.workbench, lake=lake), {"run_id": "test"})
    assert optimize(project, "raw/orders").planned.files_after == 1
    assert [*standing_of(node, [DAY], project.workbench).unchanged] == [DAY]


def test_nothing_small_is_no_commit(project: Project) -> None:
    project.land("raw/orders", "SELECT 7 AS v", DAY)
    done = optimize(project, "raw/orders")
    assert (done.version, done.planned.groups) == (0, ())


def test_what_was_never_published_cannot_be_optimized(project: Project) -> None:
    with pytest.raises(PermanentError, match="has never been published"):
        optimize(project, "raw/orders")


def test_batches_become_one_and_readers_see_the_same(project: Project) -> None:
    add_batch(project, "SELECT i::INT AS id, 10 AS at, 'a' AS value FROM range(3) t(i)")
    add_batch(project, "SELECT 1 AS id, 20 AS at, 'b' AS value", {"watermark": 20})
    add_batch(project, "SELECT NULL::INT AS id, 30 AS at, 'ü' AS value", {"watermark": 30})
    before, rows = snapshot(project, EVENTS), project.rows(EVENTS)
    optimize(project, EVENTS)
    after = snapshot(project, EVENTS)
    assert files(project, EVENTS) == 1
    assert project.rows(EVENTS) == rows
    assert data_version(project, EVENTS) == before.partitions[WHOLE].data_version
    assert after.batches == before.batches
    assert after.partitions[WHOLE].rows == before.partitions[WHOLE].rows


def test_rows_that_were_replaced_are_still_known(project: Project) -> None:
    add_batch(project, "SELECT 1 AS id, 10 AS at, 'a' AS value")
    add_batch(project, "SELECT 1 AS id, 20 AS at, 'b' AS value")
    optimize(project, EVENTS)
    held = snapshot(project, EVENTS)
    assert sum(file.rows for file in held.partitions[WHOLE].files) == 2


def test_further_batches_count_for_the_data_version_and_empty_ones_do_not(
    project: Project,
) -> None:
    for number in range(3):
        add_batch(project, f"SELECT {number} AS id, {number} AS at")
    before = data_version(project, EVENTS)
    optimize(project, EVENTS)
    add_batch(project, "SELECT 1 AS id, 1 AS at WHERE FALSE", {"watermark": 9})
    assert data_version(project, EVENTS) == before
    add_batch(project, "SELECT 4 AS id, 4 AS at")
    grown = data_version(project, EVENTS)
    assert grown != before
    optimize(project, EVENTS)
    assert (data_version(project, EVENTS), files(project, EVENTS)) == (grown, 1)
    assert project.column(EVENTS, "id") == [0, 1, 2, 4]


def test_batches_in_which_a_row_came_again_with_an_earlier_cursor_stay_apart(
    project: Project,
) -> None:
    add_batch(project, "SELECT 1 AS id, 10 AS at, 'a' AS value")
    add_batch(project, "SELECT 1 AS id, 30 AS at, 'b' AS value")
    add_batch(project, "SELECT 1 AS id, 20 AS at, 'newest' AS value")
    add_batch(project, "SELECT 2 AS id, 40 AS at, 'other' AS value")
    optimize(project, EVENTS)
    assert files(project, EVENTS) == 2
    assert project.column(EVENTS, "value") == ["newest", "other"]


@pytest.mark.parametrize("earlier", ["NULL::INT", "'NaN'::DOUBLE"])
def test_a_cursor_without_a_value_is_the_earliest_and_nan_the_latest(
    project: Project, earlier: str
) -> None:
    add_batch(project, f"SELECT 1 AS id, {earlier}::DOUBLE AS at, 'a' AS value")
    add_batch(project, "SELECT 1 AS id, 5::DOUBLE AS at, 'b' AS value")
    add_batch(project, "SELECT 1 AS id, NULL::DOUBLE AS at, 'c' AS value")
    optimize(project, EVENTS)
    assert project.column(EVENTS, "value") == ["c"]


def test_batches_with_other_columns_become_one_with_all_of_them(project: Project) -> None:
    add_batch(project, "SELECT 1 AS id, 10 AS at")
    add_batch(project, "SELECT 2 AS id, 20 AS at, 'new' AS value")
    rows = project.rows(EVENTS)
    optimize(project, EVENTS)
    assert project.rows(EVENTS) == rows
    assert files(project, EVENTS) == 1


def test_every_row_of_history_stays(project: Project) -> None:
    state = replace(STATE, keep="history")
    for number in range(4):
        add_batch(project, f"SELECT 1 AS id, {number} AS at FROM range(2)", None, state)
    rows = project.rows(EVENTS)
    optimize(project, EVENTS)
    assert (project.rows(EVENTS), files(project, EVENTS)) == (rows, 1)


def test_rows_stay_in_the_order_of_their_batches(project: Project) -> None:
    for number in (3, 1, 2):
        add_batch(
            project, f"SELECT ({number} * 10 + i)::INT AS id, 1 AS at FROM range(3) t(i) ORDER BY i"
        )
    optimize(project, EVENTS)
    held = snapshot(project, EVENTS).partitions[WHOLE]
    with project.workbench.open() as (session, _):
        sizes = [file.bytes for file in held.files]
        found = LakeFiles(
            [held.files[0].path], snapshot(project, EVENTS).schema, False, sizes=sizes
        )
        session.show("_all", found)
        ids = [row[0] for row in session.rows("SELECT id FROM _all ORDER BY _row")]
    assert ids == [30, 31, 32, 10, 11, 12, 20, 21, 22]


def test_large_files_are_left_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        add_batch(project, f"SELECT {number} AS id, {number} AS at")
    monkeypatch.setattr(compaction, "SMALL", 10)
    assert optimize(project, EVENTS).planned.groups == ()


def test_a_batch_that_comes_in_between_is_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        add_batch(project, f"SELECT {number} AS id, {number} AS at")
    lake = project.workbench.lake
    with project.workbench.open() as (session, scratch):
        planned = plan_compaction(session, lake, key_of(EVENTS))
        add_batch(project, "SELECT 9 AS id, 9 AS at")
        expected = data_version(project, EVENTS)
        compact(session, scratch, lake, planned, "ada")
    assert project.column(EVENTS, "id") == [0, 1, 2, 9]
    assert (data_version(project, EVENTS), files(project, EVENTS)) == (expected, 1)


def test_decisions_are_put_together_and_the_newest_counts(project: Project) -> None:
    from datetime import UTC, datetime

    from data_platform.storage.decisions import Decision, decide, decisions_table, newest_decisions

    lake, key = project.workbench.lake, Key("staging", "shop", "orders")
    table = decisions_table(lake, key)
    now = datetime(2024, 1, 1, tzinfo=UTC)
    with project.workbench.open() as (session, scratch):
        for because in ("first", "second"):
            one = Decision(DAY, "row-1", "discard", "ada", now, because)
            decide(lake, table, session, lambda _, one=one: [one], {})
        corrections = Key("corrections", "shop", "orders")
        compact(session, scratch, lake, plan_compaction(session, lake, corrections), "ada")
        assert newest_decisions(session, table)["row-1"].because == "second"
        third = Decision(DAY, "row-1", "restore", "ada", now)
        decide(lake, table, session, lambda _: [third], {})
        assert newest_decisions(session, table)["row-1"].decision == 3


def test_an_older_reader_is_not_disturbed(project: Project) -> None:
    land_in_files(project, 3)
    held = snapshot(project, "raw/orders").partitions[DAY].files
    optimize(project, "raw/orders")
    if project.workbench.lake.place.objects is None:
        paths = [file.path for file in held]
        count = duckdb.sql(f"SELECT count(*) FROM read_parquet({paths})").fetchall()
        assert count == [(3,)]
