"""What Dagster makes of a table that went back or lost rows: what is out of date, what runs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pyarrow.parquet as pq
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from factories import Project, arrow

from data_platform.definitions import definitions_of
from data_platform.instance.storage import open_instance
from data_platform.loading import load
from data_platform.settings import Settings

BODY = """sources:
  orders: {type: file, path: orders.parquet, partitions: none, settle: 0s}
staging:
  orders: {from: raw.orders}
analytics:
  revenue: {query: "SELECT sum(price) AS total FROM staging.orders"}
"""


class Shop:
    """A shop that runs in Dagster."""

    def __init__(self, project: Project, command, url: str, instance: dg.DagsterInstance) -> None:
        self.project = project
        self.command = command
        settings = Settings(
            project.folder, project.folder / ".data", (project.pipelines,), storage_url=url
        )
        environ = {"LAKE_ROOT": str(project.workbench.lake.root)}
        self.definitions = definitions_of(load(settings, environ), datetime.now(UTC))
        self.instance = instance
        self._cursor = None
        self._now = datetime.now(UTC) + timedelta(minutes=1)

    def run(self, prices: str, *options: str) -> None:
        """Run with other rows in the source."""
        sql = f"SELECT price::INT AS price, price * 10 AS who FROM (VALUES {prices}) t(price)"
        pq.write_table(arrow(sql), self.project.folder / "orders.parquet")
        result = self.command("run", "shop", *options)
        assert result.exit_code == 0, result.output

    def stale(self) -> set[str]:
        """What Dagster shows as out of date."""
        graph = self.definitions.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(
            self.instance, graph, LoadingContextForTest(self.instance)
        )
        return {
            f"{key.path[0]}/{key.path[2]}"
            for key in graph.materializable_asset_keys
            if len(key.path) > 2 and resolver.get_status(key).value != "FRESH"
        }

    def requested(self) -> set[str]:
        """What automation asks for at the next tick."""
        self._now += timedelta(minutes=1)
        result = dg.evaluate_automation_conditions(
            self.definitions, self.instance, cursor=self._cursor, evaluation_time=self._now
        )
        self._cursor = result.cursor
        return {
            f"{one.key.path[0]}/{one.key.path[2]}"
            for one in result.results
            if result.get_num_requested(one.key) and len(one.key.path) > 2
        }


@pytest.fixture
def shop(project: Project, command, environ: dict[str, str], dagster_url: str) -> Iterator[Shop]:
    """It ran twice, with other rows; all is up to date."""
    environ["DATA_PLATFORM_STORAGE_URL"] = dagster_url
    project.declare(BODY)
    pq.write_table(arrow("SELECT 1::INT AS price, 10 AS who"), project.folder / "orders.parquet")
    settings = Settings(project.folder, project.folder / ".data", (), storage_url=dagster_url)
    with open_instance(settings) as instance:
        found = Shop(project, command, dagster_url, instance)
        found.run("(1), (2)")
        found.run("(1), (2), (40)")
        assert found.stale() == set()
        found.requested()
        assert found.requested() == set()
        yield found


def test_what_is_below_runs_after_a_rollback_and_after_an_erasure(shop: Shop) -> None:
    result = shop.command("lake", "rollback", "raw.orders", "--to", "0", "--yes")
    assert result.exit_code == 0, result.output
    assert shop.stale() == {"staging/orders"}
    assert "staging/orders" in shop.requested()
    assert shop.requested() == set()
    below = ("--select", "staging/orders", "--select", "analytics/revenue")
    shop.run("(1), (2), (40)", *below)
    assert shop.project.column("analytics/revenue", "total") == [3]
    assert shop.stale() == set()
    # The source still has the row: the next run of all reads it again.
    shop.run("(1), (2), (40)")
    assert shop.project.column("analytics/revenue", "total") == [43]
    assert shop.stale() == set()
    shop.requested()
    result = shop.command("lake", "erase", "raw.orders", "--where", "who = 400", "--apply")
    assert result.exit_code == 0, result.output
    assert shop.project.column("raw/orders", "price") == [1, 2]
    assert shop.stale() == {"staging/orders"}
    assert "staging/orders" in shop.requested()


def test_what_keeps_rows_leaves_all_up_to_date_and_what_went_back_is_told_from_that(
    shop: Shop,
) -> None:
    for command in (("optimize",), ("vacuum", "--apply", "--retention", "0s")):
        assert shop.command("lake", *command).exit_code == 0
    assert (shop.stale(), shop.requested()) == (set(), set())
    shop.command("lake", "rollback", "staging.orders", "--to", "0", "--yes")
    # It stands on rows of before, and says so; what is below isn't built from it yet.
    assert shop.stale() == {"staging/orders", "analytics/revenue"}
    assert shop.requested() == {"analytics/revenue"}
