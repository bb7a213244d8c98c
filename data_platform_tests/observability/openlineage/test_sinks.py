"""Where events of OpenLineage go, over the real protocols: a server, a file, a topic."""

import json
import os
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from kafka_cluster import QUIET, KafkaCluster
from misbehaving_server import MisbehavingServer, Reply, misbehaving

from data_platform.errors import PermanentError
from data_platform.observability.openlineage.sinks import file as file_sink
from data_platform.observability.openlineage.sinks.choosing import sink_of
from data_platform.observability.openlineage.sinks.file import FileSink
from data_platform.observability.openlineage.sinks.http import HttpSink
from data_platform.observability.openlineage.sinks.sending import Refused, Sent, Unavailable
from data_platform.observability.openlineage.sinks.topic import KafkaSink
from data_platform.spec.platform import KafkaConnection, Platform
from data_platform.spec.telemetry import Lineage


def event(number: int, size: int = 0) -> str:
    job = {"namespace": "shops", "name": f"shop.raw.a{number % 2}"}
    return json.dumps({"number": number, "job": job, "more": "ü" * size}, ensure_ascii=False)


EVENTS = [event(number) for number in range(4)]


def later(seconds: float = 30.0) -> float:
    return time.monotonic() + seconds


# A server ---------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with misbehaving(Reply(status=201, body=b"")) as found:
        yield found


def test_server_gets_events_in_order_with_its_key(server: MisbehavingServer) -> None:
    sink = HttpSink(f"{server.url}/behind", "a key")
    assert sink.send(EVENTS, later()) == Sent(4)
    sink.close()
    assert [asked.json["number"] for asked in server.asked] == [0, 1, 2, 3]
    [first, *_] = server.asked
    assert (first.method, first.path) == ("POST", "/behind/api/v1/lineage")
    assert first.headers["authorization"] == "Bearer a key"


@pytest.mark.parametrize(
    ("reply", "kind", "why"),
    [
        (Reply(status=503), Unavailable, "answers 503 Service Unavailable"),
        (Reply(status=429), Unavailable, "answers 429 Too Many Requests"),
        (Reply(status=401), Unavailable, "answers 401 Unauthorized"),
        (Reply(status=404), Unavailable, "answers 404 Not Found"),
        (Reply(status=422), Refused, "answers 422"),
        (Reply(status=400), Refused, "answers 400 Bad Request"),
        (Reply(wait=30), Unavailable, "answer in time"),
        (Reply(reset=True), Unavailable, "be reached: ConnectionError"),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_server_in_trouble_says_what_it_is(
    server: MisbehavingServer, reply: Reply, kind: type, why: str
) -> None:
    server.script = [Reply(status=201), reply]
    sent = HttpSink(server.url, None, seconds=0.5).send(EVENTS, later())
    assert sent.count == 1
    assert isinstance(sent.trouble, kind)
    assert why in str(sent.trouble)
    assert len(server.asked) == 2


def test_answer_that_never_ends_is_not_waited_for(server: MisbehavingServer) -> None:
    server.script = Reply(status=200, body=b"x" * 1000, drip=1.0)
    assert HttpSink(server.url, None, seconds=5).send(EVENTS[:1], later()) == Sent(1)


def test_server_that_sends_elsewhere_has_got_nothing(server: MisbehavingServer) -> None:
    # The second request is a GET, which would look as if all were well.
    moved = Reply(status=301, headers={"Location": f"{server.url}/elsewhere"})
    server.script = [moved, Reply(status=200)]
    sent = HttpSink(server.url, None).send(EVENTS, later())
    assert sent.count == 0
    assert "name that as `url`" in str(sent.trouble)


def test_server_that_is_not_there_is_told_without_its_password() -> None:
    sink = HttpSink("http://me:hunter2@127.0.0.1:1", None)
    assert sink.send(EVENTS, later()) == Sent(
        0, Unavailable("http://127.0.0.1:1 can't be reached: ConnectionError")
    )


def test_nothing_is_begun_when_time_is_up(server: MisbehavingServer, tmp_path: Path) -> None:
    assert HttpSink(server.url, None).send(EVENTS, time.monotonic()) == Sent(0)
    assert server.asked == []


# A file -----------------------------------------------------------------------------------------


def _write(path: Path, number: int) -> None:
    for _ in range(20):
        assert FileSink(path).send([event(number, 3_000)] * 10, later()) == Sent(10)


def test_processes_write_whole_lines_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "made" / "events.jsonl"
    context = get_context("fork")
    writers = [context.Process(target=_write, args=(path, number)) for number in (0, 1)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
        assert one.exitcode == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 400
    assert {line["number"] for line in lines} == {0, 1}


def test_full_disk_leaves_no_half_of_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.jsonl"
    assert FileSink(path).send(EVENTS[:1], later()) == Sent(1)
    write = os.write

    def written(descriptor: int, content: bytes) -> int:
        if len(content) < 20:
            raise OSError(28, "No space left on device")
        return write(descriptor, content[:7])

    with monkeypatch.context() as patched:
        patched.setattr(file_sink.os, "write", written)
        sent = FileSink(path).send(EVENTS[1:], later())
    assert sent == Sent(0, Unavailable(f"{path} can't be written: No space left on device"))
    assert path.read_text() == f"{EVENTS[0]}\n"
    assert FileSink(path).send(EVENTS[1:], later()) == Sent(3)
    assert path.read_text().splitlines() == EVENTS


def test_folder_that_can_not_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    sent = FileSink(tmp_path / "taken" / "events.jsonl").send(EVENTS, later())
    assert "can't be written: " in str(sent.trouble)


# A topic ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> KafkaCluster:
    return KafkaCluster()


def read(cluster: KafkaCluster, topic: str, count: int) -> list[tuple[str, int]]:
    """The keys and numbers of the messages of a topic, a partition in its order."""
    consumer = Consumer({"bootstrap.servers": cluster.servers, "group.id": "g"}, logger=QUIET)
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    found: list[tuple[str, int]] = []
    until = later()
    while len(found) < count and time.monotonic() < until:
        message = consumer.poll(1)
        if message is not None and message.error() is None:
            value = json.loads(message.value() or b"")
            found.append(((message.key() or b"").decode(), value["number"]))
    consumer.close()
    return found


def test_topic_gets_the_events_of_a_job_in_order(cluster: KafkaCluster) -> None:
    topic = cluster.topic()
    sink = KafkaSink(cluster.connection, topic, seconds=30)
    assert sink.send(EVENTS, later()) == Sent(4)
    sink.close()
    found = read(cluster, topic, 4)
    for number in (0, 1):
        mine = [one for key, one in found if key == f"run:shops/shop.raw.a{number}"]
        assert mine == [number, number + 2]


def test_message_that_is_too_large_is_refused_alone(cluster: KafkaCluster) -> None:
    sink = KafkaSink(cluster.connection, cluster.topic(), seconds=30)
    sent = sink.send([event(0), event(1, 1_000_000), event(2)], later())
    assert sent.count == 1
    assert isinstance(sent.trouble, Refused)
    assert "too large" in sent.trouble.why


def test_brokers_that_are_not_there_cost_no_more_time_than_is_given() -> None:
    nobody = KafkaConnection(type="kafka", bootstrap_servers="127.0.0.1:1")
    sent = KafkaSink(nobody, "events", seconds=0.5).send(EVENTS, later())
    assert sent == Sent(0, Unavailable("topic events: no answer in time"))


# Which ------------------------------------------------------------------------------------------


def test_what_resolves_to_nothing_is_no_sink(tmp_path: Path) -> None:
    platform = Platform.model_validate(
        {"connections": {"bus": {"type": "kafka", "bootstrap_servers": "one:9092"}}}
    )
    empty = {"${URL:-}": "", "${KEY}": "key"}

    def sink(**lineage: str) -> object:
        resolved = Lineage(**lineage)
        return sink_of(resolved, platform, tmp_path, lambda text: empty.get(text, text))

    assert sink(url="${URL:-}", api_key="${KEY}") is None
    assert isinstance(sink(url="http://server", api_key="${KEY}"), HttpSink)
    assert isinstance(sink(file="a.jsonl"), FileSink)
    assert isinstance(sink(connection="bus", topic="events"), KafkaSink)
    with pytest.raises(PermanentError, match="the url must begin with http://"):
        sink(url="me:hunter2@server")
