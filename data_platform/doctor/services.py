"""APIs, buckets and clusters of Kafka: reachable, and do they let us in?

Called by `doctor.planning`. Of an API any answer counts; whether it knows what sources will ask is
theirs to find out.
"""

# pyright: reportMissingTypeStubs=false

import time
from collections.abc import Iterable, Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

from data_platform.doctor.findings import Finding, moment_skew, reached, skew
from data_platform.errors import SourceError, SourceUnavailable
from data_platform.spec.http import RequestRetry
from data_platform.spec.platform import ApiConnection, KafkaConnection, S3Connection

SECONDS = 8.0
_DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_NO_HEAD = (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED, *_DENIED)
"""Answers after which the same is asked by GET: not every server takes HEAD for its own."""


def api(area: str, connection: ApiConnection) -> Iterator[Finding]:
    """An HTTP API.

    Raises:
        SourceUnavailable: nobody answers.
        SourceError: its url is none, or the server of tokens gives none.
    """
    from data_platform.sources.http.sessions import session  # noqa: PLC0415

    once = RequestRetry(total=0, statuses=[])
    with session(connection, SECONDS, once) as client:
        before, began = time.time(), time.monotonic()
        answer = client.head("")
        if answer.status_code in _NO_HEAD:
            before, began = time.time(), time.monotonic()
            answer = client.get("")
        after, seconds = time.time(), time.monotonic() - began
    yield reached(area, seconds, f"HTTP {answer.status_code}")
    if answer.status_code in _DENIED:
        advice = "give the variable, file or secret that `auth` or `headers` names the right value"
        found = f"the server answers {answer.status_code}"
        yield Finding(area, "credentials", "fail", found, advice)
    elif answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        advice = "look at the server: it answers, but not to what its address stands for"
        yield Finding(area, "health", "warn", f"the server answers {answer.status_code}", advice)
    elif connection.auth is not None:
        yield Finding(area, "credentials", "ok", "not refused")
    yield from _clock(area, answer.headers.get("date"), before, after)


def bucket(area: str, connection: S3Connection, endpoint: str | None) -> Iterator[Finding]:
    """A connection to S3: its bucket is listed, or where it names none its server is asked.

    Args:
        area: its name.
        connection: with secrets in place.
        endpoint: of the environment, where the connection names none; None means AWS.

    Raises:
        SourceUnavailable: the server can't be reached.
        SourceError: there is no such bucket, or the credentials don't let us in.
    """
    from data_platform.engine.object_store import ObjectStore  # noqa: PLC0415

    if connection.bucket is not None:
        began = time.monotonic()
        next(ObjectStore(connection).list(""), None)
        yield reached(area, time.monotonic() - began, f"bucket {connection.bucket}", "listed")
    aws = f"https://s3.{connection.region or 'us-east-1'}.amazonaws.com"
    address = connection.endpoint_url or endpoint or aws
    before, began = time.time(), time.monotonic()
    try:
        answer = httpx.head(address, timeout=SECONDS)
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"the server can't be reached: {type(error).__name__}") from None
    after, server = time.time(), answer.headers.get("server", "")
    if connection.bucket is None:
        yield reached(area, time.monotonic() - began, server)
    yield from _clock(area, answer.headers.get("date"), before, after)


def kafka(area: str, connection: KafkaConnection) -> Iterable[Finding]:
    """A cluster of Kafka: its metadata is asked for.

    Raises:
        SourceUnavailable: no broker answers.
        SourceError: an option is wrong, or the brokers let nobody in.
    """
    from data_platform.sources.topics.clients import READING, library, made  # noqa: PLC0415

    heard: list[str] = []
    settings = {**READING, **connection.options}
    consumer = made(
        "Consumer", connection, **settings, error_cb=lambda error: heard.append(error.name())
    )
    began = time.monotonic()
    try:
        found = consumer.list_topics(timeout=SECONDS)
    except library().KafkaException as error:
        consumer.poll(0)  # lets the callback hear what happened meanwhile
        why = [error.args[0].name(), *heard]
        refused = next((name for name in why if "AUTH" in name or "SSL" in name), None)
        about = "the brokers let nobody in" if refused else "no broker answers"
        told = f"{connection.bootstrap_servers}: {about} ({refused or why[-1]})"
        raise (SourceError if refused else SourceUnavailable)(told) from None
    finally:
        consumer.close()
    brokers, topics = len(found.brokers), len(found.topics)
    words = f"{brokers} broker{'s'[: brokers != 1]}, {topics} topic{'s'[: topics != 1]}"
    return [reached(area, time.monotonic() - began, words)]


def _clock(area: str, date: str | None, before: float, after: float) -> Iterator[Finding]:
    """A header tells whole seconds, the one that has just begun."""
    if not date:
        return
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return
    aware = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    yield skew(area, moment_skew(aware, before - 1, after))
