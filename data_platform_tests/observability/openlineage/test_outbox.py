"""Events that wait: none is lost, none overtakes, whatever the sink and the process do."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
from dagster import DagsterInstance
from misbehaving_server import Asked, Reply, misbehaving

from data_platform.instance.own_tables import transaction
from data_platform.observability.openlineage.outbox import (
    AT_ONCE,
    DOUBTED,
    TABLES,
    Delivered,
    deliver,
    put,
    waiting,
)
from data_platform.observability.openlineage.sinks.http import HttpSink
from data_platform.observability.openlineage.sinks.sending import Sent


@dataclass
class Recording:
    """Takes all, and notes it."""

    numbers: list[int] = field(default_factory=list[int])
    then: Callable[[], object] = lambda: None

    def send(self, events: Sequence[str], until: float) -> Sent:
        self.numbers += [json.loads(event)["number"] for event in events]
        self.then()
        return Sent(len(events))

    def close(self) -> None:
        pass


def make(instance: DagsterInstance, *numbers: int) -> None:
    with transaction(instance, TABLES) as connection:
        put(connection, [{"number": number} for number in numbers])


def rested(instance: DagsterInstance) -> None:
    """As if time had gone by."""
    with transaction(instance, TABLES) as connection:
        connection.execute(sa.text("UPDATE data_platform_openlineage SET not_before = now()"))


def test_all_that_waits_is_sent_in_order_once(instance: DagsterInstance) -> None:
    numbers = list(range(AT_ONCE * 2 + 5))
    make(instance, *numbers)
    sink = Recording()
    assert deliver(instance, sink, 30) == Delivered(sent=len(numbers))
    assert sink.numbers == numbers
    assert deliver(instance, sink, 30) == Delivered()
    assert (waiting(instance).count, waiting(instance).since) == (0, None)


def test_sink_that_is_down_for_a_while_gets_all_in_order(instance: DagsterInstance) -> None:
    down = True

    def script(asked: Asked) -> Reply:
        return Reply(status=503 if down else 201)

    with misbehaving(script) as server:
        sink = HttpSink(server.url, None)
        for number in range(6):
            make(instance, number)
            told = deliver(instance, sink, 30)
            assert told.sent == 0
        # It rests: the others weren't sent for nothing.
        assert len(server.asked) == 1
        left = waiting(instance)
        assert (left.count, left.refused) == (6, 0)
        assert left.since is not None
        assert "answers 503" in (left.trouble or "")
        rested(instance)
        assert "answers 503" in (deliver(instance, sink, 30).trouble or "")
        down = False
        rested(instance)
        assert deliver(instance, sink, 30) == Delivered(sent=6)
        assert [asked.json["number"] for asked in server.asked[2:]] == list(range(6))
    assert waiting(instance).trouble is None


def test_event_that_is_refused_keeps_no_other_waiting(instance: DagsterInstance) -> None:
    refusing = True

    def script(asked: Asked) -> Reply:
        return Reply(status=422 if refusing and asked.json["number"] in {1, 3} else 201)

    make(instance, *range(5))
    with misbehaving(script) as server:
        sink = HttpSink(server.url, None)
        assert deliver(instance, sink, 30) == Delivered(sent=3, refused=2)
        left = waiting(instance)
        assert (left.count, left.since, left.refused) == (0, None, 2)
        assert "answers 422" in (left.trouble or "")
        # It is tried again, at longer and longer intervals, for as long as it is there.
        assert deliver(instance, sink, 30) == Delivered()
        rested(instance)
        assert deliver(instance, sink, 30) == Delivered(refused=2)
        refusing = False
        rested(instance)
        assert deliver(instance, sink, 30) == Delivered(sent=2)
        assert [asked.json["number"] for asked in server.asked[-2:]] == [1, 3]


def test_event_at_which_a_server_fails_keeps_no_other_waiting_for_ever(
    instance: DagsterInstance,
) -> None:
    def script(asked: Asked) -> Reply:
        return Reply(status=500 if asked.json["number"] == 1 else 201)

    make(instance, *range(4))
    with misbehaving(script) as server:
        sink = HttpSink(server.url, None)
        assert deliver(instance, sink, 30).sent == 1
        rested(instance)
        assert deliver(instance, sink, 30).sent == 0
        rested(instance)
        with transaction(instance, TABLES) as connection:
            tries = sa.text("UPDATE data_platform_openlineage SET tries = :tries WHERE tries > 0")
            connection.execute(tries, {"tries": DOUBTED})
        assert deliver(instance, sink, 30) == Delivered(sent=2, refused=1)
    left = waiting(instance)
    assert (left.count, left.refused) == (0, 1)


def test_key_that_expired_sets_nothing_aside(instance: DagsterInstance) -> None:
    make(instance, 1, 2)
    with misbehaving([Reply(status=401), Reply(status=201)]) as server:
        told = deliver(instance, HttpSink(server.url, "old"), 30)
        assert told.trouble == f"{server.url} answers 401 Unauthorized"
        assert waiting(instance).refused == 0
        rested(instance)
        assert deliver(instance, HttpSink(server.url, "new"), 30) == Delivered(sent=2)


def test_what_was_sent_when_the_process_died_is_sent_again(instance: DagsterInstance) -> None:
    make(instance, 1, 2)

    def die() -> None:
        raise KeyboardInterrupt

    dying, after = Recording(then=die), Recording()
    with pytest.raises(KeyboardInterrupt):
        deliver(instance, dying, 30)
    assert dying.numbers == [1, 2]
    assert deliver(instance, after, 30) == Delivered(sent=2)
    assert after.numbers == [1, 2]


def test_two_at_once_send_nothing_twice(instance: DagsterInstance) -> None:
    make(instance, 1, 2)
    other = Recording()
    sink = Recording(then=lambda: deliver(instance, other, 30))
    assert deliver(instance, sink, 30) == Delivered(sent=2)
    assert (sink.numbers, other.numbers) == ([1, 2], [])


def test_delivery_ends_when_time_is_up(instance: DagsterInstance) -> None:
    make(instance, 1, 2)
    assert deliver(instance, Recording(), 0) == Delivered()
    assert waiting(instance).count == 2
