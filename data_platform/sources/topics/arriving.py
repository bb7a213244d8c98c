"""Rows of a topic of Kafka: what came since the last run, or what is of a partition's time.

Called by `raw.extraction`. A reading has an end, the offsets that there are when it begins; it
never waits for more. Where it got is committed with the rows, in the lake:
a consumer group isn't asked.
"""

import itertools
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.engine.partition_keys import asked_for, key_of, times_of, value_of
from data_platform.errors import SourceError
from data_platform.plan.naming import LOST, PARTITION, WHOLE
from data_platform.plan.partitions import TIME, Partitions
from data_platform.plan.sources.kinds import Topic
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.sources.arrivals import Arrival, Notice, Question
from data_platform.sources.json_records.query import records_query
from data_platform.sources.topics.clients import TopicClient, reading
from data_platform.sources.topics.messages import COLUMNS, line_of, timestamp_of
from data_platform.sources.topics.reading import Reading
from data_platform.sources.topics.spans import (
    Bounds,
    Span,
    belongs,
    cut,
    is_trusted,
    milliseconds,
    spans_after,
    spans_from,
    windows_of,
)
from data_platform.spec.platform import KafkaConnection

if TYPE_CHECKING:
    from confluent_kafka import Message

_LINE = re.compile(r"^.*?: (?:line|record) ([\d,]*\d)(?:, byte [\d,]*\d)?")
_PLACE = re.compile(rb'"kafka_partition": (\d+), "kafka_offset": (\d+)')
_OWN_KEY = re.compile(rf"key '({PARTITION}|kafka_\w+)' stands twice")


@contextmanager
def arriving(question: Question, source: Topic) -> Generator[Arrival]:
    """The messages of a topic, each a row.

    Raises:
        SourceError: the topic isn't there or isn't the one that was read, messages are gone, or
            one isn't what the pipeline says.
        SourceUnavailable: no server answers, or one stopped to.
    """
    connection = question.outside.connection(source.connection)
    assert isinstance(connection, KafkaConnection)  # noqa: S101 -- the plan has seen to it
    question.scratch.mkdir(parents=True, exist_ok=True)
    path = question.scratch / "messages.jsonl"
    with reading(connection, source.topic, question.work) as client:
        partitions = question.node.partitions
        arrived = (
            _of_windows(question, source, client, partitions, path)
            if partitions
            else _since(question, source, client, path)
        )
    yield arrived


def _since(question: Question, source: Topic, client: TopicClient, path: Path) -> Arrival:
    """What came since the position of the last run."""
    offsets = _offsets(question, source)
    bounds = client.bounds(client.partitions())
    try:
        spans, lost = spans_after(offsets, bounds)
    except SourceError as error:
        raise SourceError(f"topic {source.topic}: {error}") from None
    notices = _about_lost(source, lost, bounds)
    with path.open("wb") as file:
        read = Reading(client, spans, source.max_records).run(
            lambda message: file.write(line_of(message, source.format, None))
        )
    position = {
        "topic": source.topic,
        "offsets": {str(p): read.get(p, span.start) for p, span in sorted(spans.items())},
    }
    return Arrival(_query(question, source, path), position=position, notices=notices)


def _offsets(question: Question, source: Topic) -> dict[int, int]:
    """The next offset of each Kafka partition that was read before."""
    position = question.position or {}
    read = position.get("topic", source.topic)
    if read != source.topic:
        raise SourceError(
            f"the table has the messages of topic {read}, and the pipeline says {source.topic}: "
            "give the source another name"
        )
    return {int(partition): offset for partition, offset in position.get("offsets", {}).items()}


def _about_lost(
    source: Topic, lost: Mapping[int, int], bounds: Mapping[int, Bounds]
) -> list[Notice]:
    """That messages are gone which weren't read: an error, unless the pipeline says otherwise."""
    places = ", ".join(f"{n:,} before offset {bounds[p].low:,} of {p}" for p, n in lost.items())
    number = sum(lost.values())
    if number and source.on_lost == "fail":
        raise SourceError(
            f"topic {source.topic}: {number:,} messages were deleted before they were read, by "
            f"partition: {places}. Lengthen the topic's retention or run more often; to go on "
            "without them say `on_lost: warn`"
        )
    return [Notice(LOST, WHOLE, number, f"{number:,} messages gone: {places}")]


def _of_windows(
    question: Question,
    source: Topic,
    client: TopicClient,
    partitions: Partitions,
    path: Path,
) -> Arrival:
    """What is of the partitions' time, by each message's own timestamp.

    It is read to the topic's end: where a window's last message stands nobody can tell, since one
    message from a clock that is ahead hides all that come after it from a search by time. Values of
    dimensions are told by the messages' columns, when they are read.
    """
    bounds = client.bounds(client.partitions())
    time = partitions.time
    if time is None:
        with path.open("wb") as file:
            spans = {p: Span(one.low, one.high) for p, one in bounds.items()}
            Reading(client, spans).run(
                lambda message: file.write(line_of(message, source.format, ""))
            )
        return Arrival(_query(question, source, path))
    first = _first_whole(question, source, client, partitions, bounds)
    keys = [key for key in question.keys if key not in first.failed]
    if not keys:
        return Arrival(None, first.failed)
    windows = windows_of(time, times_of(partitions, keys))
    outside = 0
    with path.open("wb") as file:

        def take(message: "Message") -> None:
            nonlocal outside
            moment = timestamp_of(message)
            key = windows.key_of(moment)
            if key is not None:
                file.write(line_of(message, source.format, key))
            elif not belongs(time, moment):
                outside += 1

        Reading(client, spans_from(first.starts, bounds)).run(take)
    query = _query(question, source, path)
    return Arrival(query, first.failed, notices=first.notices, outside=outside)


@dataclass(frozen=True)
class _First:
    """The first partition that can be read.

    Attributes:
        starts: its first offset of each Kafka partition.
        failed: why those before it can't be.
        notices: to warn about.
    """

    starts: Mapping[int, int | None]
    failed: Mapping[str, str]
    notices: Sequence[Notice]


def _first_whole(
    question: Question,
    source: Topic,
    client: TopicClient,
    partitions: Partitions,
    bounds: Mapping[int, Bounds],
) -> _First:
    """The first partition of which no message can be gone: those before it may lack some."""
    failed: dict[str, str] = {}
    for key in question.keys:
        start, _ = partitions.window(key)
        starts = client.offsets_at(list(bounds), milliseconds(start))
        gone = [] if is_trusted(start, question.now) else cut(starts, bounds)
        if gone and source.on_lost == "fail":
            failed[key] = (
                f"topic {source.topic}: messages of {key} may have been deleted: those that are "
                f"left of Kafka partition {', '.join(map(str, gone))} begin within it, or after. "
                "To land what is left say `on_lost: warn`"
            )
            continue
        detail = f"messages may be gone of Kafka partition {', '.join(map(str, gone))}"
        return _First(starts, failed, [Notice(LOST, key, len(gone), detail)])
    return _First({}, failed, [])


def _query(question: Question, source: Topic, path: Path) -> str:
    """A SELECT of the lines: the value's columns, then the message's own."""
    partitioned = question.node.partitions is not None
    own = {**COLUMNS, PARTITION: "VARCHAR"} if partitioned else COLUMNS
    types = {name: kind for name, kind in question.types.items() if name.lower() not in own}
    try:
        lines = records_query(question.session, [path], {**types, **own}, lines=True)
    except SourceError as error:
        raise SourceError(_about(source, path, f"{error}")) from None
    values = [name for name in question.session.columns(lines) if name not in own]
    if PARTITION in values:
        raise SourceError(_taken(source, PARTITION))
    moment = "TIMEZONE('UTC', EPOCH_MS(kafka_timestamp)) AS kafka_timestamp"
    columns = [moment if name == "kafka_timestamp" else name for name in COLUMNS]
    partitions = question.node.partitions
    if partitions is None or not partitions.by:
        key = PARTITION if partitioned else f"{literal(WHOLE)} AS {PARTITION}"
        return f"SELECT {', '.join([*map(quoted, values), *columns, key])} FROM ({lines})"
    for one in partitions.by:
        if one.column not in [*values, *columns]:
            known = ", ".join([*values, *COLUMNS])
            message = f"there is no {one.column}, which tells the {one.name}; there are {known}"
            raise SourceError(f"topic {source.topic}: {message}")
    parts = {
        TIME: PARTITION,
        **{one.name: value_of(one, quoted(one.column)) for one in partitions.by},
    }
    key = f"{key_of(partitions, parts)} AS {PARTITION}"
    rows = f"SELECT {', '.join([*map(quoted, values), *columns, key])} FROM ({lines})"
    return f"SELECT * FROM ({rows}) WHERE {asked_for(question.keys)}"


def _taken(source: Topic, key: str) -> str:
    return (
        f"topic {source.topic}: values have a key {key}, which is the name of a column that the "
        "platform adds: read them as `format: text`"
    )


def _about(source: Topic, path: Path, message: str) -> str:
    """What is wrong with a line, as what is wrong with its message."""
    if own := _OWN_KEY.search(message):
        return _taken(source, own[1])
    line = _LINE.match(message)
    if line is None or not message.startswith(f"{path}"):
        return f"topic {source.topic}: {message}"
    number = int(line[1].replace(",", ""))
    with path.open("rb") as file:
        written = next(itertools.islice(file, number - 1, None), b"")
    at = _PLACE.search(written)
    place = f"message {int(at[2]):,} of partition {int(at[1])}" if at else f"message {number:,}"
    return f"topic {source.topic}: {place}{message[line.end() :]}"
