"""A topic of Kafka that takes events of OpenLineage.

Made by `choosing`.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from data_platform.errors import PlatformError
from data_platform.observability.openlineage.sinks.sending import (
    SECONDS,
    Refused,
    Sent,
    Unavailable,
)
from data_platform.sources.topics.clients import library, made
from data_platform.spec.platform import KafkaConnection

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

_TOO_LARGE = frozenset({"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD"})


class KafkaSink:
    """A topic.

    Args:
        connection: with its secrets.
        topic: its name.
        seconds: in which the brokers must have taken a message.
    """

    def __init__(self, connection: KafkaConnection, topic: str, seconds: float = SECONDS) -> None:
        self._connection = connection
        self._topic = topic
        self._seconds = seconds
        self._producer: Any = None

    def send(self, events: Sequence[str], until: float) -> Sent:
        """All of them, and wait for the brokers' word; by job into a partition, so in order."""
        patience = max(0.1, min(self._seconds, until - time.monotonic()))
        arrived: set[int] = set()
        failed: dict[int, KafkaError] = {}
        try:
            producer = self._opened()
        except PlatformError as error:
            return Sent(0, Unavailable(str(error)))
        for number, event in enumerate(events):
            told = _noted(number, arrived, failed)
            try:
                producer.produce(self._topic, event.encode(), _key_of(event), on_delivery=told)
            except library().KafkaException as error:
                failed[number] = error.args[0]
                break
        producer.flush(patience)
        producer.purge()
        producer.poll(0)
        count = next((n for n in range(len(events)) if n not in arrived), len(events))
        if count == len(events):
            return Sent(count)
        error = failed.get(count)
        if error is not None and error.name() in _TOO_LARGE:
            return Sent(count, Refused(f"topic {self._topic}: {error.str()}"))
        why = error.name() if error and error.name() != "_PURGE_QUEUE" else "no answer in time"
        return Sent(count, Unavailable(f"topic {self._topic}: {why}"))

    def close(self) -> None:
        """Forget the producer, which holds nothing any more."""
        self._producer = None

    def _opened(self) -> Any:
        if self._producer is None:
            # With it a broker takes no message twice, nor two in another order; an old one may want
            # a permission for it.
            own = {"enable.idempotence": True, **self._connection.options}
            self._producer = made("Producer", self._connection, **own)
        return self._producer


def _noted(
    number: int, arrived: set[int], failed: "dict[int, KafkaError]"
) -> "Callable[[KafkaError | None, Message], None]":
    def told(error: "KafkaError | None", _: "Message") -> None:
        if error is None:
            arrived.add(number)
        else:
            failed[number] = error

    return told


def _key_of(event: str) -> str:
    job = json.loads(event)["job"]
    return f"run:{job['namespace']}/{job['name']}"
