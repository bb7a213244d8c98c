"""What Dagster loads: without pipelines, with broken ones, and what is on from the first start."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import instance_for_test
from dagster_records import key_of
from retail_platform import RetailPlatform

from data_platform.definitions import definitions_of
from data_platform.loading import load
from data_platform.settings import PACKAGE_DIR, Settings

DUE = datetime(2017, 12, 28, 6, tzinfo=UTC)
TICKS = {
    datetime(2017, 1, 1, 6, tzinfo=UTC): None,
    datetime(2017, 1, 2, 6, tzinfo=UTC): "2017-01-01",
    datetime(2017, 7, 1, 6, tzinfo=UTC): "2017-06-30",
    datetime(2018, 1, 1, 6, tzinfo=UTC): "2017-12-31",
    datetime(2018, 1, 2, 6, tzinfo=UTC): None,
    datetime(2026, 1, 1, 6, tzinfo=UTC): None,
}


def definitions(*folders: Path, home: Path, now: datetime = DUE) -> dg.Definitions:
    settings = Settings(home, home / ".data", folders)
    return definitions_of(load(settings, {"RETAIL_FILES": str(home)}), now)


@pytest.fixture
def shipped(tmp_path: Path) -> dg.Definitions:
    return definitions(PACKAGE_DIR / "pipelines", home=tmp_path)


def test_definitions_load_without_a_pipeline(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    loaded = definitions(tmp_path / "pipelines", home=tmp_path)
    dg.Definitions.validate_loadable(loaded)
    assert not list(loaded.resolve_asset_graph().materializable_asset_keys)


def test_a_broken_pipeline_stays_in_sight_and_its_neighbours_run(retail: RetailPlatform) -> None:
    broken = retail.pipelines / "broken"
    broken.mkdir()
    text = (retail.pipelines / "retail" / "pipeline.yaml").read_text()
    text = text.replace("pipeline: retail", "pipeline: broken").replace("cursor:", "curser:")
    (broken / "pipeline.yaml").write_text(text)
    for sql in (retail.pipelines / "retail").glob("*.sql"):
        (broken / sql.name).write_text(sql.read_text())

    graph = retail.definitions.resolve_asset_graph()
    seen = dg.AssetKey(["staging", "broken", "transactions"])
    assert graph.has(seen)
    assert graph.get(seen).is_external
    assert retail.run("2017-12-30", "2018-01-01", select=["raw/transactions"]).succeeded

    job = retail.definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_check_selection={dg.AssetCheckKey(dg.AssetKey("platform"), "pipelines_valid")}
    )
    with retail.environment():
        [check] = job.execute_in_process(instance=retail.instance).get_asset_check_evaluations()
    assert not check.passed
    assert "curser" in str(check.metadata["where"])
    assert "broken/pipeline.yaml" in str(check.metadata["where"])


def test_everything_is_on_from_the_first_start(shipped: dg.Definitions) -> None:
    repository = shipped.get_repository_def()
    assert [s.name for s in repository.schedule_defs] == [
        "marketing_sources",
        "retail_sources",
    ]
    assert all(
        schedule.default_status == dg.DefaultScheduleStatus.RUNNING
        for schedule in repository.schedule_defs
    )
    sensors = {sensor.name: sensor.default_status for sensor in repository.sensor_defs}
    assert set(sensors.values()) == {dg.DefaultSensorStatus.RUNNING}
    assert {"default_automation_condition_sensor", "pools", "pipelines_valid"} <= set(sensors)


@pytest.mark.parametrize(("tick", "partition"), list(TICKS.items()), ids=str)
def test_the_schedule_asks_for_the_newest_due_day_and_for_none_after_the_end(
    shipped: dg.Definitions, tick: datetime, partition: str | None
) -> None:
    schedule = shipped.resolve_schedule_def("retail_sources")
    context = dg.build_schedule_context(
        scheduled_execution_time=tick, repository_def=shipped.get_repository_def()
    )
    found = schedule.evaluate_tick(context)
    requests = found.run_requests or []
    daily = [r for r in requests if r.asset_selection == [key_of("raw/transactions")]]
    assert [request.partition_key for request in daily] == ([partition] if partition else [])
    # The files have no partitions, and are asked for at every tick.
    others = [r for r in requests if r not in daily]
    assert [request.partition_key for request in others] == [None]


@pytest.mark.parametrize("schedule", ["", "schedule: '@daily'\n"])
def test_sources_of_several_kinds_of_partitions_load_together(
    tmp_path: Path, schedule: str
) -> None:
    pipelines = tmp_path / "pipelines"
    (pipelines / "shop").mkdir(parents=True)
    (pipelines / "platform.yaml").write_text(
        "connections:\n"
        "  topics: {type: kafka, bootstrap_servers: nowhere}\n"
        "  store: {type: s3, bucket: exports, queue: https://queue.example/1/exports}\n"
    )
    (pipelines / "shop" / "pipeline.yaml").write_text(
        f"version: 1\npipeline: shop\nowner: team:shop\n{schedule}"
        "partitions: {every: day, start: 2024-01-01}\n"
        "dynamic: {customers: {from: raw.names, column: name}}\n"
        "sources:\n"
        "  names: {type: file, path: names.csv, partitions: none}\n"
        "  orders: {type: file, path: '{partition_key}.csv'}\n"
        "  visits: {type: file, path: '{partition_key}.csv', partitions: {dynamic: customers}}\n"
        "  more: {type: file, path: '{partition_key}.csv', partitions: {dynamic: customers}}\n"
        "  clicks: {type: topic, connection: topics, topic: clicks}\n"
        "  views: {type: topic, connection: topics, topic: views, partitions: {every: hour,"
        " start: 2024-01-01}}\n"
        "  sent: {type: file, connection: store, path: 's3://exports/{partition_key}.csv'}\n"
        "  held: {type: file, connection: store, path: 's3://exports/{partition_key}.csv',"
        " partitions: {dynamic: customers}}\n"
    )
    found = load(Settings(tmp_path, tmp_path / ".data", (pipelines,)), {})
    assert not found.problems, found.problems
    # As a code server does: a job that can't be resolved takes the whole location down.
    repository = definitions_of(found, DUE).get_repository_def()
    repository.load_all_definitions()
    if schedule:
        [daily] = repository.schedule_defs
        with instance_for_test() as instance:
            context = dg.build_schedule_context(
                instance, datetime(2024, 1, 3, tzinfo=UTC), repository_def=repository
            )
            ticked = daily.evaluate_tick(context)
        newest = [request.partition_key for request in ticked.run_requests or ()]
        assert newest == [None, "2024-01-02", "2024-01-02-23:00"]


def test_a_schedule_with_nothing_due_says_so(tmp_path: Path) -> None:
    pipelines = tmp_path / "pipelines"
    (pipelines / "shop").mkdir(parents=True)
    (pipelines / "platform.yaml").write_text(
        "connections:\n  shop: {type: database, url: postgresql://nowhere}\n"
    )
    (pipelines / "shop" / "pipeline.yaml").write_text(
        "version: 1\npipeline: shop\nowner: team:shop\n"
        "partitions: {every: day, start: 2017-01-01, end: 2018-01-01}\nschedule: '0 6 * * *'\n"
        "sources:\n  orders: {type: database, connection: shop, table: orders, cursor: at}\n"
    )
    schedule = definitions(pipelines, home=tmp_path).resolve_schedule_def("shop_sources")
    tick = datetime(2020, 1, 1, 6, tzinfo=UTC)
    found = schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=tick))
    assert not found.run_requests
    assert found.skip_message == "nothing is due for orders"


def test_the_pools_sensor_sets_the_limits(retail: RetailPlatform) -> None:
    sensor = retail.definitions.resolve_sensor_def("pools")
    for message in ("set database: 8, api: 10", "nothing has changed"):
        context = dg.build_sensor_context(
            instance=retail.instance, repository_def=retail.definitions.get_repository_def()
        )
        assert sensor.evaluate_tick(context).skip_message == message
    limits = {p.name: p.limit for p in retail.instance.event_log_storage.get_pool_limits()}
    assert limits["database"] == 8


def test_freshness_is_promised_until_the_partitions_have_ended(tmp_path: Path) -> None:
    def promised(now: datetime) -> set[str]:
        found = definitions(PACKAGE_DIR / "pipelines", home=tmp_path, now=now)
        return {
            spec.key.path[-1] for spec in found.resolve_all_asset_specs() if spec.freshness_policy
        }

    assert promised(DUE) == {"daily_revenue", "customer_metrics"}
    assert promised(datetime(2026, 1, 1, tzinfo=UTC)) == {"customer_metrics"}
