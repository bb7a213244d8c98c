"""A message of Kafka as a line of JSON: its value's fields, with its own beside them.

Called by `arriving`, message by message; the lines are read by `sources.json_records`. A
value that is an object isn't parsed here: its text becomes part of the line's as it is.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from data_platform.errors import SourceError
from data_platform.plan.naming import PARTITION

if TYPE_CHECKING:
    from confluent_kafka import Message

COLUMNS: Mapping[str, str] = {
    "kafka_key": "VARCHAR",
    "kafka_partition": "BIGINT",
    "kafka_offset": "BIGINT",
    "kafka_timestamp": "BIGINT",
    "kafka_headers": "VARCHAR",
}
"""What each line has besides the value; the timestamp in milliseconds."""
VALUE = "value"
"""Where a value is that is no object."""


def line_of(message: "Message", kind: Literal["json", "text"], key: str | None) -> bytes:
    """A message as a line.

    Args:
        message: of confluent-kafka.
        kind: what its value is.
        key: of its partition, where there are partitions.

    Raises:
        SourceError: its value isn't what it should be.
    """
    own = _own(message) | ({} if key is None else {PARTITION: key})
    head = json.dumps(own).encode()[:-1]
    value = message.value()
    if value is None:
        return head + b"}\n"
    raw = value.encode() if isinstance(value, str) else value
    if kind == "text":
        return _with_value(head, json.dumps(_text(message, raw)).encode())
    written = _on_one_line(message, raw.strip())
    if written.startswith(b"{"):
        members = written[1:].lstrip()
        return head + (b"" if members == b"}" else b", ") + members + b"\n"
    _parsed(message, written)
    return _with_value(head, written)


def timestamp_of(message: "Message") -> int | None:
    """In milliseconds; None where the message has none."""
    kind, milliseconds = message.timestamp()
    return None if kind == 0 or milliseconds < 0 else milliseconds


def _own(message: "Message") -> dict[str, Any]:
    return {
        "kafka_key": _readable(message.key()),
        "kafka_partition": message.partition(),
        "kafka_offset": message.offset(),
        "kafka_timestamp": timestamp_of(message),
        "kafka_headers": _headers(message),
    }


def _headers(message: "Message") -> list[dict[str, str | None]] | None:
    """A list, since a name may be there several times."""
    headers = message.headers()
    if not headers:
        return None
    return [{"name": name, "value": _readable(value)} for name, value in headers]


def _readable(raw: bytes | str | None) -> str | None:
    """As text; bytes that are none as PostgreSQL writes them: x and two digits for each."""
    if raw is None or isinstance(raw, str):
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"\\x{raw.hex()}"


def _text(message: "Message", raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise SourceError(
            f"{_place(message)} is no text in UTF-8: a binary format such as Avro is read by a "
            "source of type python, with the connection's `consumer`"
        ) from None


def _on_one_line(message: "Message", raw: bytes) -> bytes:
    """JSON without line breaks; in valid JSON they stand between values only."""
    if b"\n" not in raw and b"\r" not in raw:
        return raw
    _parsed(message, raw)
    return raw.replace(b"\n", b" ").replace(b"\r", b" ")


def _parsed(message: "Message", raw: bytes) -> None:
    try:
        json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"{_place(message)} is no JSON ({error}); if it is plain text, say `format: text`"
        ) from None


def _with_value(head: bytes, value: bytes) -> bytes:
    return head + f', "{VALUE}": '.encode() + value + b"}\n"


def _place(message: "Message") -> str:
    return (
        f"topic {message.topic()}: message {message.offset():,} of partition {message.partition()}"
    )
