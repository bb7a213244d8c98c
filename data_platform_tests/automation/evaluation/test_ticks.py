"""What a tick looks at and starts: few assets, runs that hold up no others, any condition."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import cast

import dagster as dg
import pytest
import sqlalchemy as db
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from data_platform.automation.evaluation.grouping import CAUSE
from data_platform.automation.evaluation.sensor import NAME, AutomationSensor
from data_platform.automation.evaluation.ticking import Ticked, Ticking
from data_platform.automation.evaluation.waking import Waking
from data_platform.automation.evaluation.watching import Watching
from data_platform.automation.operators import Wanted
from data_platform.instance.run_limits import RunLimits

NOON = datetime(2024, 1, 11, 12, tzinfo=UTC)
DAYS = dg.DailyPartitionsDefinition("2024-01-01")
CITIES = dg.DynamicPartitionsDefinition(name="cities")
EAGER = dg.AutomationCondition.eager()
ONCE = Wanted(trigger=dg.AutomationCondition.missing().newly_true()) & ~(
    dg.AutomationCondition.any_deps_missing()
)


@dg.asset(partitions_def=DAYS, group_name="shop")
def orders() -> None: ...


@dg.asset(partitions_def=DAYS, group_name="shop", deps=[orders], automation_condition=EAGER)
def sales() -> None: ...


@dg.asset(partitions_def=DAYS, group_name="crm", deps=[orders], automation_condition=EAGER)
def customers() -> None: ...


@dg.asset(partitions_def=DAYS, group_name="board", deps=[customers], automation_condition=EAGER)
def report() -> None: ...


@dg.asset(partitions_def=CITIES, group_name="shop")
def visits() -> None: ...


@dg.asset(partitions_def=CITIES, group_name="shop", deps=[visits], automation_condition=ONCE)
def guests() -> None: ...


@dg.asset(partitions_def=CITIES, group_name="shop", deps=[guests], automation_condition=ONCE)
def regulars() -> None: ...


class Odd(dg.AutomationCondition):
    """Asks something that nobody else knows."""

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        return dg.AutomationResult(context, context.get_empty_subset())


@dg.asset(automation_condition=Odd())
def odd() -> None: ...


class Platform:
    """Ticks, one after another."""

    def __init__(self, instance: dg.DagsterInstance, *assets: dg.AssetsDefinition) -> None:
        self._graph = dg.Definitions(assets=assets).resolve_asset_graph()
        self._instance = instance
        self._ticking = self._ticking_anew()
        self._cursor: str | None = None
        self._now = NOON

    def tick(self, after: timedelta = timedelta(minutes=2)) -> Ticked:
        self._now += after
        found = self._ticking.tick(
            self._instance,
            self._cursor,
            tags={},
            logger=logging.getLogger("automation"),
            now=self._now,
        )
        self._cursor = found.cursor
        return found

    def settle(self) -> None:
        while self.tick().looked_at:
            pass

    def publish(self, name: str, partition: str = "2024-01-10") -> None:
        event = dg.AssetMaterialization(name, partition=partition)
        self._instance.report_runless_asset_event(event)

    def restart(self) -> None:
        self._ticking = self._ticking_anew()

    def _ticking_anew(self) -> Ticking:
        # No asset's turn comes, which chance would choose.
        return Ticking(self._graph, Waking(Watching(self._graph), round=10**9))


@pytest.fixture
def nothing() -> Iterator[dg.DagsterInstance]:
    """An instance in memory, where nothing has happened."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@contextmanager
def uncommitted(instance: dg.DagsterInstance) -> Iterator[None]:
    """The newest event but one has its number, but nobody sees it yet."""
    storage = cast("SqlEventLogStorage", instance.event_log_storage)
    newest = db.select(Events).order_by(Events.c.id.desc()).offset(1).limit(1)
    with storage.index_connection() as connection:
        [event] = connection.execute(newest).mappings().all()
        connection.execute(db.delete(Events).where(Events.c.id == event["id"]))
    yield
    with storage.index_connection() as connection:
        connection.execute(db.insert(Events).values(**event))


def test_a_tick_without_news_looks_at_nothing(nothing: dg.DagsterInstance) -> None:
    platform = Platform(nothing, orders, sales, customers, report)
    platform.settle()
    assert platform.tick().looked_at == 0


def test_an_event_wakes_what_reads_the_asset(nothing: dg.DagsterInstance) -> None:
    platform = Platform(nothing, orders, sales, customers, report)
    platform.settle()
    platform.publish("report")
    found = platform.tick()
    assert set(found.results) == {dg.AssetKey("report")}


def test_what_was_judged_is_not_looked_at_again_a_moment_later(
    nothing: dg.DagsterInstance,
) -> None:
    platform = Platform(nothing, orders, sales, customers, report)
    platform.settle()
    platform.publish("report")
    moment = timedelta(seconds=5)
    assert [platform.tick(moment).looked_at for _ in range(4)] == [1, 1, 0, 0]


def test_an_event_that_is_there_after_one_of_a_higher_number_is_seen(
    nothing: dg.DagsterInstance,
) -> None:
    platform = Platform(nothing, orders, sales, customers, report)
    platform.settle()
    platform.publish("report")
    platform.publish("sales")
    moment = timedelta(seconds=5)
    with uncommitted(nothing):
        assert set(platform.tick(moment).results) == {dg.AssetKey("sales")}
    assert dg.AssetKey("report") in platform.tick(moment).results


def test_pipelines_run_apart_unless_one_reads_the_other(nothing: dg.DagsterInstance) -> None:
    platform = Platform(nothing, orders, sales, customers, report)
    platform.settle()
    platform.publish("orders")
    runs = platform.tick().requests
    names = {frozenset(key.to_user_string() for key in run.asset_selection or ()) for run in runs}
    assert names == {frozenset({"sales"}), frozenset({"customers", "report"})}
    assert {run.tags["data_platform/cause"] for run in runs} == {"automation: eager"}


def test_registered_keys_that_were_remembered_are_a_backfill_that_begins(
    nothing: dg.DagsterInstance,
) -> None:
    nothing.add_dynamic_partitions("cities", ["Rome", "Bari"])
    platform = Platform(nothing, visits, guests, regulars)
    platform.settle()
    for city in ("Rome", "Bari"):
        platform.publish("visits", city)
    [request] = platform.tick().requests
    backfill = PartitionBackfill.from_asset_graph_subset(
        "cities", NOON.timestamp(), tags={}, asset_graph_subset=request.asset_graph_subset,
        dynamic_partitions_store=nothing, title=None, description=None, run_config=None,
    )  # fmt: skip
    view = AssetGraphView.for_test(dg.Definitions([visits, guests, regulars]), nothing)
    with partition_loading_context(NOON, nothing):
        roots = backfill.asset_backfill_data.get_target_root_asset_graph_subset(view)
        assert {key.path[-1] for key in roots.asset_keys} == {"guests"}


def test_a_condition_that_nobody_knows_is_asked_in_every_tick(
    nothing: dg.DagsterInstance,
) -> None:
    platform = Platform(nothing, orders, sales, odd)
    for _ in range(4):
        found = platform.tick()
    assert set(found.results) == {dg.AssetKey("odd")}


def test_a_process_that_begins_requests_nothing_again(nothing: dg.DagsterInstance) -> None:
    platform = Platform(nothing, orders, sales)
    platform.settle()
    platform.publish("orders")
    assert platform.tick().requests
    platform.restart()
    found = platform.tick()
    assert found.looked_at == 1
    assert not found.requests


def test_the_cursor_of_another_sensor_is_begun_anew(nothing: dg.DagsterInstance) -> None:
    platform = Platform(nothing, orders, sales)
    platform._cursor = "Dagster's own"
    assert platform.tick().cursor.startswith("data_platform/")


def test_dagster_takes_more_assets_than_its_limit_and_makes_no_second_sensor() -> None:
    many = [dg.AssetSpec(f"asset_{n}") for n in range(600)]
    definitions = dg.Definitions(assets=[*many, orders, sales], sensors=[AutomationSensor()])
    repository = definitions.get_repository_def()
    assert [sensor.name for sensor in repository.sensor_defs] == [NAME]
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance, repository_def=repository) as context,
    ):
        ticked = repository.get_sensor_def(NAME).evaluate_tick(context)
    assert ticked.cursor


def test_a_request_has_what_the_queue_would_add(nothing: dg.DagsterInstance) -> None:
    limits = RunLimits(active_runs={"shop": 2}, priorities={"staging/shop/sales": 5})

    @dg.asset(
        key=["staging", "shop", "sales"], automation_condition=dg.AutomationCondition.missing()
    )
    def lacking() -> None: ...

    definitions = dg.Definitions(
        [lacking], sensors=[AutomationSensor()], metadata=limits.metadata()
    )
    repository = definitions.get_repository_def()
    with dg.build_sensor_context(nothing, repository_def=repository) as context:
        (request,) = repository.get_sensor_def(NAME).evaluate_tick(context).run_requests or []
    assert request.tags.items() >= limits.tags(["staging/shop/sales"]).items()
    assert request.tags[CAUSE].startswith("automation: ")
