"""An incremental source of a database, in Dagster: figures, retries and readers of all kinds."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import dagster as dg
import psycopg2
import pyarrow as pa
import pytest
from dagster_steps import run_assets
from factories import Project, outcome
from feeds import Feed, row

from data_platform.engine.lake_frames import FrameKind, read_frame
from data_platform.errors import StorageUnavailable
from data_platform.plan.naming import WHOLE
from data_platform.plan.schemas import NO_MASKING
from data_platform.raw import extraction
from data_platform.reporting.previews import preview_of

SOURCE = """
sources:
  orders:
    type: database
    connection: shop
    table: orders
    incremental:
      cursor: changed
      key: id
      lookback: 1h
"""


@pytest.fixture
def ask(project: Project, postgres_url: str) -> Callable[[str], None]:
    """Run a statement in the shop, whose table of orders is the source."""
    project.platform(f"connections:\n  shop: {{type: database, url: '{postgres_url}'}}\n")
    project.declare(SOURCE)

    def run(statement: str) -> None:
        with closing(psycopg2.connect(postgres_url)) as connection, connection:
            connection.cursor().execute(statement)

    run("CREATE TABLE orders (id int PRIMARY KEY, changed timestamptz, value text)")
    return run


def land(project: Project, url: str) -> Any:
    return project.land_source("orders", url=url)


def test_a_table_is_read_from_the_watermark_less_the_lookback_on(
    project: Project, postgres_url: str, ask: Callable[[str], None]
) -> None:
    ask(
        "INSERT INTO orders VALUES (1, '2024-01-01 10:00+00', 'a'), (2, '2024-01-01 08:00+00', 'b')"
    )
    assert land(project, postgres_url).rows_in == {WHOLE: 2}
    ask("INSERT INTO orders VALUES (3, '2024-01-01 09:30+02', 'beyond the lookback')")
    ask("INSERT INTO orders VALUES (4, '2024-01-01 09:30Z', 'late')")
    ask("INSERT INTO orders VALUES (5, '2024-01-01 11:00+00', 'new')")
    passage = land(project, postgres_url)
    assert passage.rows_in == {WHOLE: 3}
    assert passage.said[WHOLE] == {"rows_new": 2, "watermark": "2024-01-01T11:00:00+00:00"}
    assert project.column("raw/orders", "id") == [1, 2, 4, 5]


def test_rows_without_a_cursor_are_told_in_each_run(
    project: Project, postgres_url: str, ask: Callable[[str], None]
) -> None:
    ask("INSERT INTO orders VALUES (1, '2024-01-01', 'a'), (2, NULL, 'b')")
    for _ in range(2):
        passage = land(project, postgres_url)
        assert outcome(passage, "without_cursor").findings[WHOLE].offending == 1
    assert project.column("raw/orders", "id") == [1]


def test_dagster_shows_what_was_read_what_is_new_and_the_watermark(
    project: Project, instance: dg.DagsterInstance, ask: Callable[[str], None]
) -> None:
    ask(
        "INSERT INTO orders VALUES (1, '2024-01-01 10:00+00', 'a'), (2, '2024-01-01 09:00+00', 'b')"
    )
    assert run_assets(project, instance, "raw/orders").success
    ask("UPDATE orders SET value = 'c', changed = '2024-01-01 12:00+00' WHERE id = 1")
    result = run_assets(project, instance, "raw/orders")
    assert result.success
    event = instance.get_latest_materialization_event(dg.AssetKey(["raw", "shop", "orders"]))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["dagster/row_count"].value == 2
    assert metadata["rows_in"].value == 2
    assert metadata["rows_new"].value == 1
    assert metadata["watermark"].value == "2024-01-01T12:00:00+00:00"
    assert "c" in str(metadata["preview"].value)
    assert {e.check_name for e in result.get_asset_check_evaluations()} >= {"without_cursor"}


@pytest.mark.parametrize("kind", ["pandas", "arrow", "reader", "duckdb"])
def test_functions_see_the_newest_rows(feed: Feed, kind: FrameKind) -> None:
    feed.holds([row(1, 10), row(2, 10)])
    feed.run()
    feed.holds([row(1, 20, "new")])
    feed.run()
    with feed.project.workbench.open() as (session, _):
        found = read_frame(session, feed.snapshot.files([WHOLE]), kind, ["id", "value"])
        rows = pa.table(found.to_arrow_table() if kind == "duckdb" else found).to_pylist()
    assert sorted(rows, key=str) == [{"id": 1, "value": "new"}, {"id": 2, "value": "a"}]


def test_a_preview_shows_the_newest_batch(feed: Feed) -> None:
    feed.holds([row(1, 10, "older"), row(2, 10)])
    feed.run()
    feed.holds([row(1, 20, "newer")])
    feed.run()
    text = preview_of(
        feed.snapshot.partitions[WHOLE], NO_MASKING, feed.project.workbench.lake.place
    )
    assert "2 rows, the first 1 of them" in text
    assert "newer" in text
    assert "older" not in text


def test_a_first_run_that_another_one_overtook_adds_nothing(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed.holds([row(1, 10)])
    publish = extraction.publish_batch

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(extraction, "publish_batch", publish)
        feed.run()
        return publish(*arguments)

    monkeypatch.setattr(extraction, "publish_batch", meanwhile)
    with pytest.raises(StorageUnavailable, match="another run added a batch"):
        feed.run()
    feed.run()
    assert feed.batches == 1
