"""The exporter over a real database: what it counts, what it asks, what it does without it."""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorTick, TickData, TickStatus
from dagster._core.test_utils import create_run_for_test
from factories import Project
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from data_platform.errors import PermanentError
from data_platform.instance.own_tables import transaction
from data_platform.observability.alerts.outbox import OUTBOX
from data_platform.observability.incidents.keeping import INCIDENTS
from data_platform.observability.metrics import counting
from data_platform.observability.metrics import exporter as exporting
from data_platform.observability.metrics.counters import write
from data_platform.observability.metrics.exporter import Exporter
from data_platform.observability.metrics.exposing import Exposition
from data_platform.observability.metrics.host import Host
from data_platform.observability.metrics.known import Known
from data_platform.observability.metrics.plans import Plans
from data_platform.observability.metrics.serving import served
from data_platform.reporting.run_spans import note_step

BODY = """staging:
  orders:
    from: raw.orders
    freshness: {warn_after: 6h, fail_after: 8h}
    columns:
      id: {type: bigint, nullable: false}
"""
KEY = dg.AssetKey(["staging", "shop", "orders"])
ASSET = {"pipeline": "shop", "layer": "staging", "asset": "orders"}

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def plans(project: Project) -> Plans:
    project.declare(BODY)

    def read() -> Known:
        return Known(project.build().plan.nodes)

    return Plans(read(), read, [project.pipelines])


@pytest.fixture
def exporter(instance: dg.DagsterInstance, plans: Plans) -> Exporter:
    """One that has begun, and looks at assets each time."""
    exporter = Exporter(instance, plans)
    exporter.look()
    return exporter


@pytest.fixture(autouse=True)
def _at_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "SELDOM_EVERY", 0.0)


def scrape(exporter: Exporter) -> Series:
    """What Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(Exposition(exporter, Host({"data": Path("/")}).look))
    text = generate_latest(registry).decode()
    return {
        (sample.name.removeprefix("data_platform_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(series: Series, metric: str, /, **labels: str) -> float | None:
    """A series' value, None where there is none."""
    return series.get((metric, frozenset(labels.items())))


def materialize(instance: dg.DagsterInstance, count: int = 1, rows: int = 3) -> None:
    for _ in range(count):
        made = dg.AssetMaterialization(KEY, metadata={"dagster/row_count": rows})
        instance.report_runless_asset_event(made)


def evaluate(instance: dg.DagsterInstance, *, passed: bool) -> None:
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=KEY, check_name="not_null", passed=passed)
    )


def test_runs_of_a_pipeline_are_held_to_its_budget(instance: dg.DagsterInstance, project: Project):
    project.declare("budget: {max_duration: 1h}\n" + BODY)
    known = Known(project.build().plan.nodes)
    exporter = Exporter(instance, Plans(known, lambda: known, ()))
    exporter.look()
    assert of(scrape(exporter), "pipeline_run_budget_status", pipeline="shop") is None
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.SUCCESS)
    note_step(instance, known.nodes[0], run.run_id, 9_000, 2)
    exporter.look()
    series = scrape(exporter)
    assert of(series, "pipeline_run_budget_status", pipeline="shop") == 1
    assert of(series, "pipeline_run_average_seconds", pipeline="shop") == 4_500
    assert of(series, "pipeline_run_budget_seconds", pipeline="shop") == 3_600


def test_an_empty_instance_has_no_errors_and_its_assets_lack(exporter: Exporter):
    series = scrape(exporter)
    assert of(series, "up") == 1
    assert of(series, "runs", status="queued") == 0
    assert of(series, "run_queue_oldest_seconds") == 0
    assert of(series, "follower_behind_events", follower="metrics") == 0
    assert of(series, "asset_partitions_missing", **ASSET) == 1
    assert of(series, "asset_freshness_status", **ASSET) == 2
    assert of(series, "daemon_last_heartbeat_timestamp_seconds", daemon="SENSOR") == 0
    assert of(series, "asset_rows_published_total", **ASSET) is None
    assert of(series, "steps_total", **ASSET, status="failure") == 0
    assert of(series, "runs_ended_total", status="canceled") == 0
    assert of(series, "incidents_open", severity="critical") == 0
    assert of(series, "lineage_events_waiting", state="waiting") == 0


def test_what_happens_is_counted_and_outlives_the_process(
    instance: dg.DagsterInstance, exporter: Exporter, plans: Plans
):
    materialize(instance, 2)
    exporter.look()
    materialize(instance)
    other = Exporter(instance, plans)
    other.look()
    exporter.look()
    for one in (exporter, other):
        series = scrape(one)
        assert of(series, "asset_rows_published_total", **ASSET) == 9
        assert of(series, "asset_publications_total", **ASSET, changed="true") == 3
        assert of(series, "asset_partitions_missing", **ASSET) == 0
        assert of(series, "asset_freshness_status", **ASSET) == 0
        assert of(series, "asset_freshness_limit_seconds", **ASSET) == 8 * 3_600
        lag = of(series, "asset_freshness_lag_seconds", **ASSET)
        assert lag is not None
        assert 0 <= lag < 600


def test_what_is_committed_late_is_counted_once(
    instance: dg.DagsterInstance, exporter: Exporter, dagster_url: str
):
    materialize(instance)
    with closing(psycopg2.connect(dagster_url)) as slow, slow.cursor() as cursor:
        cursor.execute(
            "INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp, asset_key)"
            " SELECT run_id, event, dagster_event_type, timestamp, asset_key FROM event_logs"
        )
        materialize(instance)
        exporter.look()
        assert of(scrape(exporter), "asset_rows_published_total", **ASSET) == 6
        slow.commit()
    for _ in range(2):
        exporter.look()
        assert of(scrape(exporter), "asset_rows_published_total", **ASSET) == 9


def test_what_a_look_that_broke_off_had_counted_is_counted_once(
    instance: dg.DagsterInstance, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
):
    materialize(instance)

    def write_and_break(*arguments: Any) -> None:
        write(*arguments)
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(counting, "write", write_and_break)
        exporter.look()
    assert of(scrape(exporter), "up") == 0
    exporter.look()
    assert of(scrape(exporter), "asset_rows_published_total", **ASSET) == 3


def test_checks_that_fail_are_told_from_before_the_exporter_was_there(
    instance: dg.DagsterInstance, plans: Plans
):
    evaluate(instance, passed=False)
    exporter = Exporter(instance, plans)
    exporter.look()
    failing = {**ASSET, "severity": "error"}
    assert of(scrape(exporter), "asset_checks_failing", **failing) == 1
    assert of(scrape(exporter), "asset_check_results_total", **ASSET, result="failed") is None
    evaluate(instance, passed=True)
    exporter.look()
    assert of(scrape(exporter), "asset_checks_failing", **failing) == 0
    assert of(scrape(exporter), "asset_check_results_total", **ASSET, result="passed") == 1


def test_runs_pools_and_ticks_are_told(instance: dg.DagsterInstance, exporter: Exporter):
    create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
    instance.event_log_storage.set_concurrency_slots("größe", 3)
    storage = instance.schedule_storage
    assert storage is not None
    data = TickData("o", "arrivals", InstigatorType.SENSOR, TickStatus.STARTED, 100.0)
    tick = storage.create_tick(data)
    exporter.look()
    series = scrape(exporter)
    assert of(series, "runs", status="started") == 1
    assert of(series, "pool_slots", pool="größe") == 3
    assert of(series, "pool_slots_used", pool="größe") == 0
    labels = {"kind": "sensor", "name": "arrivals"}
    assert of(series, "ticks_total", **labels, status="success") is None
    ended = data._replace(status=TickStatus.SUCCESS, end_timestamp=102.5)
    storage.update_tick(InstigatorTick(tick.tick_id, ended))
    for _ in range(2):
        exporter.look()
        series = scrape(exporter)
        assert of(series, "ticks_total", **labels, status="success") == 1
        assert of(series, "tick_duration_seconds_sum", **labels) == 2.5
        assert of(series, "tick_duration_seconds_bucket", **labels, le="5.0") == 1
        assert of(series, "tick_duration_seconds_bucket", **labels, le="1.0") == 0


def test_messages_that_a_channel_does_not_take_are_told(
    instance: dg.DagsterInstance, exporter: Exporter
):
    with transaction(instance, OUTBOX) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO data_platform_outbox"
                " (id, channel, subject, message, made_at, next_try, error)"
                " SELECT number, 'chat', 'x', '{}', now(), now(), 'refused'"
                " FROM generate_series(1, 3) AS number"
            )
        )
    exporter.look()
    assert of(scrape(exporter), "alert_messages_waiting", channel="chat") == 3


def test_an_incident_that_can_not_be_read_hides_nothing_else(
    instance: dg.DagsterInstance, exporter: Exporter, caplog: pytest.LogCaptureFixture
):
    with transaction(instance, INCIDENTS) as connection:
        connection.execute(sa.text("INSERT INTO data_platform_incidents VALUES ('a', NULL, '{}')"))
    exporter.look()
    assert of(scrape(exporter), "up") == 1
    assert of(scrape(exporter), "asset_partitions_due", **ASSET) == 1
    assert "what alerts keep can't be read" in caplog.text


def test_a_look_asks_and_reads_no_more_when_more_has_happened(
    instance: dg.DagsterInstance, exporter: Exporter
):
    materialize(instance, 100)
    exporter.look()
    few = _asked_by_look(instance, exporter)
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        connection.execute(
            sa.text(
                "INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp, asset_key)"
                " SELECT run_id, event, dagster_event_type, timestamp, asset_key FROM event_logs"
                " CROSS JOIN generate_series(1, 99)"
            )
        )
    exporter.look()
    assert of(scrape(exporter), "asset_publications_total", **ASSET, changed="true") == 10_000
    assert _asked_by_look(instance, exporter) == few
    statements, rows = few
    assert statements < 40
    assert rows < 60


def test_a_scrape_asks_nothing(instance: dg.DagsterInstance, exporter: Exporter):
    with _asked(instance) as asked:
        scrape(exporter)
    assert asked == []


def test_assets_beyond_the_limit_have_no_series_and_are_counted(
    instance: dg.DagsterInstance, project: Project, plans: Plans
):
    plans.known = Known(plans.known.nodes, limit=1)
    exporter = Exporter(instance, plans)
    exporter.look()
    materialize(instance)
    exporter.look()
    series = scrape(exporter)
    told = {dict(labels)["layer"] for name, labels in series if name.startswith("asset_")}
    assert told == {"raw"}
    assert of(series, "assets_left_out") == 1


def test_assets_that_are_no_more_have_no_series(
    instance: dg.DagsterInstance, exporter: Exporter, project: Project
):
    materialize(instance)
    project.declare("staging:\n  late:\n    from: raw.orders\n")
    exporter.look()
    exporter.look()
    layers = {dict(labels).get("asset") for name, labels in scrape(exporter) if "asset_" in name}
    assert layers == {"orders", "late"}
    assert of(scrape(exporter), "asset_rows_published_total", **ASSET) is None


def test_a_pipeline_that_breaks_is_told(
    exporter: Exporter, project: Project, caplog: pytest.LogCaptureFixture
):
    project.declare("staging: nonsense\n")
    exporter.look()
    assert of(scrape(exporter), "up") == 1
    assert of(scrape(exporter), "asset_partitions_due", **ASSET) == 1
    assert "the pipelines can't be read; metrics are of those from before" in caplog.text


def test_counters_of_a_removed_asset_are_forgotten_a_while_after(
    exporter: Exporter, instance: dg.DagsterInstance, plans: Plans
):
    def kept() -> set[str]:
        asked = "SELECT array_to_string(labels[1:3], '/') FROM data_platform_metrics"
        with transaction(instance) as connection:
            return set(connection.scalars(sa.text(f"{asked} WHERE metric LIKE '%asset%'")))

    def age(days: int) -> None:
        older = "UPDATE data_platform_metrics SET changed_at = changed_at - CAST(:by AS interval)"
        with transaction(instance) as connection:
            connection.execute(sa.text(older), {"by": f"{days} days"})
        exporter._forgot_at = 0.0
        exporter.look()

    materialize(instance)
    exporter.look()
    name = "shop/staging/orders"
    assert name in kept()
    age(31)
    assert name in kept()
    before = plans.known
    rest = [node for node in before.nodes if node.key.layer != "staging"]
    plans.known = Known(rest, broken=1)
    age(0)
    assert of(scrape(exporter), "asset_publications_total", **ASSET, changed="true") is None
    assert name in kept()
    plans.known = Known(rest)
    age(0)
    assert name not in kept()
    assert not [labels for _, labels in exporter.counters.counts if "/".join(labels[:3]) == name]
    plans.known = before
    materialize(instance)
    exporter.look()
    assert of(scrape(exporter), "asset_publications_total", **ASSET, changed="true") == 1
    plans.known = Known(rest)
    age(29)
    assert name in kept()


def test_while_the_database_is_gone_it_stays_up_and_says_so(
    instance: dg.DagsterInstance,
    exporter: Exporter,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0.0)
    materialize(instance)
    exporter.look()
    with _unreachable(instance):
        exporter.look()
        exporter.look()
        series = scrape(exporter)
    assert of(series, "up") == 0
    assert of(series, "runs", status="queued") is None
    assert of(series, "asset_rows_published_total", **ASSET) == 3
    assert of(series, "host_memory_usage_ratio") is not None
    told = "Dagster's database can't be looked at: server closed the connection"
    assert caplog.text.count(told) == 1
    exporter.look()
    assert of(scrape(exporter), "up") == 1
    assert "is there again" in caplog.text


def test_what_was_seen_long_ago_counts_as_nothing(exporter: Exporter):
    exporter.seen = replace(exporter.seen, at=exporter.seen.at - exporting.STALE)
    series = scrape(exporter)
    assert of(series, "up") == 0
    assert of(series, "runs", status="queued") is None


def test_names_with_any_characters_can_be_read(instance: dg.DagsterInstance, exporter: Exporter):
    name = 'größe "日本"\n\\'
    instance.event_log_storage.set_concurrency_slots(name, 2)
    exporter.look()
    assert of(scrape(exporter), "pool_slots", pool=name) == 2


def test_tasks_are_done_after_each_look_and_end_nothing(
    instance: dg.DagsterInstance, plans: Plans, caplog: pytest.LogCaptureFixture
):
    done: list[str] = []

    def broken() -> None:
        raise RuntimeError("no channel")

    def last() -> None:
        done.append("last")
        exporter.end()

    exporter = Exporter(instance, plans, [broken, last])
    exporter.run()
    assert done == ["last"]
    assert "no channel" in caplog.text


def test_it_serves_metrics_a_page_and_its_health(exporter: Exporter):
    with served(Exposition(exporter, list), "127.0.0.1", 0) as port:
        where = f"http://127.0.0.1:{port}"
        assert b"data_platform_up 1.0" in _get(f"{where}/metrics")
        assert b'href="/metrics"' in _get(f"{where}/")
        assert _get(f"{where}/healthz") == b"up\n"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            _get(f"{where}/elsewhere")


def test_a_port_in_use_is_a_message(exporter: Exporter):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        wanted = rf"can't listen on 127.0.0.1:{port}: Address already in use; choose another --port"
        with (
            pytest.raises(PermanentError, match=wanted),
            served(Exposition(exporter, list), "127.0.0.1", port),
        ):
            pass


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def _engine(instance: dg.DagsterInstance) -> sa.Engine:
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        return connection.engine


def _asked_by_look(instance: dg.DagsterInstance, exporter: Exporter) -> tuple[int, int]:
    """The statements of a look, and the rows that answer them."""
    with _asked(instance) as asked:
        exporter.look()
    assert exporter.seen.well
    return len(asked), sum(asked)


@contextmanager
def _asked(instance: dg.DagsterInstance) -> Iterator[list[int]]:
    """The rows of each statement meanwhile."""
    asked: list[int] = []

    def after(_connection: Any, cursor: Any, *_rest: Any) -> None:
        asked.append(max(0, cursor.rowcount))

    engine = _engine(instance)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield asked
    finally:
        event.remove(engine, "after_cursor_execute", after)


@contextmanager
def _unreachable(instance: dg.DagsterInstance) -> Iterator[None]:
    """The server lets nobody in meanwhile."""
    engine = _engine(instance)

    def refuse(*_: Any) -> None:
        raise psycopg2.OperationalError("server closed the connection\nunexpectedly")

    engine.dispose()
    event.listen(engine, "do_connect", refuse)
    try:
        yield
    finally:
        event.remove(engine, "do_connect", refuse)
