"""`data-platform metrics`: it serves until it is ended, or says why it can't."""

import os
import re
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from factories import Project

from data_platform.observability.metrics import serving

Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def _shop(project: Project, environ: dict[str, str], dagster_url: str) -> None:
    """A project with a pipeline."""
    project.declare("staging:\n  orders:\n    from: raw.orders\n")
    environ["DATA_PLATFORM_STORAGE_URL"] = dagster_url


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT], ids=lambda end: end.name)
def test_it_serves_until_it_is_ended(
    end: signal.Signals, command: Command, monkeypatch: pytest.MonkeyPatch
):
    before = signal.getsignal(end)
    scraped: list[str] = []
    make_server = serving.make_server

    def watched(*arguments: object) -> object:
        server = make_server(*arguments)  # type: ignore[arg-type]
        threading.Thread(target=_scrape_and_end, args=(server.server_port, end, scraped)).start()
        return server

    monkeypatch.setattr(serving, "make_server", watched)
    done = command("metrics", "--port", "0")
    assert done.exit_code == 0, done.output
    assert re.search(r"metrics are at http://127.0.0.1:\d+/metrics until Ctrl-C", done.output)
    assert 'data_platform_asset_partitions_missing{asset="orders"' in scraped[0]
    assert 'data_platform_host_disk_usage_ratio{folder="data"}' in scraped[0]
    assert signal.getsignal(end) is before


def _scrape_and_end(port: int, end: signal.Signals, scraped: list[str]) -> None:
    """As Prometheus does, until a look was made; then the process is told to end."""
    try:
        for _ in range(600):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                text = answer.read().decode()
            if "data_platform_up 1.0" in text:
                scraped.append(text)
                return
            time.sleep(0.1)
    finally:
        os.kill(os.getpid(), end)


def test_a_port_in_use_is_told(command: Command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = command("metrics", "--port", str(taken.getsockname()[1]))
    assert done.exit_code == 1
    assert "Address already in use; choose another --port or --host" in done.output


def test_a_database_that_is_not_there_is_told(command: Command, environ: dict[str, str]):
    environ["DATA_PLATFORM_STORAGE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    done = command("metrics", "--port", "0")
    assert done.exit_code == 1
    assert "Dagster's storage can't be reached" in done.output
    assert "DATA_PLATFORM_STORAGE_URL" in done.output


def test_rules_and_dashboards_are_written(command: Command, tmp_path: Path):
    done = command("metrics", "--write", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert f"wrote {tmp_path / 'out' / 'alerts.yaml'}" in done.output.splitlines()
    assert (tmp_path / "out" / "dashboards" / "platform.json").is_file()


def test_a_folder_that_can_not_be_written_is_told(command: Command, tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = command("metrics", "--write", str(tmp_path / "file" / "below"))
    assert done.exit_code == 1
    assert "can't be written: Not a directory" in done.output
