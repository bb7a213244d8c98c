from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Producer
from kafka_cluster import QUIET, KafkaCluster
from topic_project import Topics, noticed, values

from data_platform.errors import SourceError
from data_platform.plan.naming import LOST, WHOLE
from data_platform.sources.topics.clients import READING, TopicClient


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
