import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from confluent_kafka import Producer
from factories import Project
from kafka_cluster import QUIET, KafkaCluster, scanned

from data_platform.engine.session import Session, open_session
from data_platform.engine.work import Work
from data_platform.errors import PlatformError, SourceError, SourceUnavailable
from data_platform.plan.naming import LOST, OUTSIDE, WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources import Topic
from data_platform.quality.gate import Passage
from data_platform.sources import kafka_clients
from data_platform.sources.arrivals import Outside, Question
from data_platform.sources.kafka_clients import READING, TopicClient
from data_platform.sources.topics import arriving
from data_platform.spec.platform import KafkaConnection

PLATFORM = """
connections:
  events: {type: kafka, bootstrap_servers: nowhere}
"""
FIRST = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def cluster() -> KafkaCluster:
    return KafkaCluster()


@pytest.fixture
def topics(project: Project, cluster: KafkaCluster) -> "Topics":
    return Topics(project, cluster)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_clients, "PATIENCE", 1.0)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(TopicClient, "offsets_at", scanned)
    return


class Topics:
    """A project with the source `events` of a topic."""

    def __init__(self, project: Project, cluster: KafkaCluster) -> None:
        self.project = project
        self.cluster = cluster
        project.platform(PLATFORM)

    def declare(self, topic: str, more: str = "", *, daily: bool = False) -> None:
        end = "" if daily else ", partitions: none"
        source = f"{{type: topic, connection: events, topic: {topic}{end}{more}}}"
        self.project.declare(f"sources:\n  events: {source}\n", daily=daily)

    def land(self, *keys: str, connection: KafkaConnection | None = None) -> Passage:
        return self.project.land_source(
            "events", *keys, connection=connection or self.cluster.connection
        )

    def column(self, name: str, *keys: str) -> list[Any]:
        return sorted(self.project.column("raw/events", name, *keys), key=str)

    def position(self) -> dict[str, Any]:
        snapshot = self.project.table("raw/events").snapshot()
        assert snapshot is not None
        assert snapshot.batches is not None
        assert snapshot.batches.position is not None
        return dict(snapshot.batches.position)


def values(*numbers: int) -> list[str]:
    return [json.dumps({"id": number}) for number in numbers]


def noticed(passage: Passage, name: str, key: str = WHOLE) -> int:
    [outcome] = [o for o in passage.outcomes if o.check.name == name]
    return outcome.findings[key].offending


class TestColumns:
    def test_values_are_flattened_beside_the_message(self, topics: Topics):
        topic = topics.cluster.topic()
        at = datetime(2024, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
        topics.cluster.send(
            topic,
            '{"id": 1,\n "at": {"city": "Bern"}}',
            partition=2,
            key="k1",
            timestamp=int(at.timestamp() * 1_000),
            headers=[("h", b"x"), ("h", None)],
        )
        topics.declare(topic)
        topics.land()

        assert topics.project.rows("raw/events") == [
            {
                "id": 1,
                "at__city": "Bern",
                "kafka_key": "k1",
                "kafka_partition": 2,
                "kafka_offset": 0,
                "kafka_timestamp": at,
                "kafka_headers": '[{"name":"h","value":"x"},{"name":"h","value":null}]',
            }
        ]

    def test_a_tombstone_is_a_row_without_values(self, topics: Topics):
        topic = topics.cluster.topic(*values(1))
        topics.cluster.send(topic, None, key="gone")
        topics.declare(topic)
        topics.land()

        assert topics.column("id") == [1, None]
        assert topics.column("kafka_key") == [None, "gone"]

    def test_an_object_without_a_key_is_a_row(self, topics: Topics):
        topics.declare(topics.cluster.topic("{}", " { } ", '{"id": 1}'))
        topics.land()

        assert topics.column("id") == [1, None, None]

    def test_a_value_that_is_no_object_is_in_a_column_of_its_own(self, topics: Topics):
        topics.declare(topics.cluster.topic("5", " 6 ", "null"))
        topics.land()

        assert topics.column("value") == [5, 6, None]

    def test_text_stays_as_it_is(self, topics: Topics):
        texts = ["plain", '{"a": 1}', "line\nbreak", "é😀", ""]
        topics.declare(topics.cluster.topic(*texts, None), ", format: text")
        topics.land()

        assert set(topics.column("value")) == {*texts, None}

    def test_bytes_of_a_key_that_are_no_text_are_written_out(self, topics: Topics):
        topic = topics.cluster.topic()
        topics.cluster.send(topic, "{}", key=b"\xff\x00")
        topics.declare(topic)
        topics.land()

        assert topics.column("kafka_key") == ["\\xff00"]

    @pytest.mark.parametrize(
        ("value", "about"),
        [
            ("hello", "message 1 of partition 0 is no JSON .*format: text"),
            ("", "message 1 of partition 0 is no JSON"),
            ('5, "kafka_offset": 7', "message 1 of partition 0 is no JSON"),
            ('{"a": 1', "message 1 of partition 0: no valid JSON"),
            ('{"a": 1} {"b": 2}', "message 1 of partition 0: no valid JSON"),
            ('{"a": "x\ny"}', "message 1 of partition 0 is no JSON"),
            ('{"a": "\\ud83d"}', "message 1 of partition 0: no valid JSON: no low surrogate"),
            (b'{"a": "\xff"}', "message 1 of partition 0: no valid JSON: invalid UTF-8"),
            ('{"kafka_offset": 1}', "have a key kafka_offset, .*format: text"),
            ('{"_partition": 1}', "have a key _partition, .*format: text"),
        ],
    )
    def test_a_value_that_can_not_be_a_row_is_named(
        self, topics: Topics, value: bytes | str, about: str
    ):
        topics.declare(topics.cluster.topic("{}", value))
        with pytest.raises(SourceError, match=about):
            topics.land()

    def test_bytes_that_are_no_text_are_named(self, topics: Topics):
        topics.declare(topics.cluster.topic(b"\x00\xff"), ", format: text")
        with pytest.raises(SourceError, match=r"message 0 of partition 0 is no text .*Avro"):
            topics.land()

    def test_a_value_that_does_not_fit_the_table_is_named(self, topics: Topics):
        topic = topics.cluster.topic(*values(1))
        topics.declare(topic)
        topics.land()
        topics.cluster.send(topic, '{"id": 2}', '{"id": "x"}')
        with pytest.raises(
            SourceError, match=r"message 2 of partition 0 has the text 'x' in id, but .* BIGINT"
        ):
            topics.land()


class TestGoingOn:
    def test_a_run_adds_what_came_since_the_last(self, topics: Topics):
        topic = topics.cluster.topic(*values(1, 2))
        topics.declare(topic)
        topics.land()
        topics.cluster.send(topic, *values(3), partition=0)
        topics.cluster.send(topic, *values(4), partition=1)
        passage = topics.land()

        assert topics.column("id") == [1, 2, 3, 4]
        assert passage.rows_in[WHOLE] == 2
        assert topics.position() == {
            "topic": topic,
            "offsets": {"0": 3, "1": 1, "2": 0, "3": 0},
        }

    def test_nothing_new_adds_nothing(self, topics: Topics):
        topics.declare(topics.cluster.topic(*values(1)))
        topics.land()
        passage = topics.land()

        assert passage.rows_in[WHOLE] == 0
        assert topics.column("id") == [1]

    def test_an_empty_topic_is_an_empty_table(self, topics: Topics):
        topics.declare(topics.cluster.topic())
        topics.land()

        assert topics.project.rows("raw/events") == []

    def test_no_run_reads_more_than_it_may(self, topics: Topics):
        topic = topics.cluster.topic(*values(*range(10)))
        topics.cluster.send(topic, *values(*range(10, 15)), partition=3)
        topics.declare(topic, ", max_records: 4")

        assert [topics.land().rows_in[WHOLE] for _ in range(5)] == [4, 4, 4, 3, 0]
        assert topics.column("id") == sorted(range(15), key=str)

    def test_what_comes_while_reading_is_left_for_the_next_run(
        self, topics: Topics, monkeypatch: pytest.MonkeyPatch
    ):
        topic = topics.cluster.topic(*values(1, 2))
        bounds = TopicClient.bounds

        def overtaken(client: TopicClient, partitions: list[int]) -> Any:
            found = bounds(client, partitions)
            topics.cluster.send(topic, *values(3))
            return found

        monkeypatch.setattr(TopicClient, "bounds", overtaken)
        topics.declare(topic)
        topics.land()

        assert topics.column("id") == [1, 2]
        assert topics.position()["offsets"]["0"] == 2

    def test_a_run_that_ends_before_its_commit_is_read_again(
        self, topics: Topics, monkeypatch: pytest.MonkeyPatch
    ):
        topic = topics.cluster.topic(*values(1))
        topics.declare(topic)
        topics.land()
        topics.cluster.send(topic, *values(2, 3))

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("data_platform.raw.extraction.publish_batch", killed)
            with pytest.raises(KeyboardInterrupt):
                topics.land()
        topics.land()
        topics.land()

        assert topics.column("id") == [1, 2, 3]

    def test_a_new_partition_is_read_from_its_beginning(
        self, topics: Topics, monkeypatch: pytest.MonkeyPatch
    ):
        topic = topics.cluster.topic(*values(1))
        topics.cluster.send(topic, *values(2), partition=3)
        topics.declare(topic)
        with monkeypatch.context() as patch:
            patch.setattr(TopicClient, "partitions", lambda _: [0, 1, 2])
            topics.land()
        topics.land()

        assert topics.column("id") == [1, 2]

    def test_markers_of_transactions_are_no_messages(self, topics: Topics):
        topic = topics.cluster.topic(*values(1))
        sender = Producer(
            {"bootstrap.servers": topics.cluster.servers, "transactional.id": topic}, logger=QUIET
        )
        sender.init_transactions(10)
        for number in (2, 3):
            sender.begin_transaction()
            sender.produce(topic, values(number)[0], partition=0)
            sender.commit_transaction(10)
        topics.declare(topic)
        topics.land()

        assert topics.column("id") == [1, 2, 3]
        assert topics.position()["offsets"]["0"] == 5
        assert topics.land().rows_in[WHOLE] == 0

    def test_aborted_messages_are_left_to_the_broker_to_mark(self):
        # The mock brokers don't tell which transactions were aborted.
        assert READING["isolation.level"] == "read_committed"


class TestLost:
    def test_deleted_messages_are_an_error(self, topics: Topics):
        topic = topics.cluster.topic(*values(1))
        topics.declare(topic, ", max_records: 1")
        topics.land()
        low = topics.cluster.forget(topic)
        lost = f"{low - 1:,} messages were deleted before they were read.*on_lost: warn"
        with pytest.raises(SourceError, match=lost):
            topics.land()

    def test_deleted_messages_are_a_notice_where_the_pipeline_says_so(self, topics: Topics):
        topic = topics.cluster.topic("5")
        topics.declare(topic, ", max_records: 1, on_lost: warn, format: text")
        topics.land()
        low = topics.cluster.forget(topic)
        passage = topics.land()

        assert noticed(passage, LOST) == low - 1
        assert topics.column("kafka_offset") == sorted([0, low], key=str)

    def test_the_first_run_begins_with_what_is_left(self, topics: Topics):
        topic = topics.cluster.topic()
        low = topics.cluster.forget(topic)
        topics.declare(topic, ", max_records: 1, format: text")
        passage = topics.land()

        assert noticed(passage, LOST) == 0
        assert topics.column("kafka_offset") == [low]

    def test_a_topic_that_was_made_anew_is_an_error(self, topics: Topics):
        topic = topics.cluster.topic(*values(1, 2, 3))
        topics.declare(topic)
        topics.land()
        other = Topics(topics.project, KafkaCluster())
        other.cluster.send(topic, *values(1))
        with pytest.raises(SourceError, match=r"read up to offset 3 and ends at offset 1: .* anew"):
            other.land()

    def test_another_topic_under_the_same_name_is_an_error(self, topics: Topics):
        first, second = topics.cluster.topic(*values(1)), topics.cluster.topic(*values(2))
        topics.declare(first)
        topics.land()
        topics.declare(second)
        with pytest.raises(SourceError, match=f"messages of topic {first}, .* says {second}"):
            topics.land()


def at(day: int, hour: int = 0) -> int:
    return int((FIRST + timedelta(days=day - 1, hours=hour)).timestamp() * 1_000)


@pytest.mark.usefixtures("timed")
class TestWindows:
    def send(self, topics: Topics, topic: str, *times: int, partition: int = 0) -> None:
        for number in times:
            topics.cluster.send(topic, f'{{"at": {number}}}', timestamp=number, partition=partition)

    def test_messages_belong_to_the_partition_of_their_time(self, topics: Topics):
        topic = topics.cluster.topic()
        self.send(topics, topic, at(1), at(2) - 1, at(2), at(3) - 1, at(3), at(4))
        self.send(topics, topic, at(2, 5), partition=1)
        topics.declare(topic, daily=True)
        topics.land("2024-01-02", "2024-01-03")

        assert topics.column("at", "2024-01-02") == [at(2), at(2, 5), at(3) - 1]
        assert topics.column("at", "2024-01-03") == [at(3)]
        assert topics.project.column("raw/events", "at", "2024-01-01") == []

    def test_a_partition_that_is_read_again_is_the_same(self, topics: Topics):
        topic = topics.cluster.topic()
        self.send(topics, topic, at(1), at(2))
        topics.declare(topic, ", max_records: 1", daily=True)
        for _ in range(2):
            topics.land("2024-01-01", "2024-01-02")

        assert topics.column("at") == [at(1), at(2)]

    def test_messages_out_of_order_are_found(self, topics: Topics):
        topic = topics.cluster.topic()
        self.send(topics, topic, at(1), at(3), at(2, 5), at(3, 12), at(2, 6), at(5), at(2, 7))
        topics.declare(topic, daily=True)
        topics.land("2024-01-02")

        assert topics.column("at") == [at(2, 5), at(2, 6), at(2, 7)]

    def test_a_clock_that_is_ahead_hides_nothing(self, topics: Topics):
        topic = topics.cluster.topic()
        self.send(topics, topic, at(1), at(20_000), at(2), at(3), at(2, 1))
        topics.declare(topic, daily=True)
        topics.land("2024-01-02")

        assert topics.column("at") == [at(2), at(2, 1)]

    def test_a_partition_without_messages_is_empty(self, topics: Topics):
        topic = topics.cluster.topic()
        self.send(topics, topic, at(1), at(3))
        topics.declare(topic, daily=True)
        topics.land("2024-01-01", "2024-01-02")

        assert topics.column("at") == [at(1)]
        assert topics.project.table("raw/events").snapshot() is not None

    def test_messages_of_no_partition_are_counted(self, topics: Topics):
        topic = topics.cluster.topic()
        self.send(topics, topic, at(2), at(-3), at(40), at(2, 1))
        topics.declare(topic, daily=True)
        passage = topics.land("2024-01-02")

        assert noticed(passage, OUTSIDE, "2024-01-02") == 2
        assert len(topics.column("at")) == 2

    def test_a_window_that_retention_cut_fails_by_itself(self, topics: Topics):
        topic = topics.cluster.topic()
        big = json.dumps({"at": "x" * 2**19})
        for hour in range(16):
            topics.cluster.send(topic, big, timestamp=at(1, hour))
        self.send(topics, topic, at(2), at(3))
        topics.declare(topic, daily=True)
        passage = topics.land("2024-01-01", "2024-01-02")

        assert list(passage.failed) == ["2024-01-01"]
        assert "may have been deleted" in passage.failed["2024-01-01"]
        assert topics.column("kafka_timestamp") == [FIRST + timedelta(days=1)]

    def test_a_window_that_retention_cut_may_be_landed_with_a_notice(self, topics: Topics):
        topic = topics.cluster.topic()
        big = json.dumps({"at": "x" * 2**19})
        for hour in range(16):
            topics.cluster.send(topic, big, timestamp=at(1, hour))
        topics.declare(topic, ", on_lost: warn", daily=True)
        passage = topics.land("2024-01-01")

        assert noticed(passage, LOST, "2024-01-01") == 1
        assert 0 < len(topics.column("at")) < 16


class TestWork:
    def question(self, topics: Topics, topic: str, tmp_path: Path, work: Work) -> Question:
        topics.declare(topic)
        node = topics.project.node("raw/events")
        assert isinstance(node, RawNode)
        outside = Outside(lambda _: topics.cluster.connection, lambda text: text)
        session = cast("Session", None)
        return Question(node, [WHOLE], session, tmp_path / "scratch", outside, work=work)

    def test_rows_and_bytes_are_counted(self, topics: Topics, tmp_path: Path):
        topic = topics.cluster.topic(*values(1, 2, 3))
        work = Work()
        with open_session(tmp_path / "spill", [tmp_path], "500MB", 1) as session:
            asked = self.question(topics, topic, tmp_path, work)
            asked = replace(asked, session=session)
            source = asked.node.source
            assert isinstance(source, Topic)
            with arriving(asked, source) as arrival:
                assert arrival.query is not None

        assert (work.moved.rows, work.moved.bytes) == (3, 27)

    def test_a_step_that_is_to_end_does(
        self, topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        topic = topics.cluster.topic(*values(*range(3_000)))
        work = Work(tell=lambda _: work.stop(SourceUnavailable("time is up")))
        asked = self.question(topics, topic, tmp_path, work)
        source = asked.node.source
        assert isinstance(source, Topic)
        with pytest.raises(SourceUnavailable, match="time is up"), arriving(asked, source):
            pass

        assert 0 < work.moved.rows < 3_000


class TestTrouble:
    def test_a_topic_that_is_not_there_is_named(self, topics: Topics):
        topics.declare("nowhere")
        with pytest.raises(SourceError, match=r"topic nowhere: .*UNKNOWN_TOPIC_OR_PART"):
            topics.land()

    @pytest.mark.usefixtures("impatient")
    def test_a_cluster_that_does_not_answer_may_come_back(
        self, topics: Topics, capfd: pytest.CaptureFixture[str]
    ):
        topics.declare("orders")
        nobody = KafkaConnection(type="kafka", bootstrap_servers="127.0.0.1:1")
        with pytest.raises(SourceUnavailable, match="topic orders: "):
            topics.land(connection=nobody)

        assert "rdkafka" not in "".join(capfd.readouterr())

    @pytest.mark.usefixtures("impatient")
    def test_credentials_that_are_refused_are_no_matter_of_patience(self, topics: Topics):
        options = {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "me",
            "sasl.password": "hush",
        }
        topics.declare(topics.cluster.topic())
        connection = topics.cluster.connection.model_copy(update={"options": options})
        with pytest.raises(SourceError, match="_AUTHENTICATION") as refused:
            topics.land(connection=connection)

        assert "hush" not in f"{refused.value}"

    @pytest.mark.parametrize(
        ("options", "about"),
        [
            ({"no.such": 1}, 'No such configuration property: "no.such"'),
            ({"security.protocol": "odd"}, 'Invalid value "odd"'),
            ({"ssl.key.pem": "hush", "security.protocol": "SSL"}, "can't be used"),
        ],
    )
    def test_an_option_that_can_not_be_is_named_without_secrets(
        self, topics: Topics, options: dict[str, Any], about: str
    ):
        topics.declare("orders")
        connection = topics.cluster.connection.model_copy(update={"options": options})
        with pytest.raises(PlatformError, match=about) as refused:
            topics.land(connection=connection)

        assert "hush" not in f"{refused.value}"

    def test_options_have_the_types_that_are_written(self, topics: Topics):
        options = {"fetch.min.bytes": 1, "check.crcs": True, "client.id": "tests"}
        topics.declare(topics.cluster.topic(*values(1)))
        topics.land(connection=topics.cluster.connection.model_copy(update={"options": options}))

        assert topics.column("id") == [1]

    def test_without_the_package_the_extra_is_named(
        self, topics: Topics, monkeypatch: pytest.MonkeyPatch
    ):
        topics.declare("orders")
        monkeypatch.setitem(__import__("sys").modules, "confluent_kafka", None)
        with pytest.raises(SourceError, match=r"pip install 'data-platform\[kafka\]'"):
            topics.land()
