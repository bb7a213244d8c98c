"""Rules and dashboards: what they ask there is, and a real Prometheus answers it."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._daemon.types import DaemonHeartbeat
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_server import Prometheus, promtool, running
from retail_platform import Databases, Watched

from data_platform.definitions import definitions_of
from data_platform.instance.storage import open_instance
from data_platform.loading import Loaded, load
from data_platform.observability.metrics import exporter as exporting
from data_platform.observability.metrics.catalogue import LOOKED_AT, METRICS
from data_platform.observability.metrics.dashboards import texts
from data_platform.observability.metrics.exporter import Exporter
from data_platform.observability.metrics.exposing import Exposition
from data_platform.observability.metrics.files import FOLDER, write_monitoring
from data_platform.observability.metrics.host import Host
from data_platform.observability.metrics.known import Known
from data_platform.observability.metrics.plans import Plans
from data_platform.observability.metrics.serving import served
from data_platform.running import Request, run_pipeline
from data_platform.settings import Settings

ROOT = Path(__file__).parents[3]
NOW = datetime(2024, 1, 1, tzinfo=UTC)
PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
budget: {max_duration: 1h}
sources:
  orders: {type: file, path: "${ORDERS}", settle: 0s}
staging:
  orders:
    from: raw.orders
    freshness: {warn_after: 6h, fail_after: 8h}
    columns: {id: {type: bigint, description: Its number.}}
    quality:
      - {range: {column: id, max: 100, name: enormous}}
      - {range: {column: id, max: 10, on_violation: quarantine}}
"""
RULES = [FOLDER / "alerts.yaml", FOLDER / "recording.yaml"]
EMPTY = {
    "Too late, or late",
    "Failed",
    "Partitions that are missing",
    "Ticks that failed in an hour",
    "Messages that wait for a channel",
}
"""Panels that show nothing where nothing is wrong."""


def _panels() -> Iterator[tuple[str, str]]:
    """The titles and queries of both dashboards."""
    for text in texts().values():
        for panel in json.loads(text)["panels"]:
            for target in panel.get("targets", ()):
                yield panel["title"], target["expr"]


def _rules() -> list[dict[str, Any]]:
    return [
        rule
        for file in RULES
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
    ]


@dataclass
class Shop:
    """A small pipeline, its exporter, and a Prometheus that scrapes that."""

    loaded: Loaded
    exporter: Exporter
    orders: Path
    prometheus: Prometheus

    def run(self, *ids: int) -> bool:
        """Run the pipeline over these orders, until Prometheus knows; whether it succeeded."""
        self.orders.write_text("\n".join(["id", *map(str, ids)]) + "\n")
        definitions = definitions_of(self.loaded, NOW)
        instance = self.exporter.instance
        report = run_pipeline(definitions, self.loaded, instance, Request("shop"), Watched(), NOW)
        self.exporter.look()
        # Not only the counters: a scrape while the exporter looks has those, and gauges of before.
        looked = f"{LOOKED_AT.name} > {self.exporter.seen.at - 0.001:.3f}"
        self.prometheus.wait_for(looked)
        return report.succeeded


@pytest.fixture(scope="module")
def shop(
    data_dir: Path,
    postgres_admin_url: str,
    dagster_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    """One that failed once, and then held a row back."""
    folder = tmp_path_factory.mktemp("shop")
    pipeline = folder / "pipelines" / "shop" / "pipeline.yaml"
    pipeline.parent.mkdir(parents=True)
    pipeline.write_text(PIPELINE)
    (folder / "pipelines" / "platform.yaml").write_text(f"lake: {{root: {folder / 'lake'}}}\n")
    databases = Databases(data_dir, postgres_admin_url, dagster_template)
    url = databases.dagster()
    settings = Settings(folder, folder / ".data", (folder / "pipelines",), storage_url=url)
    orders = folder / "orders.csv"
    orders.write_text("id\n1\n")
    loaded = load(settings, {"ORDERS": str(orders)})
    assert not loaded.problems, loaded.problems
    with ExitStack() as stack:
        stack.callback(databases.drop, url)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(exporting, "SELDOM_EVERY", 0.0)
        patch.setattr(exporting, "STALE", 3_600.0)
        instance = stack.enter_context(open_instance(settings))
        known = Known(loaded.plan.nodes)
        exporter = Exporter(instance, Plans(known, lambda: known, ()))
        exporter.look()
        exposed = Exposition(exporter, Host({"data": folder}).look)
        port = stack.enter_context(served(exposed, "127.0.0.1", 0))
        target = f"127.0.0.1:{port}"
        (folder / "prometheus").mkdir()
        prometheus = stack.enter_context(running(folder / "prometheus", target, RULES))
        prometheus.wait_for("sum(data_platform_runs_ended_total)")
        shop = Shop(loaded, exporter, orders, prometheus)
        _have_daemon(instance)
        assert not shop.run(1, 2, 1_000)
        assert shop.run(1, 2, 30)
        yield shop


def _have_daemon(instance: dg.DagsterInstance) -> None:
    """A daemon that lives, a tick of it, and a pool."""
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "one", []))
    instance.event_log_storage.set_concurrency_slots("db", 2)
    storage = instance.schedule_storage
    assert storage is not None
    data = TickData("o", "arrivals", InstigatorType.SENSOR, TickStatus.STARTED, 100.0)
    storage.create_tick(data._replace(status=TickStatus.SKIPPED, end_timestamp=101.0))


def test_every_panel_is_answered(shop: Shop):
    """A panel of several queries has one at least that finds something."""
    shop.prometheus.wait_for('increase(data_platform_runs_ended_total{status="success"}[1m]) > 0')
    found: dict[str, int] = {}
    for title, query in _panels():
        asked = query.replace("$__rate_interval", "1m").replace("$pipeline", "shop")
        found[title] = found.get(title, 0) + len(shop.prometheus.ask(asked))
    assert {title for title, series in found.items() if not series} == EMPTY


def test_rules_are_evaluated_without_an_error(shop: Shop):
    shop.prometheus.wait_for("pipeline_status:data_platform_runs:increase1h")
    rules = shop.prometheus.rules()
    assert len(rules) == len(_rules())
    assert {rule["health"] for rule in rules} == {"ok"}, rules


def test_what_happened_is_what_prometheus_knows(shop: Shop):
    of_staging = '{pipeline="shop", layer="staging", asset="orders"}'
    for query, value in {
        f"data_platform_asset_rows_published_total{of_staging}": 2,
        f"data_platform_asset_rows_quarantined_total{of_staging}": 1,
        f"data_platform_asset_failed{of_staging}": 0,
        f"data_platform_asset_freshness_status{of_staging}": 0,
        'data_platform_run_duration_seconds_count{pipeline="shop", status="failure"}': 1,
        'data_platform_run_queue_wait_seconds_count{pipeline="shop"}': 2,
        'data_platform_arrival_to_publication_seconds_count{layer="raw"}': 2,
        'increase(data_platform_runs_ended_total{status="failure"}[5m]) > bool 0': 1,
        'data_platform_steps_total{layer="staging", status="failure"}': 1,
    }.items():
        [series] = shop.prometheus.ask(query)
        assert float(series["value"][1]) == value, query


def test_metrics_are_as_prometheus_wants_them(shop: Shop):
    registry = CollectorRegistry()
    registry.register(Exposition(shop.exporter, Host({"data": ROOT}).look))
    assert promtool("check", "metrics", given=generate_latest(registry).decode()) == ""


def test_rules_pass_their_tests():
    promtool("check", "config", str(FOLDER / "prometheus.yaml"))
    assert "SUCCESS" in promtool("test", "rules", str(FOLDER / "rules_test.yaml"))


def test_dashboards_are_what_is_made():
    for name, text in texts().items():
        made = (FOLDER / "dashboards" / name).read_text(encoding="utf-8")
        assert made == text, "python -m data_platform.observability.metrics.dashboards writes it"


def test_what_may_be_above_its_limit_isnt_cut_off_there():
    for text in texts().values():
        for panel in json.loads(text)["panels"]:
            drawn = panel.get("fieldConfig", {}).get("defaults", {})
            steps = [step["value"] or 0 for step in drawn.get("thresholds", {}).get("steps", ())]
            assert "max" not in drawn or max(steps) < drawn["max"], panel["title"]


def test_the_page_tells_of_every_metric_and_alert():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| .* \|$", page, re.MULTILINE))
    told = {
        f"| `{metric.shown}` | {metric.kind} | {', '.join(metric.labels)} | {metric.text} |"
        for metric in METRICS
    }
    assert told - rows == set()
    alerts = dict(re.findall(r"^\| `(DataPlatform\w+)` \| .* \| (\w+) \|$", page, re.MULTILINE))
    assert alerts == {r["alert"]: r["labels"]["severity"] for r in _rules() if "alert" in r}
    assert f"```yml\n{(FOLDER / 'prometheus.yaml').read_text()}```" in page


def test_rules_and_panels_ask_for_metrics_that_there_are():
    there = {metric.shown for metric in METRICS} | {
        f"{metric.name}_{part}"
        for metric in METRICS
        if metric.kind == "histogram"
        for part in ("bucket", "count", "sum")
    }
    queries = [rule["expr"] for rule in _rules()] + [query for _, query in _panels()]
    asked = {name for query in queries for name in re.findall(r"\bdata_platform_\w+", query)}
    assert asked <= there


@pytest.mark.parametrize("rule", [r for r in _rules() if "alert" in r], ids=lambda r: r["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, Any]):
    assert rule["labels"]["severity"] in {"info", "warning", "error", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    page, anchor = rule["annotations"]["runbook_url"].split("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


def test_files_are_written_for_people(tmp_path: Path):
    written = write_monitoring(tmp_path / "new" / "folder")
    assert {file.relative_to(tmp_path / "new" / "folder").as_posix() for file in written} == {
        "alerts.yaml",
        "prometheus.yaml",
        "recording.yaml",
        "rules_test.yaml",
        "dashboards/pipeline.json",
        "dashboards/platform.json",
    }
    assert all(file.read_bytes() for file in written)
