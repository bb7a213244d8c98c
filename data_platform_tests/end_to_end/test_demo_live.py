"""`data-platform demo --live`: Dagster's UI with the demo's systems beside it."""

import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from dagster_dev import DagsterDev, wait_until

LOCATION = "data_platform.definitions"


class DemoLive(DagsterDev):
    """The command in place of `dagster dev`."""

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        command = Path(super()._command(arguments)[0]).with_name("data-platform")
        return [str(command), "demo", "--live", "--port", str(self.port)]


@pytest.fixture(scope="module")
def live(project_folder: Path) -> Iterator[DemoLive]:
    one = DemoLive(project_folder)
    yield one
    one.stop()


def api_of(live: DemoLive) -> str:
    """Where Dagster's processes look for the marketing system."""
    [server] = live.processes("dagster", "dev")[:1]
    return server.environ()["CAMPAIGN_API"]


def test_what_it_asks_of_the_api_lands(live: DemoLive) -> None:
    request = urllib.request.Request(
        f"{api_of(live)}/campaigns", headers={"Authorization": "Bearer demo"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    selection: list[Any] = [{"path": ["raw", "marketing", "campaigns"]}]
    run_id = live.launch("__ASSET_JOB", LOCATION, assetSelection=selection)
    assert live.wait_for_end(run_id) == "SUCCESS"


def test_sigterm_ends_it_all(live: DemoLive) -> None:
    family = psutil.Process(live.process.pid).children(recursive=True)
    assert len(family) > 2
    live.process.send_signal(signal.SIGTERM)
    live.process.wait(40)
    wait_until(lambda: not any(one.is_running() for one in family), 20)
