"""Backfills whose command, daemon or runs are killed: nothing is missing, and nothing is twice.

`CAMPAIGN_PARTITIONS` says how many partitions the campaign has. Its daemon is killed at a random
moment after it has begun a run, however long the machine takes until then: one that is killed
sooner, again and again, would do nothing at all.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from backfill_history import BODY, HEAD, NOW, History
from dagster import DagsterRunStatus, RunsFilter
from dagster_dev import clean_environment
from reliability_report import Figures, record
from run_backfill import start

from data_platform.backfills.commanding import Limits
from data_platform.settings import PACKAGE_DIR

KILLS = 3
PARTITIONS = int(os.environ.get("CAMPAIGN_PARTITIONS", "1000"))
ASSETS = ("raw/paid", "staging/paid", "analytics/daily", "analytics/recent")
WORKSPACE = """
load_from:
  - python_module: {module_name: data_platform.definitions, location_name: data_platform}
"""
LONG = HEAD.replace("2024-02-10", "2026-09-27").replace("2024-01-01", "2020-01-01")


@pytest.fixture
def history(tmp_path: Path, dagster_url: str) -> Iterator[History]:
    """Forty days of which nothing has run; each takes a while to be read."""
    made = History(tmp_path, dagster_url)
    made.set(slow="0.02")
    yield made
    made.close()


def days_of(history: History) -> list[str]:
    partitions = history.loaded.plan.nodes[0].partitions
    assert partitions is not None
    return partitions.due(NOW)


def assert_none_missing_and_none_doubled(history: History, days: list[str]) -> None:
    for asset in ASSETS:
        assert history.events(asset) == Counter(days), asset
        assert list(history.published(asset)) == days, asset
        assert set(history.published(asset).values()) == {2 if "paid" in asset else 1}, asset


def test_a_command_that_is_killed_goes_on_where_it_was(history: History) -> None:
    chance = random.Random(20240101)
    days = days_of(history)
    assert len(days) == 40
    backfill_id: str | None = None
    for _ in range(KILLS):
        process = start(history.environ, backfill_id, 4)
        _wait_for_runs(history, process.is_alive)
        time.sleep(chance.uniform(0.0, 0.6))
        process.kill()
        process.join()
        [shown] = history.instance.get_backfills()
        backfill_id = shown.backfill_id
    last = start(history.environ, backfill_id, 4)
    last.join(120)
    assert last.exitcode == 0
    assert history.backfills() == ["COMPLETED_SUCCESS"]
    assert_none_missing_and_none_doubled(history, days)


def _wait_for_runs(history: History, alive: Callable[[], bool]) -> None:
    """Until one more run has begun, or all is over."""
    before = history.instance.get_runs_count()
    while alive() and history.instance.get_runs_count() <= before:
        time.sleep(0.02)


class Daemon:
    """`dagster-daemon run`, which is killed and started again until it is told to stop."""

    def __init__(self, history: History, seed: int) -> None:
        self.kills = 0
        self._instance = history.instance
        self._folder = history.folder
        self._environ = {
            **clean_environment(),
            **history.environ,
            "DAGSTER_HOME": str(history.folder),
        }
        self._chance = random.Random(seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._torment)
        shutil.copy(PACKAGE_DIR / "dagster.yaml", history.folder)
        (history.folder / "workspace.yaml").write_text(WORKSPACE)
        self._thread.start()

    def _torment(self) -> None:
        command = [
            str(Path(sys.executable).with_name("dagster-daemon")),
            "run", "-w", "workspace.yaml",
        ]  # fmt: skip
        with (self._folder / "daemon.log").open("w") as log:
            while not self._over.is_set():
                process = subprocess.Popen(
                    command, cwd=self._folder, env=self._environ, stdin=subprocess.DEVNULL,
                    stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
                self._wait_for_a_run()
                self._over.wait(self._chance.uniform(0, 30))
                # Every other time with all that it started: code server, forker and runs.
                if self.kills % 2 or self._over.is_set():
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.kill()
                process.wait()
                self.kills += not self._over.is_set()

    def _wait_for_a_run(self) -> None:
        """Until it has begun one, or so long that it won't."""
        begun = RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.SUCCESS])
        before, deadline = self._instance.get_runs_count(begun), time.monotonic() + 300
        while self._instance.get_runs_count(begun) <= before and time.monotonic() < deadline:
            if self._over.wait(0.5):
                return

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_campaign_of_a_backfill_whose_daemon_is_killed(tmp_path: Path, dagster_url: str) -> None:
    began = time.monotonic()
    history = History(tmp_path, dagster_url, BODY, LONG)
    daemon = Daemon(history, 20200101)
    try:
        days = days_of(history)[:PARTITIONS]
        limits = Limits(size=10, at_once=2, max_failures=10_000)
        end = date.fromisoformat(days[-1]) + timedelta(days=1)
        _, result = history.backfill(None, limits, first=days[0], end=end.isoformat())
        assert result.succeeded, result.stopped
        assert_none_missing_and_none_doubled(history, days)
        runs = len(result.report.run_ids)
    finally:
        daemon.stop()
        history.close()
    shutil.rmtree(tmp_path / "lake")
    outcome = (
        f"all {len(days):,} partitions of {len(ASSETS)} assets were published, each with one "
        f"materialization; {runs:,} runs through the queue, those that died with it included"
    )
    what = f"kill -9 of the daemon, every other time with its runs, in a backfill of {len(days):,}"
    record(Figures(what, daemon.kills, outcome, time.monotonic() - began))
