"""A system that is down is asked rarely, by everybody together."""

from datetime import UTC, datetime, timedelta

import pytest

from data_platform.errors import SourceError, SourceUnavailable, TimedOut
from data_platform.plan.sources.kinds import Api
from data_platform.sources.circuits import (
    CLOSED,
    FAILURES,
    LONGEST,
    TRIAL,
    Circuit,
    CircuitOpen,
    circuit_of,
    guarded,
    read,
)
from data_platform.spec.sources import ApiSource
from data_platform.spec.variables import expand

NAME = "connection shop"


class World:
    """A store, a clock that stands, and a system that is down or up."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.now = datetime(2024, 1, 1, 12, tzinfo=UTC)
        self.reached = 0
        self.error: BaseException | None = SourceUnavailable("connection refused")

    def get(self, name: str) -> str | None:
        return self.texts.get(name)

    def set(self, name: str, text: str) -> None:
        self.texts[name] = text

    def ask(self) -> None:
        with guarded(self, NAME, lambda: self.now):
            self.reached += 1
            if self.error is not None:
                raise self.error

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(SourceUnavailable):
                self.ask()

    @property
    def circuit(self) -> Circuit:
        return read(self.get(NAME))


@pytest.fixture
def world() -> World:
    return World()


def test_nobody_asks_after_failures_in_a_row(world: World) -> None:
    world.fail(50)
    assert world.reached == FAILURES
    with pytest.raises(CircuitOpen, match="connection shop wasn't asked: it has failed 5 times"):
        world.ask()
    with pytest.raises(CircuitOpen, match="since 12:00:00 UTC, and it is tried again at 12:00:30"):
        world.ask()
    with pytest.raises(CircuitOpen, match="it said: connection refused"):
        world.ask()


def test_an_answer_in_between_begins_the_count_anew(world: World) -> None:
    world.fail(FAILURES - 1)
    world.error = None
    world.ask()
    assert world.circuit == CLOSED
    world.error = SourceUnavailable("again")
    world.fail(FAILURES - 1)
    assert not world.circuit.is_open


@pytest.mark.parametrize("error", [SourceError("401"), TimedOut("slow"), KeyError("ours")])
def test_what_is_no_failure_of_the_system_does_not_count(world: World, error: Exception) -> None:
    world.error = error
    for _ in range(20):
        with pytest.raises(type(error)):
            world.ask()
    assert world.circuit == CLOSED
    assert world.reached == 20


def test_one_tries_while_the_others_wait(world: World) -> None:
    world.fail(FAILURES)
    world.now += timedelta(seconds=30)
    world.error = None
    with guarded(world, NAME, lambda: world.now):
        with pytest.raises(CircuitOpen, match="somebody tries it at 12:02:30 UTC at the latest"):
            world.ask()
        assert world.reached == FAILURES
    world.ask()
    assert world.circuit == CLOSED


def test_whoever_tried_and_died_is_not_waited_for_for_ever(world: World) -> None:
    world.fail(FAILURES)
    world.now += timedelta(seconds=30)
    dead = guarded(world, NAME, lambda: world.now)
    dead.__enter__()
    world.now += TRIAL
    world.error = None
    world.ask()
    assert world.circuit == CLOSED


def test_whoever_is_interrupted_lets_another_try(world: World) -> None:
    world.fail(FAILURES)
    world.now += timedelta(seconds=30)
    world.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.ask()
    world.error = None
    world.ask()
    assert world.circuit == CLOSED


def test_each_trial_that_fails_doubles_the_wait_up_to_its_longest(world: World) -> None:
    world.fail(FAILURES)
    waits: list[timedelta] = []
    for _ in range(8):
        until = world.circuit.until
        assert until is not None
        waits.append(datetime.fromisoformat(until) - world.now)
        world.now = datetime.fromisoformat(until)
        world.fail()
    assert [wait.total_seconds() for wait in waits] == [30, 60, 120, 240, 480, 600, 600, 600]
    assert max(waits) == LONGEST


def test_those_who_had_asked_before_do_not_prolong_it(world: World) -> None:
    world.fail(FAILURES - 1)
    late = [guarded(world, NAME, lambda: world.now) for _ in range(3)]
    for one in late:
        one.__enter__()
    world.fail()
    until = world.circuit.until
    for one in late:
        assert not one.__exit__(SourceUnavailable, SourceUnavailable("late"), None)
    assert world.circuit.until == until


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"no": 1}', "null"])
def test_what_cant_be_read_is_closed(world: World, text: str) -> None:
    world.set(NAME, text)
    assert world.circuit == CLOSED


def test_what_has_no_circuit_is_always_asked(world: World) -> None:
    with guarded(world, None, lambda: world.now):
        pass
    assert not world.texts


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://${HOST}/v1/orders?page=1", "server https://api.example.com"),
        ("http://u:p@127.0.0.1:8080/x", "server http://127.0.0.1:8080"),
        ("https://${MISSING}/x", None),
        ("http://127.0.0.1:99999/x", None),
    ],
)
def test_an_address_has_its_servers_circuit(url: str, name: str | None) -> None:
    environ = {"HOST": "api.example.com"}
    spec = ApiSource(type="api", url=url)
    manner = (spec.pagination, spec.retry, None)
    source = Api(url, None, None, "GET", {}, {}, None, None, 1.0, None, *manner)
    assert circuit_of(source, lambda text: expand(text, environ)) == name


def test_a_clock_that_was_ahead_and_is_set_back_leaves_nobody_waiting_for_days(
    world: World,
) -> None:
    world.now += timedelta(days=2)
    world.fail(FAILURES)
    world.now -= timedelta(days=2)
    world.error = None
    world.ask()
    assert world.circuit == CLOSED
