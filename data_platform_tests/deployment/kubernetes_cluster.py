"""A cluster for tests: an emulator of Kubernetes' API over HTTP, and one node that runs Jobs.

The emulator (kmock) keeps what it is told; it has no controllers. The node here does what theirs
do to a Job: it starts the command of its pod as a process that has nothing but the environment
that the Job says, tells the Job's status, and ends the process when the Job is deleted. A container
is not at hand: folders of the image and of volumes are folders of the test's, put for the paths
that they are mounted at wherever these stand in the environment.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kmock
import kubernetes.client
import yaml
from dagster_dev import free_port, hear_interrupts

IMAGE_FOLDER = "/opt/data-platform"
TMP = "/tmp"
BIN = Path(sys.executable).parent
_VERBS = ["create", "get", "list", "patch", "update", "delete", "deletecollection"]


class Emulator:
    """Kubernetes' API on a port of 127.0.0.1, in a thread of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.api = kmock.KubernetesEmulator()
        for name, kind in (("batch/v1/jobs", "Job"), ("v1/pods", "Pod"), ("v1/events", "Event")):
            self.api.resources[name] = kmock.ResourceInfo(
                namespaced=True, kind=kind, verbs=_VERBS, subresources=["status", "log"]
            )
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        up = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(up,), daemon=True)
        self._thread.start()
        assert up.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(30)

    def write_kubeconfig(self, file: Path) -> None:
        """How clients reach it."""
        url = f"http://127.0.0.1:{self.port}"
        file.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "emulator", "cluster": {"server": url}}],
                    "users": [{"name": "nobody", "user": {}}],
                    "contexts": [
                        {"name": "it", "context": {"cluster": "emulator", "user": "nobody"}}
                    ],
                    "current-context": "it",
                }
            )
        )

    def client(self) -> kubernetes.client.ApiClient:
        configuration = kubernetes.client.Configuration()
        configuration.host = f"http://127.0.0.1:{self.port}"
        return kubernetes.client.ApiClient(configuration)

    def asked(self) -> set[tuple[str, str]]:
        """What clients asked for: resources, with their part behind a slash, and verbs."""
        verbs = {"fetch": "get", "update": "patch"}
        return {
            (
                f"{one.resource.plural}/{one.subresource}"
                if one.subresource
                else str(one.resource.plural),
                verbs.get(one.action.value.lower(), one.action.value.lower()),
            )
            for one in self.api
            if one.resource is not None and one.action is not None
        }

    def _serve(self, up: threading.Event) -> None:
        async def serve() -> None:
            async with self.api, kmock.Server(self.api, host="127.0.0.1", port=self.port):
                up.set()
                await self._over.wait()

        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(serve())


@dataclass
class Node:
    """Runs the Jobs of a namespace, when it is asked to look.

    Attributes:
        secrets: values by name and key.
        config_maps: files by name.
        folder: for what pods write, and print.
        processes: of Jobs, by name.
    """

    emulator: Emulator
    namespace: str
    secrets: Mapping[str, Mapping[str, str]]
    config_maps: Mapping[str, Path]
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.batch = kubernetes.client.BatchV1Api(self.emulator.client())

    def jobs(self) -> dict[str, dict[str, Any]]:
        """All Jobs that there are, as they were written."""
        found = self.batch.list_namespaced_job(self.namespace, _preload_content=False)
        return {job["metadata"]["name"]: job for job in json.loads(found.data)["items"]}

    def look(self) -> None:
        """Begin what is new, tell what is over, end what was deleted."""
        jobs = self.jobs()
        for name, job in jobs.items():
            if name not in self.processes:
                self.processes[name] = self._start(name, job["spec"]["template"]["spec"])
                self._tell(name, active=1)
        for name, process in self.processes.items():
            if name not in jobs:
                if process.poll() is None and name not in self._told:
                    self._told.add(name)
                    process.send_signal(signal.SIGTERM)
            elif process.poll() is not None and name not in self._told:
                self._told.add(name)
                self._tell(name, **{"succeeded" if process.returncode == 0 else "failed": 1})

    def look_until(self, condition: Callable[[], object], seconds: float = 120) -> None:
        """Go on until something is so."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds, self.printed()
            self.look()
            time.sleep(0.2)

    def printed(self) -> str:
        """What all pods printed."""
        return "\n".join(
            f"--- {file.stem}\n{file.read_text()}" for file in sorted(self.folder.glob("*.log"))
        )

    def stop(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, name: str, pod: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        [container] = pod["containers"]
        paths = self.paths(name, pod)
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [*container.get("command", []), *container.get("args", [])],
                executable=str(BIN / "dagster"),
                env=self.environment(container, paths),
                cwd=paths[IMAGE_FOLDER],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=hear_interrupts,  # noqa: PLW1509 -- nothing but signals
            )

    def paths(self, name: str, pod: Mapping[str, Any]) -> dict[str, str]:
        """What stands for the paths of a container, longest first."""
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        [container] = pod["containers"]
        image = self.folder / "image"
        image.mkdir(parents=True, exist_ok=True)
        found = {IMAGE_FOLDER: str(image)}
        for mount in container["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "configMap" in volume:
                place = self.config_maps[volume["configMap"]["name"]]
            else:
                place = self.folder / "pods" / name / mount["name"]
                place.mkdir(parents=True, exist_ok=True)
            found[mount["mountPath"]] = str(place)
        return dict(sorted(found.items(), key=lambda one: -len(one[0])))

    def environment(self, container: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, str]:
        """What the container's process has, and the image's search path."""
        environ = {"PATH": f"{BIN}:/usr/bin:/bin", "TMPDIR": paths[TMP]}
        for variable in container["env"]:
            environ[variable["name"]] = self._value(variable, paths)
        return environ

    def _value(self, variable: Mapping[str, Any], paths: Mapping[str, str]) -> str:
        if "valueFrom" in variable:
            wanted = variable["valueFrom"]["secretKeyRef"]
            return self.secrets[wanted["name"]][wanted["key"]]
        text = variable.get("value") or ""
        for path, place in paths.items():
            if path == TMP:
                continue  # tests' own folders are there; processes are told by TMPDIR
            if text == path or text.startswith(f"{path}/"):
                return place + text.removeprefix(path)
        return text

    def _tell(self, name: str, **counts: int) -> None:
        now = datetime.now(UTC).isoformat()
        kinds = {"succeeded": "Complete", "failed": "Failed"}
        conditions = [
            {"type": kinds[count], "status": "True", "lastTransitionTime": now}
            for count in counts
            if count in kinds
        ]
        status = {"active": 0, **counts, "startTime": now, "conditions": conditions}
        self.batch.patch_namespaced_job_status(name, self.namespace, {"status": status})
