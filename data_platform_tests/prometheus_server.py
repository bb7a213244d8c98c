"""The machine's own Prometheus: promtool, and a server on a port of 127.0.0.1.

Debian's package prometheus brings both. Without it tests that need it are skipped, or fail where
DATA_PLATFORM_TESTS_REQUIRE_PROMETHEUS says that it must be there, as in `.ci/run`.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

REQUIRED = "DATA_PLATFORM_TESTS_REQUIRE_PROMETHEUS"
MISSING = "needs Prometheus: apt-get install prometheus"
START_SECONDS = 60


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`; the test is skipped where there is none."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get(REQUIRED):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return found


def promtool(*arguments: str, given: str | None = None) -> str:
    """What it prints; its complaint fails the test."""
    done = subprocess.run(
        [program("promtool"), *arguments], input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Prometheus:
    """A server that is up."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, query: str) -> list[Mapping[str, Any]]:
        """The series that a query finds now."""
        return self._get("query", query=query)["result"]

    def rules(self) -> list[Mapping[str, Any]]:
        """The rules, with what came of their last evaluation."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def wait_for(self, query: str) -> list[Mapping[str, Any]]:
        """What a query finds as soon as it finds something."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if found := self.ask(query):
                return found
            time.sleep(0.2)
        raise AssertionError(f"{query} found nothing within {START_SECONDS} seconds")

    def _get(self, path: str, **parameters: str) -> Mapping[str, Any]:
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None


@contextmanager
def running(folder: Path, target: str, rules: Sequence[Path]) -> Iterator[Prometheus]:
    """A server that scrapes and evaluates each second.

    Args:
        folder: empty, of its own.
        target: host and port.
        rules: files of them.
    """
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(file) for file in rules],
        "scrape_configs": [
            {"job_name": "data_platform", "static_configs": [{"targets": [target]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    log = folder / "log.txt"
    with log.open("w") as output:
        server = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
                "--log.level=warn",
            ],
            stdout=output,
            stderr=output,
        )
    try:
        _wait(server, f"http://{address}/-/ready", log)
        yield Prometheus(f"http://{address}")
    finally:
        server.terminate()
        server.wait(30)


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())
