"""When things run by themselves: the presets over ticks of Dagster's own evaluation.

Nothing runs here; each story writes what a run would have recorded, and asks what is requested.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation

from data_platform.definitions import definitions_of
from data_platform.loading import load
from data_platform.settings import Settings

PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
partitions: {{every: day, start: 2024-01-01}}
sources:
  orders: {{type: database, connection: shop, table: orders, cursor: at}}
staging:
  orders: {{from: raw.orders}}
analytics:
  daily:
    query: select count(*) as orders from staging.orders
    {daily}
  weekly:
    query: select count(*) as orders from staging.orders
    inputs: {{staging.orders: {{last: 7}}}}
  total:
    query: select count(*) as orders from staging.orders
    partitions: none
"""
MORNING = datetime(2024, 1, 11, 6, tzinfo=UTC)
DAYS = [f"2024-01-{day:02}" for day in range(1, 11)]
NEWEST = DAYS[-1]


def key(name: str) -> dg.AssetKey:
    layer, _, asset = name.partition("/")
    return dg.AssetKey([layer, "shop", asset])


class Story:
    """Ticks of the automation over an instance where nothing has run."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, daily: str = "") -> None:
        pipelines = folder / "pipelines"
        (pipelines / "shop").mkdir(parents=True)
        (pipelines / "shop" / "pipeline.yaml").write_text(PIPELINE.format(daily=daily))
        (pipelines / "platform.yaml").write_text(
            "connections:\n  shop: {type: database, url: postgresql://nowhere}\n"
        )
        loaded = load(Settings(folder, folder / ".data", (pipelines,)), {})
        assert not loaded.problems, loaded.problems
        self._definitions = definitions_of(loaded, MORNING)
        self._instance = instance
        self._cursor = None
        self.now = MORNING

    def publish(self, name: str, *partitions: str, version: str = "one") -> None:
        """What a run records of partitions; none for an asset without any."""
        for partition in partitions or (None,):
            self._instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    key(name), partition=partition, tags={"dagster/data_version": version}
                )
            )

    def fail_audit(self, name: str) -> None:
        """What a run records whose candidate failed."""
        self._instance.report_runless_asset_event(
            AssetCheckEvaluation(asset_key=key(name), check_name="conservation", passed=False)
        )

    def tick(self, minutes: int = 1) -> dict[str, set[str]]:
        """Let time pass; gives the partitions that are requested, by asset."""
        self.now += timedelta(minutes=minutes)
        result = dg.evaluate_automation_conditions(
            self._definitions, self._instance, cursor=self._cursor, evaluation_time=self.now
        )
        self._cursor = result.cursor
        requested: dict[str, set[str]] = {}
        for one in result.results:
            asset = f"{one.key.path[0]}/{one.key.path[2]}" if len(one.key.path) > 2 else ""
            if result.get_num_requested(one.key):
                keys = result.get_requested_partitions(one.key)
                requested[asset] = {part or "" for part in keys}
        return requested


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def story(tmp_path: Path, instance: dg.DagsterInstance) -> Story:
    """Everything is published, and has been looked at."""
    found = Story(tmp_path, instance)
    for name in ("raw/orders", "staging/orders", "analytics/daily", "analytics/weekly"):
        found.publish(name, *DAYS)
    found.publish("analytics/total")
    assert found.tick() == {}
    assert found.tick() == {}
    return found


def test_other_rows_upstream_request_what_is_below_once(story: Story) -> None:
    story.publish("raw/orders", NEWEST, version="two")
    requested = story.tick()
    assert requested["staging/orders"] == {NEWEST}
    assert story.tick() == {}
    assert story.tick() == {}

    story.publish("staging/orders", NEWEST, version="two")
    requested = story.tick()
    assert requested["analytics/daily"] == {NEWEST}
    assert requested["analytics/weekly"] == {NEWEST}
    assert requested["analytics/total"] == {""}
    assert "staging/orders" not in requested
    assert story.tick() == {}


def test_the_same_rows_upstream_request_nothing(story: Story) -> None:
    story.publish("raw/orders", NEWEST, version="one")
    assert story.tick() == {}
    assert story.tick() == {}


def test_a_failed_audit_upstream_requests_nothing_below(story: Story) -> None:
    story.publish("raw/orders", NEWEST, version="two")
    assert "staging/orders" in story.tick()
    story.fail_audit("staging/orders")
    assert story.tick() == {}
    assert story.tick() == {}
    story.publish("staging/orders", NEWEST, version="mended")
    assert story.tick()["analytics/daily"] == {NEWEST}


def test_a_day_that_begins_is_built_once_its_source_is_there(story: Story) -> None:
    assert story.tick(24 * 60) == {}
    story.publish("raw/orders", "2024-01-11", version="new")
    # All in one run: Dagster counts on what is requested in the same tick.
    day = {"2024-01-11"}
    below = ("staging/orders", "analytics/daily", "analytics/weekly")
    assert story.tick() == dict.fromkeys(below, day)
    assert story.tick() == {}


def test_a_total_over_an_incomplete_history_is_built(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    story = Story(tmp_path, instance)
    story.tick()
    story.publish("raw/orders", NEWEST)
    asked = [story.tick()]
    assert asked[0]["staging/orders"] == asked[0]["analytics/daily"] == {NEWEST}
    story.publish("staging/orders", NEWEST)
    story.publish("analytics/daily", NEWEST)
    asked += [story.tick(), story.tick()]
    assert [found["analytics/total"] for found in asked if "analytics/total" in found] == [{""}]
    # A window of seven days isn't whole.
    assert not any("analytics/weekly" in found for found in asked)


def test_history_is_not_filled(story: Story) -> None:
    story.publish("raw/orders", DAYS[3], version="two")
    requested = story.tick()
    assert DAYS[3] not in requested.get("staging/orders", set())


def test_manual_is_never_requested(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    story = Story(tmp_path, instance, "automation: manual")
    story.tick()
    for version in ("one", "two"):
        story.publish("raw/orders", *DAYS, version=version)
        story.publish("staging/orders", *DAYS, version=version)
        assert "analytics/daily" not in story.tick()


def test_a_cron_waits_for_its_tick_and_its_upstream(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    story = Story(tmp_path, instance, "automation: {cron: '0 7 * * *', timezone: UTC}")
    for name in ("raw/orders", "staging/orders"):
        story.publish(name, *DAYS)
    assert "analytics/daily" not in story.tick()
    assert "analytics/daily" not in story.tick(65)
    story.publish("staging/orders", NEWEST, version="two")
    assert story.tick()["analytics/daily"] == {NEWEST}
    assert "analytics/daily" not in story.tick()


def test_freshness_builds_what_was_never_built_and_tries_again_on_its_cron(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    story = Story(
        tmp_path, instance, "automation: freshness\n    freshness: {warn_after: 6h, fail_after: 8h}"
    )
    for name in ("raw/orders", "staging/orders"):
        story.publish(name, *DAYS)
    story.tick()
    requests = [story.tick(5).get("analytics/daily", set()) for _ in range(7)]
    # Two quarters of an hour have passed, and the asset is missing still.
    assert [found for found in requests if found] == [{NEWEST}, {NEWEST}]
    story.publish("analytics/daily", NEWEST)
    assert all("analytics/daily" not in story.tick(5) for _ in range(7))
