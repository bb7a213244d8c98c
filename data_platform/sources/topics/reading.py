"""Reading spans of a topic to their ends, message by message.

Called by `arriving`. Between a span's last message and its end there may be none: offsets of
transactions' markers, of what was aborted or compacted. So a span ends where the server says that
there is no more, or where a message stands behind it.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from data_platform.sources.topics import clients
from data_platform.sources.topics.clients import TopicClient, library
from data_platform.sources.topics.spans import Span

if TYPE_CHECKING:
    from confluent_kafka import Message

AT_ONCE = 1_000
"""Messages that are taken from the client at a time."""
WAIT = 0.5
"""Seconds to wait for some, after which a step that is to end does."""


class Reading:
    """Reading spans of a topic.

    Args:
        client: of the topic.
        spans: by Kafka partition.
        most: messages at most; None means all.
    """

    def __init__(
        self, client: TopicClient, spans: Mapping[int, Span], most: int | None = None
    ) -> None:
        self._client = client
        self._open = {p: span.stop for p, span in spans.items() if span.start < span.stop}
        self._next = {p: span.start for p, span in spans.items()}
        self._left = sys.maxsize if most is None else most

    def run(self, take: "Callable[[Message], object]") -> dict[int, int]:
        """Read until the spans end, and tell the next offset of each Kafka partition.

        Raises:
            SourceError: a server refuses, or `take` does.
            SourceUnavailable: no message came for too long.
        """
        partition = library().TopicPartition
        consumer, topic = self._client.consumer, self._client.topic
        consumer.assign([partition(topic, p, self._next[p]) for p in self._open])
        heard_at = time.monotonic()
        while self._open and self._left:
            self._client.work.go_on()
            messages = consumer.consume(min(AT_ONCE, self._left), timeout=WAIT)
            if messages:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > clients.PATIENCE:
                raise self._client.silent()
            self._take_all(messages, take)
        return self._next

    def _take_all(self, messages: "Sequence[Message]", take: "Callable[[Message], object]") -> None:
        rows = size = 0
        for message in messages:
            error, partition = message.error(), message.partition()
            if error is not None and error.name() != "_PARTITION_EOF":
                raise self._client.failed(error)
            if partition is None or partition not in self._open:
                continue
            offset = message.offset() or 0
            if error is None and offset < self._open[partition]:
                take(message)
                rows += 1
                size += len(message)
                offset += 1
            self._next[partition] = min(offset, self._open[partition])
            if error is not None or offset >= self._open[partition]:
                self._close(partition)
        self._left -= rows
        self._client.work.count(rows, size)

    def _close(self, partition: int) -> None:
        del self._open[partition]
        at = library().TopicPartition(self._client.topic, partition)
        self._client.consumer.incremental_unassign([at])
