"""A cluster of Kafka for tests: librdkafka's mock brokers, which speak the protocol over TCP.

Topics are made by the first message, with four partitions. The brokers keep five megabytes of each
partition and delete what is older, as retention does. They know no times: `scanned` stands in.
"""

import logging
import uuid
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from data_platform.sources.topics.clients import TopicClient
from data_platform.spec.platform import KafkaConnection

QUIET = logging.getLogger("kafka_cluster")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False
KEPT = 5 * 2**20
"""Bytes that the brokers keep of a partition."""


class KafkaCluster:
    """One broker, as long as the object lives."""

    def __init__(self) -> None:
        self._mock = Producer(
            {"bootstrap.servers": "none", "test.mock.num.brokers": 1}, logger=QUIET
        )
        brokers = self._mock.list_topics(timeout=10).brokers.values()
        self.servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        self._producer = Producer({"bootstrap.servers": self.servers}, logger=QUIET)

    @property
    def connection(self) -> KafkaConnection:
        return KafkaConnection(type="kafka", bootstrap_servers=self.servers)

    def topic(self, *values: bytes | str | None) -> str:
        """A new topic with messages in its partition 0."""
        name = f"topic-{uuid.uuid4().hex[:8]}"
        self.send(name, *values)
        return name

    def send(self, topic: str, *values: bytes | str | None, partition: int = 0, **how: Any) -> None:
        """Append messages to a partition."""
        for value in values:
            self._producer.produce(topic, value, partition=partition, **how)
        if not values:
            self._producer.list_topics(topic, timeout=10)  # makes the topic
        assert self._producer.flush(10) == 0

    def forget(self, topic: str, partition: int = 0) -> int:
        """Let retention delete messages, and tell the first offset that is left."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "g"}, logger=QUIET)
        low = 0
        try:
            while low == 0:
                self.send(topic, *[b'"%s"' % (b"x" * (KEPT // 8))] * 4, partition=partition)
                low, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), 10)
        finally:
            consumer.close()
        return low


def scanned(
    client: TopicClient, partitions: Sequence[int], milliseconds: int
) -> dict[int, int | None]:
    """What a broker that knows times answers: the first offset with that time or a later one."""
    found: dict[int, int | None] = dict.fromkeys(partitions)
    for partition, bound in client.bounds(partitions).items():
        if bound.low == bound.high:
            continue
        client.consumer.assign([TopicPartition(client.topic, partition, bound.low)])
        later: list[int] = []
        at_end = False
        while not at_end and not later:
            for message in client.consumer.consume(100, timeout=0.2):
                at_end = at_end or message.error() is not None
                if message.error() is None and message.timestamp()[1] >= milliseconds:
                    later.append(message.offset())
        found[partition] = min(later, default=None)
        client.consumer.unassign()
    return found
