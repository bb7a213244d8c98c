import json
from datetime import timedelta

import dagster as dg
import pytest
from dagster_steps import run_assets
from kafka_cluster import KafkaCluster
from topic_project import FIRST, Topics, at, noticed, values

from data_platform.plan.naming import LOST, OUTSIDE


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


class TestInDagster:
    PLATFORM = """
connections:
  events:
    type: kafka
    bootstrap_servers: ${EVENTS}
    options: {client.id: "${CLIENT}", check.crcs: true, fetch.min.bytes: 1}
"""

    @pytest.fixture
    def topics(
        self, topics: Topics, cluster: KafkaCluster, monkeypatch: pytest.MonkeyPatch
    ) -> Topics:
        monkeypatch.setenv("EVENTS", cluster.servers)
        monkeypatch.setenv("CLIENT", "tests")
        topics.project.platform(self.PLATFORM)
        return topics

    def test_runs_go_on_where_the_last_one_got(self, topics: Topics, instance: dg.DagsterInstance):
        topic = topics.cluster.topic(*values(1, 2))
        topics.declare(topic)
        assert run_assets(topics.project, instance, "raw/events").success
        topics.cluster.send(topic, *values(3))
        assert run_assets(topics.project, instance, "raw/events").success

        assert topics.column("id") == [1, 2, 3]

    @pytest.mark.usefixtures("timed")
    def test_a_partition_tells_of_messages_of_none(
        self, topics: Topics, instance: dg.DagsterInstance
    ):
        topic = topics.cluster.topic()
        for moment in (at(2), at(-3)):
            topics.cluster.send(topic, "{}", timestamp=moment)
        topics.declare(topic, daily=True)
        result = run_assets(topics.project, instance, "raw/events", partition_key="2024-01-02")
        warned = [e.check_name for e in result.get_asset_check_evaluations() if not e.passed]

        assert result.success
        assert warned == [OUTSIDE]
        assert topics.column("kafka_timestamp") == [FIRST + timedelta(days=1)]
