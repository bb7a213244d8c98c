"""An incremental source: each run adds what is new, and readers see the newest of each key."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from factories import Project, outcome, verdict
from feeds import Feed, row

from data_platform.errors import ContractError, SourceError, StorageUnavailable
from data_platform.plan.naming import WHOLE


def test_each_run_adds_what_is_new(feed: Feed) -> None:
    feed.holds([row(1, 10), row(2, 20)])
    first = feed.run()
    assert first.publication is not None
    feed.holds([row(1, 10), row(2, 20), row(3, 30)])
    second = feed.run()
    assert second.rows_in == {WHOLE: 3}
    assert second.said[WHOLE]["rows_new"] == 1
    assert second.said[WHOLE]["watermark"] == "30"
    assert feed.rows == [row(1, 10), row(2, 20), row(3, 30)]
    assert (feed.batches, feed.watermark) == (2, 30)
    assert feed.snapshot.partitions[WHOLE].rows == 3


def test_nothing_new_is_no_commit(feed: Feed) -> None:
    feed.holds([row(1, 10)])
    feed.run()
    before = feed.snapshot
    passage = feed.run()
    assert feed.snapshot.version == before.version
    assert passage.publication is not None
    assert passage.publication.changed == frozenset()
    assert passage.publication.versions == before.partitions
    assert passage.said[WHOLE]["rows_new"] == 0


def test_a_file_of_an_older_batch_is_never_touched(feed: Feed) -> None:
    feed.holds([row(1, 10)])
    feed.run()
    before = {file.path for file in feed.snapshot.partitions[WHOLE].files}
    feed.holds([row(1, 20)])
    feed.run()
    assert before < {file.path for file in feed.snapshot.partitions[WHOLE].files}


def test_readers_see_the_newest_row_of_a_key(feed: Feed) -> None:
    feed.holds([row(1, 10), row(2, 10)])
    feed.run()
    feed.holds([row(1, 30, "new"), row(2, 10)])
    feed.run()
    assert feed.rows == [row(1, 30, "new"), row(2, 10)]
    assert feed.snapshot.partitions[WHOLE].rows == 2


def test_history_keeps_every_row(feed: Feed) -> None:
    feed.declare("cursor: at, key: id, keep: history")
    feed.holds([row(1, 10), row(1, 10), row(2, 10)])
    feed.run()
    feed.holds([row(1, 30, "new"), row(2, 10), row(1, 10), row(1, 10)])
    feed.run()
    assert feed.rows == [row(1, 10), row(1, 10), row(1, 30, "new"), row(2, 10)]
    assert feed.snapshot.partitions[WHOLE].rows == 4


def test_a_row_even_with_the_watermark_that_comes_later_isnt_lost(feed: Feed) -> None:
    feed.holds([row(1, 10)])
    feed.run()
    feed.holds([row(1, 10), row(2, 10)])
    feed.run()
    feed.run()
    assert feed.rows == [row(1, 10), row(2, 10)]
    assert feed.batches == 2


@pytest.mark.parametrize("keep", ["latest", "history"])
def test_equal_rows_without_a_key_are_counted(feed: Feed, keep: str) -> None:
    feed.declare(f"cursor: at, keep: {keep}")
    feed.holds([row(1, 10)])
    feed.run()
    feed.holds([row(1, 10), row(1, 10), row(1, 10)])
    feed.run()
    feed.run()
    assert feed.rows == [row(1, 10)] * 3
    assert feed.batches == 2


def test_late_rows_within_the_lookback_come_once(feed: Feed) -> None:
    feed.declare("cursor: at, key: id, lookback: 5")
    feed.holds([row(1, 10)])
    feed.run()
    feed.holds([row(2, 5), row(1, 10), row(3, 4)])
    feed.run()
    feed.run()
    assert feed.rows == [row(1, 10), row(2, 5)]
    assert (feed.batches, feed.watermark) == (2, 10)


def test_a_row_changed_within_the_lookback_is_seen_anew(feed: Feed) -> None:
    feed.declare("cursor: at, key: id, lookback: 5")
    feed.holds([row(1, 8), row(2, 10)])
    feed.run()
    for value in ("b", "a", "b"):
        feed.holds([row(1, 8, value), row(2, 10)])
        feed.run()
        feed.run()
        assert feed.rows == [row(1, 8, value), row(2, 10)]
    assert feed.batches == 4
    assert feed.snapshot.partitions[WHOLE].rows == 2


def test_of_rows_of_one_key_the_newest_counts_whatever_their_order(feed: Feed) -> None:
    feed.declare("cursor: at, key: id, lookback: 100")
    feed.holds([row(1, 30, "new"), row(1, 10, "old")])
    feed.run()
    feed.holds([row(1, 20, "late"), row(1, 10, "old"), row(1, 30, "new")])
    feed.run()
    assert feed.rows == [row(1, 30, "new")]
    assert feed.batches == 1


def test_of_even_rows_of_one_key_readers_always_see_the_same(feed: Feed) -> None:
    feed.holds([row(1, 10, "first"), row(1, 10, "second")])
    feed.run()
    feed.holds([row(1, 10, "second"), row(1, 10, "first")])
    feed.run()
    assert feed.rows == [row(1, 10, "second")]
    assert feed.batches == 1
    feed.holds([row(1, 10, "second"), row(1, 10, "third"), row(1, 10, "first")])
    feed.run()
    feed.run()
    assert feed.rows == [row(1, 10, "third")]
    assert feed.batches == 2


def test_rows_without_a_key_are_each_seen(feed: Feed) -> None:
    feed.holds([row(None, 10), row(None, 10), row(1, 10)])
    feed.run()
    feed.holds([row(None, 10), row(None, 10), row(None, 20), row(1, 10)])
    feed.run()
    feed.run()
    assert feed.rows == [row(1, 10), row(None, 10), row(None, 10), row(None, 20)]
    assert feed.snapshot.partitions[WHOLE].rows == 4


def test_rows_without_a_cursor_are_told_and_left_out(feed: Feed) -> None:
    feed.holds([row(1, None), row(2, 10)])
    passage = feed.run()
    told = outcome(passage, "without_cursor").findings[WHOLE]
    assert verdict(passage, "without_cursor") == "warn"
    assert told.detail == "1 rows whose at is NULL or infinite: they aren't landed"
    assert feed.rows == [row(2, 10)]


def test_a_first_run_without_rows_is_a_table_without_rows(feed: Feed) -> None:
    feed.run()
    assert feed.rows == []
    feed.holds([row(1, 10)])
    feed.run()
    assert feed.rows == [row(1, 10)]


def test_a_first_run_begins_at_the_start(feed: Feed) -> None:
    feed.declare("cursor: at, key: id, start: 20")
    feed.holds([row(1, 10), row(2, 20), row(3, 30)])
    feed.run()
    assert feed.rows == [row(2, 20), row(3, 30)]


def test_another_start_reads_again_from_there(feed: Feed) -> None:
    feed.declare("cursor: at, key: id, start: 20")
    feed.holds([row(1, 10), row(2, 20), row(3, 30)])
    feed.run()
    feed.declare("cursor: at, key: id")
    feed.run()
    assert feed.rows == [row(1, 10), row(2, 20), row(3, 30)]
    assert (feed.batches, feed.watermark) == (2, 30)


def test_another_start_that_brings_nothing_is_noted_once(feed: Feed) -> None:
    feed.holds([row(3, 30)])
    feed.run()
    version = feed.snapshot.partitions[WHOLE].data_version
    feed.declare("cursor: at, key: id, start: 20")
    feed.run()
    feed.run()
    assert feed.batches == 2
    assert feed.snapshot.partitions[WHOLE].data_version == version


def test_a_failing_audit_leaves_batch_and_watermark(feed: Feed) -> None:
    rule = "    quality:\n      - range: {column: id, min: 0}\n"
    feed.declare("cursor: at, key: id", rule)
    feed.holds([row(1, 10)])
    feed.run()
    feed.holds([row(1, 10), row(-1, 20)])
    passage = feed.run()
    assert passage.failed == {WHOLE: "range_id: 1 of 1 rows"}
    assert passage.publication is None
    assert (feed.batches, feed.watermark) == (1, 10)
    feed.holds([row(1, 10), row(2, 20)])
    assert not feed.run().failed
    assert feed.rows == [row(1, 10), row(2, 20)]


def test_unique_in_all_of_the_asset_looks_at_what_readers_see(feed: Feed) -> None:
    rule = "    quality:\n      - unique: {columns: value, scope: asset}\n"
    feed.declare("cursor: at, key: id", rule)
    feed.holds([row(1, 10, "a"), row(2, 10, "b")])
    feed.run()
    feed.holds([row(1, 20, "a"), row(2, 10, "b")])
    assert not feed.run().failed
    feed.holds([row(3, 30, "b")])
    assert feed.run().failed == {WHOLE: "unique_value: 1 of 1 rows"}


def test_a_column_that_came_later_is_null_before(feed: Feed) -> None:
    feed.holds([row(1, 10)])
    feed.run()
    feed.holds("SELECT 2::BIGINT AS id, 20::BIGINT AS at, 'a' AS value, 7::BIGINT AS further")
    feed.run()
    assert feed.rows == [{**row(1, 10), "further": None}, {**row(2, 20), "further": 7}]
    feed.holds([row(3, 30)])
    feed.run()
    assert len(feed.rows) == 3


def test_a_column_that_changed_its_type_is_refused(feed: Feed) -> None:
    feed.holds([row(1, 10)])
    feed.run()
    feed.holds("SELECT 2::BIGINT AS id, 20::BIGINT AS at, 7 AS value")
    with pytest.raises(ContractError, match="column value is string in the table and int32 now"):
        feed.run()
    assert feed.batches == 1


def test_another_key_counts_from_the_next_run_on(feed: Feed) -> None:
    feed.holds([row(1, 10, "x"), row(2, 20, "x")])
    feed.run()
    version = feed.snapshot.partitions[WHOLE].data_version
    feed.declare("cursor: at, key: value")
    assert len(feed.rows) == 2
    feed.run()
    assert feed.rows == [row(2, 20, "x")]
    assert feed.snapshot.partitions[WHOLE].rows == 1
    assert feed.snapshot.partitions[WHOLE].data_version != version
    feed.declare("cursor: at, key: id, keep: history")
    feed.run()
    assert len(feed.rows) == 2
    assert feed.snapshot.partitions[WHOLE].rows == 2


def test_a_table_that_was_landed_whole_is_refused_and_the_other_way_round(feed: Feed) -> None:
    feed.declare(None)
    feed.holds([row(1, 10)])
    feed.run()
    feed.declare("cursor: at, key: id")
    with pytest.raises(ContractError, match="landed whole, and `incremental` wants batches now"):
        feed.run()
    assert feed.rows == [row(1, 10)]


def test_a_table_of_batches_isnt_replaced(feed: Feed) -> None:
    feed.holds([row(1, 10)])
    feed.run()
    feed.declare(None)
    with pytest.raises(ContractError, match="landed in batches, and `incremental` is gone now"):
        feed.run()
    assert feed.rows == [row(1, 10)]


@pytest.mark.parametrize(
    ("incremental", "message"),
    [
        ("cursor: moment, key: id", "there is no column moment to be its cursor: id, at, value"),
        ("cursor: at, key: [id, moment]", "there is no column moment to be its key: id, at, value"),
        ("cursor: value, key: id", "cursor value is a text that is no time in 1 rows, such as 'a'"),
        ("cursor: at, key: id, start: soon", "cursor at: Conversion Error"),
    ],
)
def test_what_cant_be_told_apart_is_refused(feed: Feed, incremental: str, message: str) -> None:
    feed.declare(incremental)
    feed.holds([row(1, 10)])
    with pytest.raises(SourceError, match=message):
        feed.run()


def test_a_cursor_of_another_kind_is_refused(feed: Feed) -> None:
    feed.holds("SELECT 1 AS id, TRUE AS at, 'a' AS value")
    with pytest.raises(SourceError, match="cursor at is BOOLEAN: it must be a time, a date or"):
        feed.run()


@pytest.mark.parametrize(
    ("kind", "values", "watermark"),
    [
        ("TIMESTAMP", ["2024-01-01 00:00:00.000001", "infinity"], "2024-01-01T00:00:00.000001"),
        ("TIMESTAMPTZ", ["2024-01-01 02:00:00+02"], "2024-01-01T00:00:00+00:00"),
        ("DATE", ["2024-01-31", "2023-12-31"], "2024-01-31"),
        ("DECIMAL(20,3)", ["12345678901234567.125"], "12345678901234567.125"),
        ("DOUBLE", ["0.5", "nan", "infinity"], 0.5),
        ("BIGINT", ["9223372036854775807"], 2**63 - 1),
        (
            "VARCHAR",
            ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z", "2024-01-01T00:30:00+02:00"],
            "2024-01-01T00:00:00.5Z",
        ),
    ],
)
def test_cursors_of_all_kinds_go_on(
    feed: Feed, kind: str, values: list[str], watermark: object
) -> None:
    rows = ", ".join(f"({n}, '{value}')" for n, value in enumerate(values))
    query = f"SELECT id, CAST(c AS {kind}) AS at, 'a' AS value FROM (VALUES {rows}) AS v(id, c)"
    feed.holds(query)
    feed.run()
    assert feed.watermark == watermark
    feed.run()
    assert feed.batches == 1


def test_other_readers_see_the_same(feed: Feed, project: Project) -> None:
    feed.declare(
        "cursor: at, key: id",
        "staging:\n  events: {from: raw.events, extra_columns: keep}\n"
        "analytics:\n  totals: {query: SELECT COUNT(*) AS n FROM raw.events}\n",
    )
    feed.holds([row(1, 10), row(2, 10)])
    feed.run()
    feed.holds([row(1, 20, "new"), row(2, 10)])
    feed.run()
    staged = project.compute("staging/events")
    assert staged.rows_in == {WHOLE: 2}
    assert project.rows("staging/events") == [row(1, 20, "new"), row(2, 10)]
    project.compute("analytics/totals")
    assert project.rows("analytics/totals") == [{"n": 2}]


def test_of_two_runs_at_once_the_second_is_to_be_tried_again(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed.holds([row(1, 10)])
    feed.run()
    feed.holds([row(1, 10), row(2, 20)])
    from data_platform.raw import extraction

    publish = extraction.publish_batch

    def meanwhile(*arguments: object) -> object:
        monkeypatch.setattr(extraction, "publish_batch", publish)
        feed.run()
        return publish(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(extraction, "publish_batch", meanwhile)
    with pytest.raises(StorageUnavailable, match="another run added a batch in the meantime"):
        feed.run()
    feed.run()
    assert feed.rows == [row(1, 10), row(2, 20)]
    assert feed.batches == 2


def test_of_runs_at_once_none_adds_rows_twice(feed: Feed) -> None:
    held = [row(0, 0)]
    for number in range(1, 5):
        held.append(row(number, 10 * number))
        feed.holds(held)
        with ThreadPoolExecutor(3) as pool:
            runs = [pool.submit(feed.run) for _ in range(3)]
        errors = [run.exception() for run in runs if run.exception()]
        assert all(isinstance(error, StorageUnavailable) for error in errors), errors
        assert len(errors) < len(runs)
        assert feed.rows == held
    landed = sum(file.rows for file in feed.snapshot.partitions[WHOLE].files)
    assert landed == len(held)


def test_rows_held_back_by_staging_are_those_that_readers_see(feed: Feed, project: Project) -> None:
    feed.declare(
        "cursor: at, key: id",
        "staging:\n  events:\n    from: raw.events\n    extra_columns: keep\n"
        "    columns: {id: {type: bigint}}\n"
        "    quality:\n      - accepted_values: {column: value, values: [good]}\n"
        "    on_violation: quarantine\n",
    )
    feed.holds([row(1, 10, "good"), row(2, 10, "bad"), row(3, 10, "bad")])
    feed.run()
    feed.holds([row(1, 20, "worse"), row(2, 20, "good"), row(3, 10, "bad")])
    feed.run()
    passage = project.compute("staging/events")
    assert passage.rows_in == {WHOLE: 3}
    assert project.column("staging/events", "id") == [2]
    held = project.rows("quarantine/events")
    assert sorted((one["id"], one["value"]) for one in held) == [(1, "worse"), (3, "bad")]


def test_files_grow_too_and_keep_where_rows_came_from(project: Project) -> None:
    (project.folder / "a.csv").write_text("id,at,value\n1,2024-01-01,a\n2,2024-01-02,b\n")
    project.declare(
        "sources:\n  events: {type: file, path: '*.csv', settle: 0s, "
        "incremental: {cursor: at, key: id}}\n"
    )
    project.land_source("events")
    (project.folder / "b.csv").write_text("id,at,value\n3,2024-01-02,c\n1,2024-01-03,d\n")
    passage = project.land_source("events")
    assert passage.said[WHOLE]["rows_new"] == 2
    assert project.column("raw/events", "value") == ["d", "b", "c"]
    snapshot = project.table("raw/events").snapshot()
    assert snapshot is not None
    with project.workbench.open() as (session, _):
        session.show("rows", snapshot.files([WHOLE]), hidden=False, provenance=True)
        found = session.rows("SELECT id, parse_filename(_source_file) FROM rows ORDER BY id")
    assert found == [(1, "b.csv"), (2, "a.csv"), (3, "b.csv")]
