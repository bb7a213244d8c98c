"""Servers of code locations and the webserver, started as the chart's pods start them.

Commands, arguments and `dagster.yaml` are the rendered ones, but for addresses, folders and the
module: probes are answered, two pods are one server, a request ends though its pod is to go, and
the webserver serves one team while another's server is down.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import SensorExecutionArgs
from dagster_dev import free_port, start_in_session, wait_until
from grpc_health.v1 import health_pb2, health_pb2_grpc
from helm_chart import Manifest, Rendered, render

MODULE = """
import time
from pathlib import Path

import dagster as dg


@dg.asset
def orders() -> None: ...


@dg.sensor(target=orders)
def slow(context):
    Path("asked").touch()
    deadline = time.monotonic() + 60
    while not Path("answer").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return dg.SkipReason("answered")


defs = dg.Definitions(assets=[orders], sensors=[slow])
"""
LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
    __typename ... on RepositoryLocation { repositories { sensors { name } } }
} } } } }
"""
VALUES = {"codeLocations": [{"name": "shop"}, {"name": "finance"}]}
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def release() -> Rendered:
    return render(VALUES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "team.py").write_text(MODULE)
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts a container's process in the folder; stopped after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(one: Manifest, replaced: dict[str, str], **environ: str) -> subprocess.Popen[bytes]:
        program, *words = [*one.container["command"], *one.container["args"]]
        for before, after in replaced.items():
            assert before in words
            words[words.index(before)] = after
        command = [str(Path(sys.executable).with_name(program)), *words]
        process = start_in_session(command, folder / f"{one.name}.log", folder, environ)
        started.append(process)
        return process

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def start_server(start: Start, one: Manifest) -> tuple[subprocess.Popen[bytes], int]:
    """A code server, once its readiness probe is answered."""
    port = free_port()
    grace = one.variables()["DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD"]
    process = start(
        one,
        {
            "--host=0.0.0.0": "--host=127.0.0.1",
            "--port=4000": f"--port={port}",
            "--module-name=data_platform.definitions": "--module-name=team",
        },
        DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD=grace,
    )
    probe = one.container["readinessProbe"]["grpc"]

    def ready() -> bool:
        assert process.poll() is None
        return asked(port, probe["service"]) == health_pb2.HealthCheckResponse.SERVING

    wait_until(ready, 120)
    return process, port


def asked(port: int, service: str) -> Any:
    """What a probe of Kubernetes is told; None where nobody answers."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status
        except grpc.RpcError:
            return None


def test_two_pods_of_a_release_are_one_server_that_is_well(start: Start, release: Rendered) -> None:
    shop = release.get("Deployment", "demo-location-shop")
    ports = [start_server(start, shop)[1] for _ in range(2)]
    ids = {DagsterGrpcClient(host="127.0.0.1", port=port).get_server_id() for port in ports}
    assert len(ids) == 1
    assert asked(ports[0], "another") is None


def test_a_request_is_answered_though_its_pod_is_to_go(
    start: Start, release: Rendered, folder: Path, instance: DagsterInstance
) -> None:
    shop = release.get("Deployment", "demo-location-shop")
    process, port = start_server(start, shop)
    client = DagsterGrpcClient(host="127.0.0.1", port=port)
    origin = RemoteRepositoryOrigin(
        GrpcServerCodeLocationOrigin(host="127.0.0.1", port=port, location_name="shop"),
        "__repository__",
    )
    arguments = SensorExecutionArgs(
        repository_origin=origin,
        instance_ref=instance.get_ref(),
        sensor_name="slow",
        last_tick_completion_time=None,
        last_run_key=None,
        cursor=None,
        timeout=60,
    )
    answers: list[str] = []
    asking = threading.Thread(
        target=lambda: answers.append(client.external_sensor_execution(arguments)), daemon=True
    )
    asking.start()
    wait_until((folder / "asked").exists, 60)
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: asked(port, "DagsterApi") is None, 30)  # nobody new is let in
    assert process.poll() is None
    (folder / "answer").touch()
    asking.join(60)
    assert len(answers) == 1
    assert "answered" in answers[0]
    assert process.wait(60) == 0


def test_the_webserver_serves_one_team_while_anothers_server_is_down(
    start: Start, release: Rendered, folder: Path, dagster_url: str
) -> None:
    _, port = start_server(start, release.get("Deployment", "demo-location-shop"))
    data = release.get("ConfigMap", "demo-instance").content["data"]
    workspace = yaml.safe_load(data["workspace.yaml"])
    ports = {"demo-location-shop": port, "demo-location-finance": free_port()}
    for one in workspace["load_from"]:
        server = one["grpc_server"]
        server.update(host="127.0.0.1", port=ports[server["host"]])
    (folder / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    (folder / "dagster.yaml").write_text(data["dagster.yaml"])
    own = free_port()
    process = start(
        release.get("Deployment", "demo-webserver"),
        {
            "--host=0.0.0.0": "--host=127.0.0.1",
            "--port=3000": f"--port={own}",
            "--workspace=/opt/data-platform/home/workspace.yaml": "--workspace=workspace.yaml",
        },
        DAGSTER_HOME=str(folder),
        DATA_PLATFORM_STORAGE_URL=dagster_url,
        DATA_PLATFORM_DATA_DIR=str(folder / "scratch"),
    )

    def up() -> bool:
        assert process.poll() is None, (folder / "demo-webserver.log").read_text()
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{own}/server_info").status_code == httpx.codes.OK
        return False

    wait_until(up, 120)
    said = httpx.post(
        f"http://127.0.0.1:{own}/graphql", json={"query": LOCATIONS}, timeout=60
    ).json()
    entries = {
        entry["name"]: entry["locationOrLoadError"]
        for entry in said["data"]["workspaceOrError"]["locationEntries"]
    }
    assert entries["finance"]["__typename"] == "PythonError"
    assert entries["shop"]["repositories"] == [{"sensors": [{"name": "slow"}]}]
