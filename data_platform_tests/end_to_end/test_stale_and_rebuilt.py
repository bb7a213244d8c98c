"""An asset turns stale under Dagster's daemons and is rebuilt by one run, with the real processes.

A materialization that is said to be some time ago makes the asset as old as the story needs it; and
the sensor, which ticks every 30 seconds, is told that its last tick is long ago.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster_dev import DagsterDev, wait_until
from retail_platform import Databases

from data_platform.automation.evaluation.sensor import NAME
from data_platform.instance.storage import open_instance
from data_platform.settings import PACKAGE_DIR, load_settings

PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
sources:
  orders:
    type: file
    path: orders.csv
    automation: freshness
    freshness: {warn_after: 1m, fail_after: 1h}
"""
KEY = dg.AssetKey(["raw", "shop", "orders"])
AGE = 52
"""Seconds: fresh when Dagster looks first, late soon after."""


class Live:
    """A `dagster dev` over a pipeline of one file."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def publish(self, age: float) -> None:
        """Record that the asset was built some seconds ago."""
        event = DagsterEvent(
            DagsterEventType.ASSET_MATERIALIZATION.value,
            "elsewhere",
            event_specific_data=StepMaterializationData(dg.AssetMaterialization(KEY)),
        )
        self._instance.report_dagster_event(event, "", timestamp=time.time() - age)

    def freshness(self) -> str | None:
        """What Dagster says now."""
        found = self._instance.get_freshness_state_records([KEY]).get(KEY)
        return found.freshness_state.value if found else None

    def wait_for(self, state: FreshnessState) -> None:
        wait_until(lambda: self.freshness() == state.value, 60, every=0.1)

    def tick(self) -> None:
        """Let the sensor tick now, and wait until it has."""
        found = self._sensor()
        if found is not None:
            data = found.instigator_data._replace(
                last_tick_timestamp=0.0, last_tick_start_timestamp=0.0
            )
            self._instance.update_instigator_state(found.with_data(data))
        since = self._ticked()
        wait_until(lambda: self._ticked() > since, 90, every=0.1)

    def runs(self) -> list[dg.DagsterRun]:
        return list(self._instance.get_runs())

    def states(self) -> list[str]:
        """All that Dagster's freshness went through, in order."""
        filters = dg.EventRecordsFilter(DagsterEventType.FRESHNESS_STATE_CHANGE, asset_key=KEY)
        records = self._instance.event_log_storage.get_event_records(filters, ascending=True)
        changes = (one.event_log_entry.get_dagster_event() for one in records)
        return [change.event_specific_data.new_state.value for change in changes]

    def _sensor(self):
        found = self._instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        return next((one for one in found if one.instigator_name == NAME), None)

    def _ticked(self) -> float:
        found = self._sensor()
        if found is None:
            return 0.0
        ticks = self._instance.get_ticks(found.instigator_origin_id, found.selector_id, limit=2)
        ended = [tick.end_timestamp for tick in ticks if tick.end_timestamp]
        return max(ended, default=0.0)


@pytest.fixture
def live(
    databases: Databases, tmp_path: Path, start_dagster_dev: Callable[..., DagsterDev]
) -> Iterator[Live]:
    folder = tmp_path
    (folder / "pipelines" / "shop").mkdir(parents=True)
    (folder / "pipelines" / "shop" / "pipeline.yaml").write_text(PIPELINE)
    (folder / "pipelines" / "platform.yaml").write_text("lake: {root: lake}\n")
    (folder / "orders.csv").write_text("id\n1\n2\n")
    shutil.copy(PACKAGE_DIR / "dagster.yaml", folder)
    environ = {
        "DATA_PLATFORM_HOME": str(folder),
        "DATA_PLATFORM_PIPELINES": "pipelines",
        "DATA_PLATFORM_STORAGE_URL": databases.dagster(),
    }
    start_dagster_dev(
        folder,
        "-m",
        "data_platform.definitions",
        FRESHNESS_DAEMON_INTERVAL_SECONDS="1",
        **environ,
    )
    with open_instance(load_settings(environ)) as instance:
        yield Live(instance)


def test_a_stale_asset_is_rebuilt_by_one_run(live: Live) -> None:
    live.publish(AGE)
    live.wait_for(FreshnessState.PASS)
    live.tick()
    assert live.runs() == []

    live.wait_for(FreshnessState.WARN)
    live.tick()
    wait_until(lambda: any(run.is_finished for run in live.runs()), 60)
    live.wait_for(FreshnessState.PASS)
    live.tick()

    [run] = live.runs()
    assert (run.status, run.asset_selection) == (dg.DagsterRunStatus.SUCCESS, {KEY})
    assert live.states()[-3:] == ["PASS", "WARN", "PASS"]
