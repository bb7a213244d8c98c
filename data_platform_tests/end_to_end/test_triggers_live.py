"""The real daemon: a file lands and its pipeline runs; another orchestrator triggers and waits."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import cast

import dagster as dg
import pytest
from conftest import Databases
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster_dev import DagsterDev, clean_environment, wait_until
from forked_command import run_command

from data_platform.instance.storage import open_instance
from data_platform.settings import PACKAGE_DIR, load_settings

PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
partitions: {every: day, start: 2024-01-01, end: 2024-01-11}
sources:
  orders:
    type: file
    path: in/orders-{partition_key}.csv
    settle: 1s
    poll: 1s
staging:
  orders: {from: raw.orders, extra_columns: keep}
"""


class Live:
    """`dagster dev` over a pipeline of files."""

    def __init__(self, folder: Path, dev: DagsterDev, environ: dict[str, str]) -> None:
        self.folder, self.dev = folder, dev
        self._environ = clean_environment() | environ

    def land(self, day: str, content: str) -> None:
        path = self.folder / "in" / f"orders-{day}.csv"
        beside = path.with_suffix(".part")
        beside.write_text(content)
        beside.rename(path)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run_command(["data-platform", *words], self.folder, self._environ)

    def runs(self) -> list[dg.DagsterRun]:
        with open_instance(load_settings(self._environ)) as instance:
            return list(instance.get_runs())

    def forget_where_code_is_served(self) -> None:
        """What Dagster noted of its sensors names a socket of before, as after a restart."""
        with open_instance(load_settings(self._environ)) as instance:
            for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
                repository = state.origin.repository_origin
                served = cast("GrpcServerCodeLocationOrigin", repository.code_location_origin)
                gone = served._replace(socket=str(self.folder / "gone.sock"))
                before = repository._replace(code_location_origin=gone)
                origin = state.origin._replace(repository_origin=before)
                instance.update_instigator_state(state._replace(origin=origin))


@pytest.fixture(scope="module")
def live(
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
    start_dagster_dev: Callable[..., DagsterDev],
) -> Live:
    folder = tmp_path_factory.mktemp("arrivals")
    (folder / "in").mkdir()
    (folder / "pipelines" / "shop").mkdir(parents=True)
    (folder / "pipelines" / "shop" / "pipeline.yaml").write_text(PIPELINE)
    (folder / "pipelines" / "platform.yaml").write_text("lake: {root: lake}\n")
    shutil.copy(PACKAGE_DIR / "dagster.yaml", folder)
    environ = {
        "DATA_PLATFORM_HOME": str(folder),
        "DATA_PLATFORM_PIPELINES": "pipelines",
        "DATA_PLATFORM_STORAGE_URL": databases.dagster(),
    }
    dev = start_dagster_dev(folder, "-m", "data_platform.definitions", **environ)
    return Live(folder, dev, environ)


def test_a_file_that_lands_is_run_once_and_what_is_below_follows(live: Live) -> None:
    live.land("2024-01-10", "id\n1\n2\n")

    def done() -> bool:
        made = [run for run in live.runs() if run.is_finished]
        return any(
            dg.AssetKey(["staging", "shop", "orders"]) in (r.asset_selection or ()) for r in made
        )

    wait_until(done, 120)
    runs = live.runs()
    assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * len(runs)
    raw = [r for r in runs if dg.AssetKey(["raw", "shop", "orders"]) in (r.asset_selection or ())]
    assert [run.tags["data_platform/cause"] for run in raw] == [
        "file landed: orders-2024-01-10.csv"
    ]


def test_a_trigger_runs_once_for_its_key_and_ends_as_the_run_does(live: Live) -> None:
    live.land("2024-01-02", "id\n1\n")
    words = ["trigger", "shop", "--partition", "2024-01-02", "--cause", "airflow: dag_x"]
    first = live.command(*words, "--key", "try 1")
    assert first.returncode == 0, first.stdout
    run_id = first.stdout.split()[1]
    assert f"/runs/{run_id}" in first.stdout
    assert first.stdout.endswith("ended: success\n")
    url = f"http://127.0.0.1:{live.dev.port}"
    again = live.command(*words, "--key", "try 1", "--url", url)
    assert again.returncode == 0, again.stdout
    assert f"run {run_id} {url}/runs/{run_id}, launched before with this key" in again.stdout
    [run] = [run for run in live.runs() if run.run_id == run_id]
    assert run.tags["data_platform/cause"] == "trigger airflow: dag_x"
    assert run.tags["dagster/partition"] == "2024-01-02"


@pytest.mark.parametrize("over_http", [False, True])
def test_a_trigger_of_a_run_that_fails_ends_with_one(live: Live, over_http: bool) -> None:
    url = ["--url", f"http://127.0.0.1:{live.dev.port}"] if over_http else []
    if not over_http:
        live.forget_where_code_is_served()
    day = "2024-01-04" if over_http else "2024-01-05"
    done = live.command("trigger", "shop", "--select", "raw/orders", "--partition", day, *url)
    assert done.returncode == 1, done.stdout
    assert "ended: failure" in done.stdout
