"""A source fails under Dagster's daemons, and all who look are told the same: with real processes.

No tick is made by the test: mails, events of lineage, metrics and status come of what the daemon's
sensors do by themselves.
"""

import json
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.scheduler.instigation import TickStatus
from dagster_dev import DagsterDev, clean_environment, wait_until
from forked_command import run_command, start_command
from retail_platform import Databases

from data_platform.instance.storage import open_instance
from data_platform.settings import PACKAGE_DIR, load_settings

sys.path.append(str(Path(__file__).parents[1] / "observability" / "alerts"))

from alerting_shop import mailbox  # pyright: ignore[reportMissingImports]

PLATFORM = """
lake: {{root: lake}}
alerts: {{channels: {{mail: {{url: "{mail}"}}}}}}
lineage: {{file: lineage.jsonl}}
retention: {{runs: 90d, events: 30d, ticks: 7d, alerts: 30d}}
"""
PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
sources:
  orders: {type: file, path: orders.csv, settle: 0s}
staging:
  orders: {from: raw.orders, freshness: {fail_after: 1m}}
analytics:
  totals: {query: SELECT COUNT(*) AS n FROM staging.orders, freshness: {fail_after: 1m}}
"""
LOCATION = "data_platform.definitions"
RAW, STAGING, ANALYTICS = (["raw", "shop", "orders"], ["staging", "shop", "orders"],
                           ["analytics", "shop", "totals"])  # fmt: skip
BELOW = {"/".join(STAGING), "/".join(ANALYTICS)}


def publish_nearly_late(instance: dg.DagsterInstance, path: list[str]) -> None:
    """Record that an asset was built nearly a minute ago."""
    event = DagsterEvent(
        DagsterEventType.ASSET_MATERIALIZATION.value,
        "elsewhere",
        event_specific_data=StepMaterializationData(dg.AssetMaterialization(dg.AssetKey(path))),
    )
    instance.report_dagster_event(event, "", timestamp=time.time() - 48)


def are_in_time(instance: dg.DagsterInstance) -> bool:
    """Whether Dagster says that all below the source are."""
    keys = [dg.AssetKey(path) for path in (STAGING, ANALYTICS)]
    found = instance.get_freshness_state_records(keys)
    return all(key in found and found[key].freshness_state.value == "PASS" for key in keys)


def failures_of_ticks(instance: dg.DagsterInstance) -> list[str]:
    """The sensors of which a tick failed, and those that haven't ticked are left out."""
    states = instance.all_instigator_state()
    return [
        state.origin.instigator_name
        for state in states
        for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=5)
        if tick.status is TickStatus.FAILURE
    ]


def ticked(instance: dg.DagsterInstance, name: str) -> bool:
    """Whether a tick of a sensor has ended."""
    return any(
        tick.status in {TickStatus.SKIPPED, TickStatus.SUCCESS}
        for state in instance.all_instigator_state()
        if state.origin.instigator_name == name
        for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=5)
    )


def scraped(output: Path) -> str:
    """What Prometheus reads of an exporter that says where it is."""
    wait_until(lambda: "http://" in output.read_text(), 60)
    url = output.read_text().split("metrics are at ")[1].split()[0]
    found: list[str] = []

    def looked() -> bool:
        with urllib.request.urlopen(url, timeout=10) as response:
            found[:] = [response.read().decode()]
        return "data_platform_up 1.0" in found[0]

    wait_until(looked, 60)
    return found[0]


@pytest.mark.timeout(400)
def test_what_fails_is_told_once_by_all_who_look_and_so_is_that_it_is_over(
    databases: Databases, tmp_path: Path, start_dagster_dev: Callable[..., DagsterDev]
):
    (tmp_path / "pipelines" / "shop").mkdir(parents=True)
    (tmp_path / "pipelines" / "shop" / "pipeline.yaml").write_text(PIPELINE)
    shutil.copy(PACKAGE_DIR / "dagster.yaml", tmp_path)
    environ = {
        "DATA_PLATFORM_HOME": str(tmp_path),
        "DATA_PLATFORM_PIPELINES": "pipelines",
        "DATA_PLATFORM_STORAGE_URL": databases.dagster(),
    }
    whole = {**clean_environment(), **environ}
    with mailbox() as box, open_instance(load_settings(environ)) as instance:
        platform = PLATFORM.format(mail=box.url)
        (tmp_path / "pipelines" / "platform.yaml").write_text(platform)
        dev = start_dagster_dev(
            tmp_path, "-m", LOCATION, FRESHNESS_DAEMON_INTERVAL_SECONDS="1", **environ
        )
        wait_until(lambda: ticked(instance, "alerts") and ticked(instance, "lineage"), 90)
        for path in (STAGING, ANALYTICS):
            publish_nearly_late(instance, path)
        # Late when the source has just failed: what is seen within a tick is told together.
        wait_until(lambda: are_in_time(instance), 60, every=0.1)
        run = dev.launch("__ASSET_JOB", LOCATION, assetSelection=[{"path": RAW}])
        assert dev.wait_for_end(run) == "FAILURE"
        wait_until(lambda: box.mails, 90)
        [mail] = box.mails
        html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
        assert "raw/shop/orders failed" in box.subjects[0]
        assert all(f"{key} (stale" in html for key in BELOW), html

        page = json.loads(
            run_command(["data-platform", "status", "--format", "json"], tmp_path, whole).stdout
        )
        [cause] = [one for one in page["causes"] if one["level"] == "red"]
        assert cause["key"] == "raw/shop/orders"
        assert set(cause["waiting"]) == BELOW
        output = tmp_path / "metrics.txt"
        exporter = start_command(
            ["data-platform", "metrics", "--port", "0"], tmp_path, whole, output
        )
        try:
            metrics = scraped(output)
        finally:
            exporter.terminate()
            exporter.join(30)
        name = "data_platform_asset_failed{"
        failed = [line for line in metrics.splitlines() if line.startswith(name)]
        assert [line for line in failed if 'layer="raw"' in line and line.endswith(" 1.0")], failed
        assert 'data_platform_incidents_open{severity="error"} 1.0' in metrics

        (tmp_path / "orders.csv").write_text("id\n1\n2\n")
        selection = [{"path": path} for path in (RAW, STAGING, ANALYTICS)]
        run = dev.launch("__ASSET_JOB", LOCATION, assetSelection=selection)
        assert dev.wait_for_end(run) == "SUCCESS"
        wait_until(lambda: len(box.mails) > 1, 90)
        assert box.subjects[1].startswith("[recovered] raw/shop/orders failed")

        def told() -> set[tuple[str, str]]:
            lines = (tmp_path / "lineage.jsonl").read_text().splitlines()
            events = map(json.loads, lines)
            return {(one["job"]["name"], one["eventType"]) for one in events}

        expected = {("shop.raw.orders", kind) for kind in ("START", "FAIL", "COMPLETE")}
        expected |= {
            (f"shop.{path[0]}.{path[2]}", kind)
            for path in (STAGING, ANALYTICS)
            for kind in ("START", "COMPLETE")
        }
        wait_until(lambda: told() == expected, 60)
        assert ticked(instance, "retention")
        assert failures_of_ticks(instance) == []
        assert len(box.mails) == 2
