"""Where raw rows come from, resolved: one class a kind of source.

Made by `plan.sources.nodes`, kept in `RawNode.source`; `sources/` reads what they name. Texts that
may be secret keep their `${VAR}` as written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from data_platform.plan.functions import UserFunction
from data_platform.spec.http import Auth, Pagination, RequestRetry
from data_platform.spec.sources import CsvFormat


@dataclass(frozen=True)
class DatabaseTable:
    """Rows of a table in a database.

    Attributes:
        connection: its name in platform.yaml.
        table: `table` or `schema.table`.
        cursor: the column whose time decides about the partition.
        fetch_size: rows of a batch, about.
    """

    connection: str
    table: str
    cursor: str | None
    fetch_size: int


@dataclass(frozen=True)
class DatabaseQuery:
    """Rows that a person's SELECT gives, in the database's own SQL.

    Attributes:
        connection: its name in platform.yaml.
        query: as written.
        cursor: the column of its result that decides about the partition: then it is asked once a
            range; else once a partition.
        fetch_size: rows of a batch, about.
        parameters: the bind parameters that it names.
    """

    connection: str
    query: str
    cursor: str | None
    fetch_size: int
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Api:
    """Records of an HTTP API.

    Attributes:
        url: None where a connection has it.
        connection: its name in platform.yaml, or None.
        path: from the connection's url.
        method, params, headers, body: of the request, with `${VAR}` and `:name` as written.
        data_path: where the records are in an answer.
        request_timeout: of one request, in seconds.
        auth: who asks; None means the connection's.
        pagination, retry: how it is asked.
        rate_limit: such as `10/s`; None means the connection's.
    """

    url: str | None
    connection: str | None
    path: str | None
    method: Literal["GET", "POST"]
    params: Mapping[str, Any]
    headers: Mapping[str, str]
    body: Any
    data_path: str | None
    request_timeout: float
    auth: Auth | None
    pagination: Pagination
    retry: RequestRetry
    rate_limit: str | None


FileFormat = Literal["csv", "json", "jsonl", "parquet"]


@dataclass(frozen=True)
class FileArrival:
    """How files start their source.

    Attributes:
        poll: seconds between two looks.
        queue: URL of a queue of SQS, with `${VAR}` as written, that hears of new objects.
    """

    poll: float
    queue: str | None = None


@dataclass(frozen=True)
class Files:
    """Rows of files.

    Attributes:
        path: an absolute path or glob, or an `s3://` address; with the partition's placeholders.
        format: how they are read.
        csv: for CSV.
        connection: of type s3, in platform.yaml, or None.
        data_path: where the records are in a JSON file.
        settle: how long a local file must have stood still, in seconds.
        arrival: how new files start the source; None means that they don't.
        deadline: how long a file may be late; None means that nobody asks.
    """

    path: str
    format: FileFormat
    csv: CsvFormat
    connection: str | None = None
    data_path: str | None = None
    settle: float = field(default=0.0, repr=False)
    arrival: FileArrival | None = field(default=None, repr=False)
    deadline: timedelta | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Topic:
    """Messages of a topic of Kafka.

    Attributes:
        connection: its name in platform.yaml.
        topic: its name.
        format: what a message's value is.
        max_records: messages that one run reads at most.
        on_lost: what it means when messages were deleted before they were read.
    """

    connection: str
    topic: str
    format: Literal["json", "text"]
    max_records: int = field(repr=False)
    on_lost: Literal["fail", "warn"] = field(default="fail", repr=False)


@dataclass(frozen=True)
class PythonSource:
    """Rows that a person's function gives, asked once a partition."""

    function: UserFunction


AnySource = DatabaseTable | DatabaseQuery | Api | Files | Topic | PythonSource


@dataclass(frozen=True)
class Increments:
    """How a source without partitions grows: each run adds one immutable batch.

    Attributes:
        cursor: the column whose greatest value is the watermark; None where the source has its own
            positions, as the offsets of a topic.
        key: the columns that name a row; readers see the newest row of each. Empty: all rows.
        keep: whether readers see the newest of each key, or all.
        lookback: how far before the watermark is read again: a duration, or a number where the
            cursor is one; None means not at all.
        start: where the first run begins; None means at the beginning.
    """

    cursor: str | None
    key: tuple[str, ...]
    keep: Literal["latest", "history"]
    lookback: timedelta | int | None = None
    start: int | float | str | None = None


def address_of(source: AnySource) -> tuple[str, str]:
    """The system and the name in it that people know a source by; the system may be empty."""
    match source:
        case DatabaseTable():
            return source.connection, source.table
        case DatabaseQuery():
            return source.connection, " ".join(source.query.split())
        case Api():
            return source.connection or "", source.url or source.path or ""
        case Files():
            return "", source.path
        case Topic():
            return source.connection, source.topic
        case PythonSource():
            return "", source.function.written


def connection_of(source: AnySource) -> str | None:
    """The connection that a source names."""
    return None if isinstance(source, PythonSource) else source.connection
