"""Runs whose process is killed are failed, and give their pool slots back, within a minute.

One `dagster dev` with two code locations, so that killing one's code server leaves the runs of the
other alone; everything is killed at once, and each test looks at one of the runs. The last one ends
the `dagster dev`. Under xdist use `--dist loadfile`, or each worker does all of it (`loadgroup` has
no effect with xdist 3.8).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster_dev import DagsterDev, clean_environment, wait_until

from data_platform.instance.storage import open_instance
from data_platform.settings import load_settings

WITHIN_SECONDS = 60
POOL = "slot"
DEFINITIONS = """
import os, time
from pathlib import Path
import dagster as dg

@dg.asset(pool="slot")
def slow(context: dg.AssetExecutionContext) -> None:
    Path(f"{context.run.run_id}.pid").write_text(str(os.getpid()))
    while not Path(f"{context.run.run_id}.finish").exists():
        time.sleep(0.1)

@dg.asset
def small() -> None:
    print("printed")

jobs = [
    dg.define_asset_job("job", [slow], executor_def=dg.in_process_executor),
    dg.define_asset_job("small_job", [small]),
]
defs = dg.Definitions(assets=[slow, small], jobs=jobs)
"""
COMMAND = """
import dagster as dg, first
from data_platform.instance.storage import open_instance
from data_platform.settings import load_settings
with open_instance(load_settings()) as instance:
    dg.materialize([first.slow], instance=instance)
"""


@dataclass
class Outcome:
    """The runs by name, and how long after the kill each was failed and held no slot."""

    dev: DagsterDev
    instance: DagsterInstance
    runs: dict[str, str]
    seconds: dict[str, float] = field(default_factory=dict)

    def status(self, name: str) -> DagsterRunStatus:
        return self.instance.get_run_by_id(self.runs[name]).status

    def holds_slot(self, name: str) -> bool:
        info = self.instance.event_log_storage.get_concurrency_info(POOL)
        return self.runs[name] in {slot.run_id for slot in info.claimed_slots}

    def watch(self, names: set[str]) -> None:
        began = time.monotonic()
        while names - set(self.seconds) and time.monotonic() - began < WITHIN_SECONDS:
            for name in names - set(self.seconds):
                if self.status(name) == DagsterRunStatus.FAILURE and not self.holds_slot(name):
                    self.seconds[name] = time.monotonic() - began
            time.sleep(0.2)


@pytest.fixture(scope="module")
def outcome(
    project_folder: Path, start_dagster_dev: Callable[..., DagsterDev]
) -> Iterator[Outcome]:
    for name in ("first", "second"):
        (project_folder / f"{name}.py").write_text(DEFINITIONS)
    dev = start_dagster_dev(project_folder, "-f", "first.py", "-f", "second.py")
    runs = {
        "alive": dev.launch("job", "first.py"),
        "worker": dev.launch("job", "first.py"),
        "code server": dev.launch("job", "second.py"),
        "orphan": dev.launch("job", "second.py"),
    }
    # The command's run counts among those in progress, and only so many are launched.
    wait_until(lambda: len(_pids(project_folder)) == len(runs), 60)
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        cwd=project_folder,
        env=clean_environment() | {"PYTHONPATH": str(project_folder)},
        start_new_session=True,
    )
    settings = load_settings({"DATA_PLATFORM_HOME": str(project_folder)})
    try:
        with open_instance(settings) as instance:
            instance.event_log_storage.set_concurrency_slots(POOL, len(runs) + 1)
            wait_until(lambda: len(_pids(project_folder)) == len(runs) + 1, 60)
            pids = _pids(project_folder)
            runs["command"] = next(run for run, pid in pids.items() if pid == command.pid)
            result = Outcome(dev, instance, runs)
            wait_until(lambda: all(result.holds_slot(name) for name in runs), 10)
            code_server = psutil.Process(pids[runs["code server"]]).parent()
            assert code_server in dev.processes("grpc"), code_server
            for pid in (command.pid, pids[runs["worker"]], code_server.pid):
                os.kill(pid, signal.SIGKILL)
            os.kill(pids[runs["code server"]], signal.SIGKILL)
            result.watch({"worker", "code server", "command"})
            yield result
    finally:
        command.kill()
        command.wait()


def _pids(folder: Path) -> dict[str, int]:
    return {path.stem: int(path.read_text() or 0) for path in folder.glob("*.pid")}


@pytest.mark.parametrize("name", ["worker", "code server", "command"])
def test_killed_run_is_failed_and_its_slot_freed(outcome: Outcome, name: str) -> None:
    assert outcome.seconds.get(name, WITHIN_SECONDS) < WITHIN_SECONDS, (
        outcome.status(name),
        outcome.holds_slot(name),
    )


@pytest.mark.parametrize("name", ["alive", "orphan"])
def test_live_slow_run_is_left_alone_and_ends_well(outcome: Outcome, name: str) -> None:
    # The orphan's code server was killed, its own process wasn't.
    assert outcome.status(name) == DagsterRunStatus.STARTED
    assert outcome.holds_slot(name)
    (outcome.dev.folder / f"{outcome.runs[name]}.finish").touch()
    assert outcome.dev.wait_for_end(outcome.runs[name]) == "SUCCESS"


def test_dagster_dev_works_in_a_fresh_folder_and_keeps_what_it_did(outcome: Outcome) -> None:
    dev = outcome.dev
    run_id = dev.launch("small_job", "first.py")
    assert dev.wait_for_end(run_id) == "SUCCESS", dev.log.read_text()
    dev.stop()
    assert not [name for name in clean_environment() if name.startswith("DATA_PLATFORM")]
    left = {path.name for path in (dev.folder / ".data").iterdir()}
    assert left == {"postgres", "compute_logs", "dagster"}
    with open_instance(load_settings({"DATA_PLATFORM_HOME": str(dev.folder)})) as instance:
        assert instance.get_run_by_id(run_id).is_success
    assert list((dev.folder / ".data" / "compute_logs" / run_id).rglob("*.out"))
