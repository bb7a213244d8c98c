"""Requests a second, minute or hour, over all steps and processes of a machine."""

from pathlib import Path

import anyio
import pytest
from api_project import ApiProject
from misbehaving_server import Reply, misbehaving

from data_platform.sources.http import rates
from data_platform.sources.http.rates import RateLimit


class Clock:
    """A clock that moves when it is slept by."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rates, "time", clock)
    return clock


def times(limit: RateLimit, clock: Clock, count: int) -> list[float]:
    """When requests go out, from now on."""
    found: list[float] = []

    async def ask() -> None:
        for _ in range(count):
            await limit.wait()
            found.append(clock.now - 1000)

    anyio.run(ask)
    return found


@pytest.mark.parametrize(
    ("rate", "count", "expected"),
    [
        ("2/s", 5, [0, 0, 1, 1, 2]),
        ("1/m", 3, [0, 60, 120]),
        ("3/h", 4, [0, 0, 0, 3600]),
    ],
)
def test_no_more_go_out_than_the_rate_says(
    tmp_path: Path, clock: Clock, rate: str, count: int, expected: list[float]
) -> None:
    assert times(RateLimit(rate, "a", tmp_path, clock.sleep), clock, count) == expected


@pytest.mark.parametrize("rate", ["7/s", "1000/s", "2500/m", "9999/h"])
def test_in_no_span_are_there_more_than_the_rate(tmp_path: Path, clock: Clock, rate: str) -> None:
    count, _, unit = rate.partition("/")
    span = {"s": 1, "m": 60, "h": 3600}[unit]
    found = times(RateLimit(rate, "a", tmp_path, clock.sleep), clock, int(count) * 2 + 1)
    for early, late in zip(found, found[int(count) :], strict=False):
        assert late - early >= span * 0.999999


def test_two_who_ask_the_same_share_a_rate(tmp_path: Path, clock: Clock) -> None:
    first, second = (RateLimit("2/s", "a", tmp_path, clock.sleep) for _ in range(2))
    other = RateLimit("2/s", "b", tmp_path, clock.sleep)
    assert times(first, clock, 2) == [0, 0]
    assert times(other, clock, 1) == [0]
    assert times(second, clock, 1) == [1]


def test_a_file_of_before_the_machine_started_counts_no_more(tmp_path: Path, clock: Clock) -> None:
    limit = RateLimit("2/s", "a", tmp_path, clock.sleep)
    clock.now = 1_000_000.0
    times(limit, clock, 2)
    clock.now = 1000.0
    assert times(limit, clock, 1) == [0]


def test_a_file_that_is_broken_counts_as_far_as_it_can_be_read(
    tmp_path: Path, clock: Clock
) -> None:
    limit = RateLimit("2/s", "a", tmp_path, clock.sleep)
    times(limit, clock, 1)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b"xyz")
    assert times(limit, clock, 2) == [0, 1]


def test_without_a_folder_each_process_counts_for_itself(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(rates, "_user_folder", lambda: None)
    assert times(RateLimit("1/s", "a", None, clock.sleep), clock, 2) == [0, 1]


def test_pages_and_tries_count(
    api: ApiProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "_user_folder", lambda: tmp_path)
    link = {"Link": '</2>; rel="next"'}
    replies = [Reply(status=503), Reply([{"id": 1}], headers=link), Reply([{"id": 2}])]
    with misbehaving(replies) as server:
        api.connect(url=server.url, rate_limit="600/m")
        api.declare(connection="api", pagination={"type": "link"})
        assert api.ask().ids == [1, 2]
        (file,) = tmp_path.glob("rate-*")
        assert file.stat().st_size == 3 * 8
        api.declare(connection="api", rate_limit="500/m")
        api.ask()
    assert len(list(tmp_path.glob("rate-*"))) == 2
