"""Clients of Kafka: how they are configured, what their errors mean, how long they wait.

Used by `arriving` and by the resource of hand-written assets. librdkafka connects in threads
of its own and goes on trying for ever: what it meets on the way comes by a callback, its log lines
go to a logger of Python instead of the terminal.
"""

import importlib
import logging
import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from data_platform.engine.work import Work
from data_platform.errors import PlatformError, SourceError, SourceUnavailable, StorageUnavailable
from data_platform.sources.topics.spans import Bounds
from data_platform.spec.platform import KafkaConnection

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, Producer

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds in which a cluster must answer."""
SLICE = 2.0
"""Seconds of one try, after which a step that is to end does."""
GROUP = "data-platform"
"""librdkafka asks for the name of a group; nothing is ever committed to it."""
LOG = logging.getLogger("data_platform.kafka")
LOG.addHandler(logging.NullHandler())
LOG.propagate = False

READING: Mapping[str, Any] = {
    "group.id": GROUP,
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
    "queued.max.messages.kbytes": 32_768,
    "fetch.wait.max.ms": 100,
}
"""What a connection may say otherwise."""
BOUNDED: Mapping[str, Any] = {
    "auto.offset.reset": "error",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
}
"""What a reading with a beginning and an end needs."""
_PERMANENT = frozenset(
    {
        "_AUTHENTICATION",
        "_FATAL",
        "_INVALID_ARG",
        "_SSL",
        "_UNKNOWN_PARTITION",
        "_UNKNOWN_TOPIC",
        "_UNSUPPORTED_FEATURE",
        "CLUSTER_AUTHORIZATION_FAILED",
        "GROUP_AUTHORIZATION_FAILED",
        "SASL_AUTHENTICATION_FAILED",
        "TOPIC_AUTHORIZATION_FAILED",
        "TOPIC_EXCEPTION",
        "UNKNOWN_TOPIC_OR_PART",
        "UNSUPPORTED_SASL_MECHANISM",
    }
)
"""Errors that trying again doesn't mend, by librdkafka's names."""
_SECRET = re.compile(r"password|secret|token|jaas|oauth|\.pem$|\.key$", re.IGNORECASE)
_PLACE = re.compile(r"^\S+://")


def library() -> Any:
    """The package confluent-kafka.

    Raises:
        SourceError: it isn't installed.
    """
    try:
        return importlib.import_module("confluent_kafka")
    except ImportError:
        raise SourceError(
            "Kafka needs the package confluent-kafka: pip install 'data-platform[kafka]'"
        ) from None


def made(kind: str, connection: KafkaConnection, **settings: Any) -> Any:
    """A client, which connects when it is first used.

    Args:
        kind: `Consumer` or `Producer`.
        connection: with its secrets.
        settings: by librdkafka's names; they count more than the connection's options.

    Raises:
        SourceError: an option is none, or has a value that it can't have.
    """
    package = library()
    config = {
        "bootstrap.servers": connection.bootstrap_servers,
        **connection.options,
        **settings,
    }
    try:
        return getattr(package, kind)(config, logger=LOG)
    except package.KafkaException as error:
        about = _masked(error.args[0].str(), connection.options)
        raise SourceError(f"Kafka's options can't be used: {about}") from None


class TopicClient:
    """One topic, being read.

    Args:
        consumer: of confluent-kafka.
        topic: its name.
        work: of the step.
        heard: errors that librdkafka told on the way, the newest last.
    """

    def __init__(
        self, consumer: "Consumer", topic: str, work: Work, heard: "Sequence[KafkaError]"
    ) -> None:
        self.consumer = consumer
        self.topic = topic
        self.work = work
        self._heard = heard

    def partitions(self) -> list[int]:
        """Of the topic, in order."""
        found = self._asked(lambda timeout: self.consumer.list_topics(self.topic, timeout=timeout))
        topic = found.topics[self.topic]
        if topic.error is not None:
            raise self.failed(topic.error)
        return sorted(topic.partitions)

    def bounds(self, partitions: Sequence[int]) -> dict[int, Bounds]:
        """The first offset that is there and the one after the last, of each partition."""
        found: dict[int, Bounds] = {}
        for partition in partitions:
            at = library().TopicPartition(self.topic, partition)
            low, high = self._asked(
                lambda timeout, at=at: self.consumer.get_watermark_offsets(at, timeout=timeout)
            )
            found[partition] = Bounds(low, high)
        return found

    def offsets_at(self, partitions: Sequence[int], milliseconds: int) -> dict[int, int | None]:
        """The first offset with that timestamp or a later one; None where there is none."""
        asked = [library().TopicPartition(self.topic, p, milliseconds) for p in partitions]
        found = self._asked(lambda timeout: self.consumer.offsets_for_times(asked, timeout=timeout))
        for answer in found:
            if answer.error is not None:
                raise self.failed(answer.error)
        return {answer.partition: answer.offset if answer.offset >= 0 else None for answer in found}

    def failed(self, error: "KafkaError") -> PlatformError:
        """An error in words, as one that may pass or one that stays."""
        told = next((e for e in self._heard if e.name() in _PERMANENT), error)
        if error.name() in _PERMANENT:
            told = error
        about = f"topic {self.topic}: {_PLACE.sub('', told.str())} ({told.name()})"
        return SourceError(about) if told.name() in _PERMANENT else SourceUnavailable(about)

    def silent(self) -> PlatformError:
        """That nothing comes any more, with what librdkafka told of it."""
        if self._heard:
            return self.failed(self._heard[-1])
        return SourceUnavailable(f"topic {self.topic}: no message for {PATIENCE:.0f} seconds")

    def _asked(self, ask: Callable[[float], T]) -> T:
        """Ask until there is an answer, or it is clear that there won't be one."""
        package = library()
        until = time.monotonic() + PATIENCE
        while True:
            self.work.go_on()
            try:
                return ask(min(SLICE, PATIENCE))
            except package.KafkaException as error:
                self.consumer.poll(0)  # lets the callback hear what happened meanwhile
                failed = self.failed(error.args[0])
                if isinstance(failed, SourceError) or time.monotonic() >= until:
                    raise failed from None


@contextmanager
def reading(connection: KafkaConnection, topic: str, work: Work) -> Generator[TopicClient]:
    """A topic to be read within bounds.

    Args:
        connection: with its secrets.
        topic: its name.
        work: of the step.

    Raises:
        SourceError: an option is wrong, or a server refuses.
        SourceUnavailable: no server answers.
    """
    heard: list[KafkaError] = []
    settings = {k: v for k, v in READING.items() if k not in connection.options}
    consumer = made("Consumer", connection, **settings, **BOUNDED, error_cb=heard.append)
    try:
        yield TopicClient(consumer, topic, work, heard)
    finally:
        consumer.close()


@contextmanager
def sending(connection: KafkaConnection, options: Mapping[str, Any]) -> "Generator[Producer]":
    """A producer whose messages have all arrived when the context ends.

    Args:
        connection: with its secrets.
        options: by librdkafka's names.

    Raises:
        SourceError: an option can't be used.
        StorageUnavailable: at the end, where a message didn't arrive.
    """
    lost: list[str] = []

    def told(error: "KafkaError | None", message: "Message") -> None:
        if error is not None:
            lost.append(f"topic {message.topic()}: {_PLACE.sub('', error.str())} ({error.name()})")

    producer = made("Producer", connection, **{"on_delivery": told, **options})
    yield producer
    waiting = producer.flush(PATIENCE)
    if waiting or lost:
        about = lost[0] if lost else f"no answer for {PATIENCE:.0f} seconds"
        raise StorageUnavailable(f"{waiting + len(lost):,} of the messages didn't arrive: {about}")


def _masked(text: str, options: Mapping[str, Any]) -> str:
    for name, value in options.items():
        if _SECRET.search(name) and f"{value}":
            text = text.replace(f"{value}", "***")
    return text
