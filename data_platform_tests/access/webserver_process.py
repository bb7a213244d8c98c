"""`data-platform webserver` as a process, and its answers, for tests of this folder."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from dagster_dev import free_port, start_in_session, wait_until

JSON = {"content-type": "application/json"}
_LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    text: str

    @property
    def data(self) -> dict[str, Any]:
        said = json.loads(self.text)
        assert "errors" not in said, said["errors"]
        return said["data"]


class Webserver:
    """Started in `folder`, in a session of its own; its output goes to `<folder>/<name>.log`."""

    def __init__(self, folder: Path, name: str, *arguments: str, **environ: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{name}.log"
        program = str(Path(sys.executable).with_name("data-platform"))
        command = [program, "webserver", "--port", str(self.port), *arguments]
        self.log.unlink(missing_ok=True)
        self.process = start_in_session(command, self.log, folder, environ)
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def wait_until_up(self, prefix: str = "") -> None:
        def up() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(httpx.TransportError):
                return self.client.get(f"{prefix}/server_info").status_code == httpx.codes.OK
            return False

        wait_until(up, 120)

    def post(self, document: str, **variables: Any) -> Answer:
        return self.post_as({}, document, **variables)

    def post_as(self, headers: dict[str, str], document: str, **variables: Any) -> Answer:
        body = {"query": document, "variables": variables}
        said = self.client.post("/graphql", json=body, headers=headers)
        return Answer(said.status_code, said.text)

    def locations(self) -> dict[str, str]:
        entries = self.post(_LOADED).data["workspaceOrError"]["locationEntries"]
        return {entry["name"]: entry["loadStatus"] for entry in entries}

    def code_servers(self) -> set[int]:
        """The processes of its code locations."""
        return {child.pid for child in psutil.Process(self.process.pid).children(recursive=True)}

    def stop(self) -> int:
        """As Kubernetes does; killed if that isn't enough. Gives the exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(40)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait(10)
