"""Events that are made and haven't arrived yet: kept in Dagster's database until they have.

Filled by `following` in the transaction in which the log is read, emptied by the sensor. Events are
sent in the order in which they were made, each at least once: what was sent when the process died
is sent again, and is the same event. A sink that is down is asked again after a while, and all
wait; an event that is refused, or at which alone the sink fails, is set aside, so that others don't
wait for it, and tried again later. Each code location has its own.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from dagster import DagsterInstance
from sqlalchemy.engine import Connection

from data_platform.instance.liveness import lock_key
from data_platform.instance.location_names import COLUMN, named, own_location
from data_platform.instance.own_tables import Tables, transaction
from data_platform.observability.openlineage.sinks.sending import Sink, Unavailable

AT_ONCE = 100
"""Events of one transaction."""
REST, LONGEST_REST = 15.0, 300.0
"""Seconds after which a sink that was down is asked again: twice as many each time."""
SET_ASIDE = (60.0, 600.0, 3_600.0, 86_400.0)
"""Seconds after which an event that was refused so often is tried again; then once a day."""
DOUBTED = 8
"""Tries after which the next event is sent to see whether it is the sink that fails, or the event;
half an hour."""

TABLES = Tables(
    "openlineage",
    (
        """
        CREATE TABLE data_platform_openlineage (
            id bigserial PRIMARY KEY,
            event text NOT NULL,
            made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            tries integer NOT NULL DEFAULT 0,
            refused integer NOT NULL DEFAULT 0,
            not_before timestamptz,
            trouble text
        )
        """,
        "CREATE INDEX ON data_platform_openlineage (id) WHERE refused = 0",
        f"ALTER TABLE data_platform_openlineage ADD COLUMN {COLUMN}",
    ),
)
_NEW = sa.text(
    "SELECT id, event, coalesce(not_before > clock_timestamp(), false) AS rests, tries,"
    " refused, trouble FROM data_platform_openlineage WHERE refused = 0"
    " AND location = :location ORDER BY id LIMIT :limit"
)
_ASIDE = sa.text(
    "SELECT id, event, false AS rests, tries, refused, trouble FROM data_platform_openlineage"
    " WHERE refused > 0 AND location = :location "
    " AND not_before <= clock_timestamp() ORDER BY id LIMIT :limit"
)
_ARRIVED = sa.text("DELETE FROM data_platform_openlineage WHERE id = ANY(:ids)")
_UNAVAILABLE = sa.text(
    "UPDATE data_platform_openlineage SET tries = tries + 1, trouble = :why,"
    " not_before = clock_timestamp() + make_interval(secs => :rest) WHERE id = :id"
)
_REFUSED = sa.text(
    "UPDATE data_platform_openlineage SET refused = refused + 1, trouble = :why,"
    " not_before = clock_timestamp() + make_interval(secs => :rest) WHERE id = :id"
)


@dataclass(frozen=True)
class Waiting:
    """What hasn't arrived.

    Attributes:
        count: of events that wait for the sink.
        since: when the oldest of them was made; None where there is none.
        refused: events that the sink didn't take.
        trouble: what it said last; None where nothing is wrong.
    """

    count: int
    since: datetime | None
    refused: int
    trouble: str | None


@dataclass
class Delivered:
    """What one delivery came to.

    Attributes:
        sent: events that arrived.
        refused: events that weren't taken.
        trouble: why it ended early.
    """

    sent: int = 0
    refused: int = 0
    trouble: str | None = None


def put(connection: Connection, events: Iterable[Mapping[str, Any]]) -> int:
    """Keep events to be sent; gives how many there were.

    Args:
        connection: of the transaction in which they were made.
        events: in their order.
    """
    location = own_location()
    rows = [{"event": json.dumps(event, sort_keys=True), "location": location} for event in events]
    if rows:
        asked = "INSERT INTO data_platform_openlineage (event, location) VALUES (:event, :location)"
        connection.execute(sa.text(asked), rows)
    return len(rows)


def deliver(instance: DagsterInstance, sink: Sink, seconds: float) -> Delivered:
    """Send what waits.

    Args:
        instance: Dagster's.
        sink: where to.
        seconds: after which nothing more is begun.
    """
    until = time.monotonic() + seconds
    delivered = Delivered()
    for asked in (_NEW, _ASIDE):
        while delivered.trouble is None and time.monotonic() < until:
            with transaction(instance, TABLES) as connection:
                if not _alone(connection) or not _sent(connection, asked, sink, until, delivered):
                    break
    return delivered


def waiting(instance: DagsterInstance) -> Waiting:
    """What hasn't arrived yet, for whoever looks how things stand."""
    asked = sa.text(
        "SELECT count(*) FILTER (WHERE refused = 0), min(made_at) FILTER (WHERE refused = 0),"
        " count(*) FILTER (WHERE refused > 0),"
        " (array_agg(trouble ORDER BY refused > 0, id) FILTER (WHERE trouble IS NOT NULL))[1]"
        " FROM data_platform_openlineage WHERE location = :location"
    )
    with transaction(instance, TABLES) as connection:
        return Waiting(*connection.execute(asked, {"location": own_location()}).one())


def _alone(connection: Connection) -> bool:
    """Whether nobody else delivers now; until the transaction's end."""
    lock = {"key": lock_key(named("data_platform.openlineage"))}
    return bool(connection.scalar(sa.text("SELECT pg_try_advisory_xact_lock(:key)"), lock))


def _sent(
    connection: Connection, asked: sa.TextClause, sink: Sink, until: float, delivered: Delivered
) -> bool:
    """Send the next ones; whether there may be more."""
    rows = connection.execute(asked, {"limit": AT_ONCE, "location": own_location()}).all()
    if not rows or rows[0].rests:
        delivered.trouble = rows[0].trouble if rows else None
        return False
    sent = sink.send([row.event for row in rows], until)
    _forget(connection, rows[: sent.count], delivered)
    if sent.trouble is None:
        return sent.count > 0
    first, rest = rows[sent.count], rows[sent.count + 1 :]
    if isinstance(sent.trouble, Unavailable):
        if not (rest and first.tries >= DOUBTED and sink.send([rest[0].event], until).count):
            _rest(connection, first, sent.trouble.why)
            delivered.trouble = sent.trouble.why
            return False
        _forget(connection, rest[:1], delivered)
    _set_aside(connection, first, sent.trouble.why)
    delivered.refused += 1
    return True


def _forget(connection: Connection, rows: Sequence[sa.Row[Any]], delivered: Delivered) -> None:
    """Forget what has arrived."""
    connection.execute(_ARRIVED, {"ids": [row.id for row in rows]})
    delivered.sent += len(rows)


def _rest(connection: Connection, first: sa.Row[Any], why: str) -> None:
    """Leave the sink alone for a while; `first` is the event that it didn't take."""
    rest = min(REST * 2 ** min(first.tries, 10), LONGEST_REST)
    connection.execute(_UNAVAILABLE, {"id": first.id, "why": why, "rest": rest})


def _set_aside(connection: Connection, row: sa.Row[Any], why: str) -> None:
    """Let others pass an event."""
    rest = SET_ASIDE[min(row.refused, len(SET_ASIDE) - 1)]
    connection.execute(_REFUSED, {"id": row.id, "why": why, "rest": rest})
