"""A release of the chart, as far as it needs no cluster, for tests of runs in pods.

Real: the rendered `dagster.yaml` and `workspace.yaml`, the server of the code location with the
command and environment of its Deployment, the daemon's own steps, PostgreSQL, S3, and the processes
of runs with the environment of their Jobs alone. Two things differ from what is rendered, as there
is no cluster: how the API is reached (`load_incluster_config`, `kubeconfig_file`), and the
address of the server of the code location.
"""

import logging
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import yaml
from dagster import DagsterInstance, DagsterRun
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.monitoring.concurrency import execute_concurrency_slots_iteration
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from dagster_dev import free_port
from dagster_graphql.test.utils import execute_dagster_graphql
from dagster_k8s import K8sRunLauncher
from helm_chart import NAMESPACE, RELEASE, render
from kubernetes_cluster import BIN, Emulator, Node
from object_storage import Bucket, server_apart_url, usual_variables

from data_platform.instance.migrating import migrate

LOCATION = "shop"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
PLATFORM = """
lake: {root: "${LAKE_ROOT}"}
connections:
  warehouse: {type: database, url: "${WAREHOUSE_URL}"}
pools: {slot: 3}
"""
PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
sources:
  orders: {type: file, path: "%s", partitions: none, settle: 0s}
analytics:
  revenue:
    query: SELECT sum(amount)::BIGINT AS amount FROM raw.orders
    resources: {requests: {cpu: 750m, memory: 3Gi}}
  heavy:
    query: SELECT sum(amount)::BIGINT * 2 AS twice FROM raw.orders
    resources: {requests: {memory: 6Gi}, isolated: true}
destinations:
  revenue: {from: analytics.revenue, type: database, connection: warehouse, table: revenue}
"""
FUNCTIONS = """
import os, time
from pathlib import Path
import dagster as dg
import pandas as pd

@dg.asset(pool="slot", metadata={"retries": {"attempts": 2, "delay": "1s"}})
def slow(context: dg.AssetExecutionContext) -> pd.DataFrame:
    place = Path("%s") / context.run.run_id
    place.with_suffix(".pid").write_text(str(os.getpid()))
    while not place.with_suffix(".finish").exists():
        time.sleep(0.1)
    return pd.DataFrame({"one": [1]})
"""
LAUNCH = """
mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on InvalidSubsetError { message }
} }
"""


class Platform:
    """One release with one code location.

    Args:
        folder: of the test's own.
        dagster_url: an empty database for Dagster.
        warehouse_url: a database that the pipeline loads.
        values: of the chart, besides those that it takes here.
    """

    def __init__(self, folder: Path, dagster_url: str, warehouse_url: str, **values: Any) -> None:
        self.folder = folder
        self.warehouse_url = warehouse_url
        self.bucket = Bucket(server_apart_url())
        keys = {name: usual_variables()[name] for name in KEYS}
        self.secrets = {
            "database": {"storage-url": dagster_url},
            "shop": {"warehouse": warehouse_url, **keys},
        }
        self.chart = render(self._values(values))
        self._write_pipelines()
        self._opened = ExitStack()
        self.emulator = Emulator()
        self._opened.callback(self.emulator.stop)
        try:
            self._open(dagster_url)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._opened.close()

    def launch(self, *assets: str, **tags: str) -> str:
        """Put a run into the queue as the UI does, and launch what may leave it."""
        run_id = self.submit(*assets, **tags)
        self.launch_what_waits()
        return run_id

    def submit(self, *assets: str, **tags: str) -> str:
        """Put a run into the queue as the UI does."""
        params = {
            "selector": {
                "repositoryLocationName": LOCATION,
                "repositoryName": "__repository__",
                "jobName": "__ASSET_JOB",
                "assetSelection": [{"path": asset.split("/")} for asset in assets],
            },
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        with self.process_context.create_request_context() as context:
            answer = execute_dagster_graphql(context, LAUNCH, variables={"params": params})
        launched = answer.data["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return launched["run"]["runId"]

    def launch_what_waits(self) -> None:
        """What the daemon does with its queue."""
        daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
        daemon._logger = logging.getLogger("test")
        assert not [error for error in daemon.run_iteration(self.process_context) if error]

    def monitor(self) -> None:
        """What the daemon does with runs that go on."""
        logger = logging.getLogger("test")
        found = execute_run_monitoring_iteration(self.process_context, logger)
        assert not [error for error in found if error]

    def free_slots(self) -> None:
        """What the daemon does with slots of runs that have ended."""
        logger = logging.getLogger("test")
        found = execute_concurrency_slots_iteration(self.process_context, logger)
        assert not [error for error in found if error]

    def make_anew(self) -> None:
        """What the daemon does with runs that failed."""
        daemon = EventLogConsumerDaemon()
        daemon._logger = logging.getLogger("test")
        assert not [error for error in daemon.run_iteration(self.process_context) if error]

    def run(self, run_id: str) -> DagsterRun:
        found = self.instance.get_run_by_id(run_id)
        assert found is not None
        return found

    def wait_for_end(self, run_id: str) -> str:
        """The status a run ended with; its Job is over too."""
        name = f"dagster-run-{run_id}"
        self.node.look_until(lambda: self.run(run_id).is_finished)
        self.node.look_until(lambda: self.node.processes[name].poll() is not None)
        self.node.look()
        return self.run(run_id).status.value

    def job(self, run_id: str) -> dict[str, Any]:
        return self.node.jobs()[f"dagster-run-{run_id}"]

    def events(self, run_id: str) -> str:
        """All that was told of a run."""
        return "\n".join(
            f"{entry.dagster_event.message} {entry.dagster_event.event_specific_data}"
            for entry in self.instance.all_logs(run_id)
            if entry.dagster_event
        )

    @property
    def launcher(self) -> K8sRunLauncher:
        launcher = self.instance.run_launcher
        assert isinstance(launcher, K8sRunLauncher)
        return launcher

    def in_warehouse(self, query: str) -> list[tuple[object, ...]]:
        with (
            closing(psycopg2.connect(self.warehouse_url)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query)
            return cursor.fetchall()

    def _values(self, others: Mapping[str, Any]) -> dict[str, Any]:
        usual = {name: text for name, text in usual_variables().items() if name not in KEYS}
        shop = {
            "name": LOCATION,
            "pipelines": str(self.folder / "pipelines"),
            "image": {"repository": "registry.example.com/shop", "tag": "7"},
            "secretEnv": [
                {"name": "WAREHOUSE_URL", "secret": "shop", "key": "warehouse"},
                *({"name": name, "secret": "shop", "key": name} for name in KEYS),
            ],
        }
        return {
            "mode": "development",
            "storage": {"existingSecret": "database"},
            "lake": {
                "root": f"{self.bucket.url}/lake",
                "computeLogs": f"{self.bucket.url}/logs",
            },
            "env": usual,
            "codeLocations": [shop],
            **others,
        }

    def _write_pipelines(self) -> None:
        shop = self.folder / "pipelines" / "shop"
        shop.mkdir(parents=True)
        (self.folder / "orders.csv").write_text("id,amount\n1,3\n2,4\n")
        (shop.parent / "platform.yaml").write_text(PLATFORM)
        (shop / "pipeline.yaml").write_text(PIPELINE % (self.folder / "orders.csv"))
        (shop / "assets.py").write_text(FUNCTIONS % self.folder)

    def _open(self, dagster_url: str) -> None:
        home = self.folder / "home"
        home.mkdir()
        (self.folder / "node").mkdir()
        self.node = Node(
            self.emulator, NAMESPACE, self.secrets, {"demo-instance": home}, self.folder / "node"
        )
        self._opened.callback(self.node.stop)
        migrate(dagster_url)
        self._write_instance(home)
        port = self._start_server()
        workspace = self.chart.instance_files()["workspace.yaml"]
        [server] = [entry["grpc_server"] for entry in workspace["load_from"]]
        server.update(host="127.0.0.1", port=port)
        (home / "workspace.yaml").write_text(yaml.safe_dump(workspace))
        reference = InstanceRef.from_dir(str(home))
        self.instance = self._opened.enter_context(DagsterInstance.from_ref(reference))
        target = WorkspaceFileTarget([str(home / "workspace.yaml")])
        self.process_context = self._opened.enter_context(
            WorkspaceProcessContext(self.instance, target)
        )

    def _write_instance(self, home: Path) -> None:
        kubeconfig = self.folder / "kubeconfig"
        self.emulator.write_kubeconfig(kubeconfig)
        rendered = self.chart.instance_files()["dagster.yaml"]
        rendered["run_launcher"]["config"].update(
            load_incluster_config=False, kubeconfig_file=str(kubeconfig)
        )
        (home / "dagster.yaml").write_text(yaml.safe_dump(rendered, sort_keys=False))

    def _start_server(self) -> int:
        """The server of the code location, with the command and environment of its pods."""
        port = free_port()
        pod = self.chart.get("Deployment", f"{RELEASE}-location-{LOCATION}").pod
        [container] = pod["containers"]
        command = [*container["command"], *container["args"]]
        command = [argument.replace("--port=4000", f"--port={port}") for argument in command]
        environ = self.node.environment(container, self.node.paths("server", pod))
        log = self._opened.enter_context((self.folder / "server.log").open("wb"))
        process = subprocess.Popen(
            command,
            executable=str(BIN / command[0]),
            env=environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

        def end() -> None:
            process.kill()
            process.wait()

        self._opened.callback(end)
        check = [str(BIN / "dagster"), "api", "grpc-health-check", "-p", str(port)]
        began = time.monotonic()
        while subprocess.run(check, check=False, capture_output=True, env=environ).returncode:
            assert process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() - began < 120, (self.folder / "server.log").read_text()
        return port


def two_databases(admin_url: str, *names: str) -> Iterator[list[str]]:
    """Empty databases, dropped in the end."""
    urls = [urlsplit(admin_url)._replace(path=f"/{name}").geturl() for name in names]
    with closing(psycopg2.connect(admin_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for name in names:
                cursor.execute(f"CREATE DATABASE {name}")
            yield urls
            for name in names:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
