"""A `dagster dev` in a session of its own, for tests that need the real processes.

Tests get it through the fixture `start_dagster_dev` of `conftest.py`, which stops it again.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}
"""
_LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus locationOrLoadError { __typename ... on PythonError { message } }
} } } }
"""
_TERMINATE = """
mutation ($id: String!) { terminateRun(runId: $id) {
    __typename
    ... on TerminateRunFailure { message }
    ... on PythonError { message }
} }
"""
_STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
PLAIN_PYTEST = "-p no:kmock -p no:asyncio"
"""Plugins come with an emulator of Kubernetes that these tests need; people don't have them."""
_ENDS = {"SUCCESS", "FAILURE", "CANCELED"}


class DagsterDev:
    """Started in `folder`; its output goes to `<folder>/dagster_dev.log`."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self.folder = folder
        self.log = folder / "dagster_dev.log"
        self.port = free_port()
        command = self._command(arguments)
        began = time.monotonic()
        self.log.unlink(missing_ok=True)
        self.process = start_in_session(command, self.log, folder, environ)
        try:
            self._wait_until_up()
        except BaseException:
            self.stop()
            raise
        self.seconds_to_start = time.monotonic() - began

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        dagster = Path(sys.executable).with_name("dagster")
        return [str(dagster), "dev", "-h", "127.0.0.1", "-p", str(self.port), *arguments]

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def launch(self, job: str, location: str, **params: Any) -> str:
        selector = {
            "repositoryLocationName": location,
            "repositoryName": "__repository__",
            "jobName": job,
        }
        # What says which assets is part of the selector; the rest stands beside it.
        if "assetSelection" in params:
            selector["assetSelection"] = params.pop("assetSelection")
        data = self.graphql(_LAUNCH, params={"selector": selector, "runConfigData": {}, **params})
        assert data["launchRun"]["__typename"] == "LaunchRunSuccess", data
        return data["launchRun"]["run"]["runId"]

    def terminate(self, run_id: str) -> None:
        data = self.graphql(_TERMINATE, id=run_id)
        assert data["terminateRun"]["__typename"] == "TerminateRunSuccess", data

    def status(self, run_id: str) -> str:
        return self.graphql(_STATUS, id=run_id)["runOrError"]["status"]

    def wait_for_end(self, run_id: str, seconds: float = 60) -> str:
        """The status the run ended with."""
        wait_until(lambda: self.status(run_id) in _ENDS, seconds)
        return self.status(run_id)

    def processes(self, *words: str) -> list[psutil.Process]:
        """Its processes whose command line contains all the words."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in family if all(word in _arguments(child) for word in words)]

    def stop(self) -> None:
        """As Ctrl-C does; killed if that isn't enough."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def _wait_until_up(self) -> None:
        def loaded() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                entries = self.graphql(_LOCATIONS)["workspaceOrError"]["locationEntries"]
            except OSError:
                return False
            return all(entry["loadStatus"] == "LOADED" for entry in entries)

        wait_until(loaded, 180)  # 7 seconds on a machine with nothing else to do
        for entry in self.graphql(_LOCATIONS)["workspaceOrError"]["locationEntries"]:
            assert entry["locationOrLoadError"]["__typename"] != "PythonError", entry


def wait_until(condition: Any, seconds: float, every: float = 0.2) -> float:
    """Wait for `condition()`, and return the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} seconds"
        time.sleep(every)
    return time.monotonic() - began


def hear_interrupts() -> None:
    """Undo what a process inherits that was started in the background of a script."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def start_in_session(
    command: Sequence[str], log: Path, folder: Path, environ: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """A process in a session of its own, which hears Ctrl-C; what it prints is added to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment() | environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # What a script starts with `&` ignores Ctrl-C, and so do all that it starts.
            preexec_fn=hear_interrupts,  # noqa: PLW1509 -- nothing but signals
        )


def clean_environment() -> dict[str, str]:
    """This process's, without what makes Dagster, the platform or pytest behave differently."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DAGSTER_", "DATA_PLATFORM_", "PYTEST_", "PYTHONDONTWRITE"))
    }
    return kept | {"PYTEST_ADDOPTS": PLAIN_PYTEST}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
