"""Runs of a real `dagster dev` are forked by a process that has imported everything.

One `dagster dev` over a small project for the module; the view `slow` never answers, so that its
run lasts until somebody ends it. The last test ends it, and another of its own.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2
import pytest
from dagster import DagsterInstance, DagsterRun
from dagster_dev import DagsterDev, wait_until
from deltalake import DeltaTable

from data_platform.embedded.server import server_url, stop_server
from data_platform.instance.storage import open_instance
from data_platform.instance.worker import RunWorker
from data_platform.settings import PACKAGE_DIR, load_settings

LOCATION = "data_platform.definitions"
PLATFORM = """
connections:
  shop: {type: database, url: "embedded://shop"}
"""
PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
sources:
  orders: {type: file, settle: 0s, path: "${ORDERS}/orders.csv", partitions: none}
  slow: {type: database, connection: shop, table: slow, partitions: none}
staging:
  orders:
    from: raw.orders
    columns: {id: {type: bigint, description: Its number.}}
analytics:
  answer: {description: The one number., sql: answer.sql, partitions: none}
"""
SLOW_VIEW = "CREATE OR REPLACE VIEW slow AS SELECT 1 AS id, pg_sleep(600)::text AS nothing"
WITHIN_SECONDS = 120


@dataclass
class Launching:
    """A `dagster dev` over a project, and its instance."""

    dev: DagsterDev
    instance: DagsterInstance

    @property
    def folder(self) -> Path:
        return self.dev.folder

    def launch(self, *keys: str) -> str:
        selection = [{"path": key.split("/")} for key in keys]
        return self.dev.launch("__ASSET_JOB", LOCATION, assetSelection=selection)

    def run(self, *keys: str) -> DagsterRun:
        """The ended run of some assets, which must have succeeded."""
        run_id = self.launch(*keys)
        assert self.dev.wait_for_end(run_id) == "SUCCESS", self.messages(run_id)
        return self.instance.get_run_by_id(run_id)

    def worker(self, run_id: str) -> RunWorker | None:
        return RunWorker.of(self.instance.get_run_by_id(run_id))

    def slow_run(self) -> tuple[str, RunWorker]:
        """A run that is within its step, and its process."""
        run_id = self.launch("raw/shop/slow")
        wait_until(lambda: "Started execution of step" in self.messages(run_id), WITHIN_SECONDS)
        return run_id, self.worker(run_id)

    def messages(self, run_id: str) -> str:
        return "\n".join(entry.message or "" for entry in self.instance.all_logs(run_id))

    def answer(self) -> int:
        return next(iter(self.table("analytics/shop/answer")["n"])).as_py()

    def table(self, key: str) -> dict:
        return DeltaTable(self.folder / ".data" / "lake" / key).to_pyarrow_table()

    def forkers(self) -> list[psutil.Process]:
        """Those that fork, without what was forked."""
        found = self.dev.processes("data_platform.instance.forker")
        return [process for process in found if process not in self.forked()]

    def forked(self) -> list[psutil.Process]:
        found = self.dev.processes("data_platform.instance.forker")
        return [process for process in found if process.ppid() in {one.pid for one in found}]


def project(folder: Path) -> dict[str, str]:
    """Lay a small project down; returns the environment of its `dagster dev`."""
    if not (folder / "dagster.yaml").exists():
        shutil.copy(PACKAGE_DIR / "dagster.yaml", folder)
    (folder / "orders.csv").write_text("id\n1\n2\n")
    (folder / "pipelines" / "shop").mkdir(parents=True)
    (folder / "pipelines" / "platform.yaml").write_text(PLATFORM)
    (folder / "pipelines" / "shop" / "pipeline.yaml").write_text(PIPELINE)
    write_answer(folder, "count(*)")
    with closing(psycopg2.connect(server_url(folder / ".data", "shop"))) as connection:
        connection.autocommit = True
        connection.cursor().execute(SLOW_VIEW)
    # Where the CSV is stands in .env alone, as secrets do.
    (folder / ".env").write_text(f"ORDERS={folder}\n")
    return {"DATA_PLATFORM_PIPELINES": str(folder / "pipelines")}


def write_answer(folder: Path, expression: str) -> None:
    text = f"select cast({expression} as bigint) as n from staging.orders"
    (folder / "pipelines" / "shop" / "answer.sql").write_text(text)


@pytest.fixture(scope="module")
def launching(
    project_folder: Path, start_dagster_dev: Callable[..., DagsterDev]
) -> Iterator[Launching]:
    dev = start_dagster_dev(project_folder, "-m", LOCATION, **project(project_folder))
    settings = load_settings({"DATA_PLATFORM_HOME": str(project_folder)})
    with open_instance(settings) as instance:
        yield Launching(dev, instance)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Press Ctrl-C until it is heard: Python forgets one that comes while it runs a callback."""
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
            return


def test_run_is_executed_by_a_forked_process_and_says_so(launching: Launching) -> None:
    run = launching.run("raw/shop/orders", "staging/shop/orders", "analytics/shop/answer")
    worker = RunWorker.of(run)
    assert f"Forked process {worker.pid} for the run." in launching.messages(run.run_id)
    assert f"Started process for run (pid: {worker.pid})." in launching.messages(run.run_id)
    assert launching.answer() == 2
    [forker] = launching.forkers()
    assert forker.pid != worker.pid


def test_forker_is_there_before_the_first_run(launching: Launching) -> None:
    # The daemon started it by itself; each launch then finds the same.
    [forker] = launching.forkers()
    launching.run("raw/shop/orders")
    assert launching.forkers() == [forker]
    assert forker.num_threads() == 1


def test_ended_run_leaves_no_process(launching: Launching) -> None:
    worker = RunWorker.of(launching.run("raw/shop/orders"))
    wait_until(lambda: not psutil.pid_exists(worker.pid), 10)


def test_output_of_the_step_is_captured(launching: Launching) -> None:
    run = launching.run("raw/shop/orders")
    files = list((launching.folder / ".data" / "compute_logs" / run.run_id).rglob("*.err"))
    assert [run.run_id in file.read_text() for file in files] == [True]


def test_edited_pipeline_is_run_as_edited(launching: Launching) -> None:
    write_answer(launching.folder, "count(*) + 40")
    launching.run("analytics/shop/answer")
    assert launching.answer() == 42
    write_answer(launching.folder, "count(*)")
    launching.run("analytics/shop/answer")
    assert launching.answer() == 2


def test_edited_environment_file_is_read_anew(launching: Launching) -> None:
    elsewhere = launching.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "orders.csv").write_text("id\n1\n2\n3\n")
    (launching.folder / ".env").write_text(f"ORDERS={elsewhere}\n")
    launching.run("raw/shop/orders")
    (launching.folder / ".env").write_text(f"ORDERS={launching.folder}\n")
    assert launching.table("raw/shop/orders").num_rows == 3


def test_four_runs_at_once_have_a_process_each(launching: Launching) -> None:
    runs = [launching.launch("raw/shop/orders") for _ in range(4)]
    for run_id in runs:
        assert launching.dev.wait_for_end(run_id) == "SUCCESS", launching.messages(run_id)
    assert len({launching.worker(run_id).pid for run_id in runs}) == 4


def test_terminated_run_is_cancelled_and_its_process_ends(launching: Launching) -> None:
    run_id, worker = launching.slow_run()
    launching.dev.terminate(run_id)
    assert launching.dev.wait_for_end(run_id) == "CANCELED", launching.messages(run_id)
    wait_until(lambda: not psutil.pid_exists(worker.pid), 10)


def test_killed_process_fails_its_run_and_says_how_it_died(launching: Launching) -> None:
    run_id, worker = launching.slow_run()
    os.kill(worker.pid, signal.SIGKILL)
    assert launching.dev.wait_for_end(run_id) == "FAILURE"
    assert "terminated by signal 9 (SIGKILL)" in launching.messages(run_id)
    wait_until(lambda: not psutil.pid_exists(worker.pid), 10)


def test_process_of_a_run_that_somebody_else_ended_ends(launching: Launching) -> None:
    # As the daemon does where a machine slept, and a person by "mark as canceled".
    run_id, worker = launching.slow_run()
    launching.instance.report_run_failed(launching.instance.get_run_by_id(run_id), "taken for dead")
    wait_until(lambda: not psutil.pid_exists(worker.pid), 60)
    assert launching.dev.status(run_id) == "FAILURE"
    assert "already in a failure state" in launching.messages(run_id)


def test_dead_forker_is_started_anew_and_its_run_goes_on(launching: Launching) -> None:
    run_id, worker = launching.slow_run()
    [forker] = launching.forkers()
    forker.kill()
    wait_until(lambda: not psutil.pid_exists(forker.pid), 10)
    assert RunWorker.of(launching.run("raw/shop/orders")) is not None
    assert launching.dev.status(run_id) == "STARTED"
    assert psutil.pid_exists(worker.pid)
    launching.dev.terminate(run_id)
    assert launching.dev.wait_for_end(run_id) == "CANCELED", launching.messages(run_id)


def test_process_that_is_gone_is_cancelled_at_once(launching: Launching) -> None:
    run_id, worker = launching.slow_run()
    [forker] = launching.forkers()
    forker.kill()  # so that nobody hears of the other's death
    wait_until(lambda: not psutil.pid_exists(forker.pid), 10)
    process = psutil.Process(worker.pid)
    process.kill()
    # A process that dies gives its memory back first, and takes signals as long as it does.
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 30)
    launching.dev.terminate(run_id)
    assert launching.dev.wait_for_end(run_id) in {"CANCELED", "FAILURE"}


def test_tag_of_the_process_isnt_taken_over_by_a_run_made_from_it(launching: Launching) -> None:
    run = launching.run("raw/shop/orders")
    copied = run.with_tags({**run.tags}).with_status(run.status)._replace(run_id="another")
    assert RunWorker.of(run) is not None
    assert RunWorker.of(copied) is None


# The module's own ends as well, and comes last: no other test may follow.
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_dagster_dev_ends(
    how: signal.Signals,
    launching: Launching,
    public_folder: Path,
    start_dagster_dev: Callable[..., DagsterDev],
) -> None:
    if how == signal.SIGINT:
        dev = launching.dev
    else:
        dev = start_dagster_dev(public_folder, "-m", LOCATION, **project(public_folder))
    try:
        wait_until(lambda: dev.processes("data_platform.instance.forker"), WITHIN_SECONDS)
        assert dev.processes("dagster._daemon")
        family = dev.processes()
        if how == signal.SIGINT:
            interrupt(dev.process)
        else:
            # Dagster's own processes outlive their parent; the forker must see the daemon's end.
            for module in ("dagster._daemon", "dagster_webserver", "dagster"):
                for process in dev.processes("-m", module):
                    process.kill()
            dev.process.kill()
        dev.process.wait(60)
        ours = [one for one in family if "postgres" not in name_of(one)]
        _, alive = psutil.wait_procs(ours, timeout=30)
        assert not alive, [one.cmdline() for one in alive]
    finally:
        dev.stop()
        stop_server(public_folder / ".data")


def name_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
