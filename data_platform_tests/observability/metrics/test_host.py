"""How busy the machine is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from data_platform.observability.metrics.host import Host


def times(**seconds: float) -> Any:
    return SimpleNamespace(_asdict=lambda: seconds)


def look(host: Host) -> dict[str, float]:
    found = {}
    for sample in host.look():
        name = sample.metric.name.removeprefix("data_platform_host_")
        found["/".join((name, *sample.labels))] = sample.value
    return found


def test_processors_are_busy_for_a_part_of_the_time_since_the_look_before(
    monkeypatch: pytest.MonkeyPatch,
):
    told = [
        times(user=10.0, guest=4.0, idle=90.0, iowait=0.0),
        times(user=13.0, guest=6.0, idle=96.0, iowait=1.0),
        times(user=13.0, guest=6.0, idle=96.0, iowait=1.0),
    ]
    monkeypatch.setattr(psutil, "cpu_times", lambda: told.pop(0))
    host = Host({})
    assert look(host)["cpu_usage_ratio"] == 0.3
    assert look(host)["cpu_usage_ratio"] == 0.3, "no time has passed"


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_those_above(tmp_path: Path):
    found = look(Host({"data": tmp_path / "not" / "yet"}))
    assert 0 < found["disk_usage_ratio/data"] <= 1
    assert found["disk_free_bytes/data"] > 0
    assert 0 < found["memory_usage_ratio"] <= 1
