"""Events that are made and haven't arrived yet: kept in Dagster's database until they have.

Filled by `following` in the transaction in which the log is read, emptied by the sensor. Events are
sent in the order in which they were made, each at least once: what was sent when the process died
is sent again, and is the same event. A sink that is down is asked again after a while, and all
wait; an event that is refused is set aside, so that others don't wait for it, and tried again
later.
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
from data_platform.instance.own_tables import Tables, transaction
from data_platform.observability.openlineage.sinks.sending import Refused, Sent, Sink, Unavailable

AT_ONCE = 100
"""Events of one transaction."""
REST, LONGEST_REST = 15.0, 300.0
"""Seconds after which a sink that was down is asked again: twice as many each time."""
SET_ASIDE = (60.0, 600.0, 3_600.0, 86_400.0)
"""Seconds after which an event that was refused so often is tried again; then once a day."""

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
    ),
)
_NEW = sa.text(
    "SELECT id, event, coalesce(not_before > clock_timestamp(), false), tries"
    " FROM data_platform_openlineage WHERE refused = 0 ORDER BY id LIMIT :limit"
)
_ASIDE = sa.text(
    "SELECT id, event, false, refused FROM data_platform_openlineage"
    " WHERE refused > 0 AND not_before <= clock_timestamp() ORDER BY id LIMIT :limit"
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
    rows = [{"event": json.dumps(event, sort_keys=True)} for event in events]
    if rows:
        asked = sa.text("INSERT INTO data_platform_openlineage (event) VALUES (:event)")
        connection.execute(asked, rows)
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
        " FROM data_platform_openlineage"
    )
    with transaction(instance, TABLES) as connection:
        return Waiting(*connection.execute(asked).one())


def _alone(connection: Connection) -> bool:
    """Whether nobody else delivers now; until the transaction's end."""
    lock = {"key": lock_key("data_platform.openlineage")}
    return bool(connection.scalar(sa.text("SELECT pg_try_advisory_xact_lock(:key)"), lock))


def _sent(
    connection: Connection, asked: sa.TextClause, sink: Sink, until: float, delivered: Delivered
) -> bool:
    """Send the next ones; whether there may be more."""
    rows = connection.execute(asked, {"limit": AT_ONCE}).all()
    if not rows or rows[0][2]:
        return False
    sent = sink.send([event for _, event, _, _ in rows], until)
    connection.execute(_ARRIVED, {"ids": [row[0] for row in rows[: sent.count]]})
    delivered.sent += sent.count
    _note(connection, rows, sent, delivered)
    return sent.count > 0 or isinstance(sent.trouble, Refused)


def _note(
    connection: Connection, rows: Sequence[sa.Row[Any]], sent: Sent, delivered: Delivered
) -> None:
    """Keep what was wrong with the first that didn't arrive."""
    match sent.trouble:
        case None:
            return
        case Unavailable(why):
            number, tries = rows[sent.count][0], rows[sent.count][3]
            rest = min(REST * 2 ** min(tries, 10), LONGEST_REST)
            connection.execute(_UNAVAILABLE, {"id": number, "why": why, "rest": rest})
            delivered.trouble = why
        case Refused(why):
            number, _, _, before = rows[sent.count]
            rest = SET_ASIDE[min(before, len(SET_ASIDE) - 1)]
            connection.execute(_REFUSED, {"id": number, "why": why, "rest": rest})
            delivered.refused += 1
