"""Messages that are to be sent, kept in Dagster's database until they are.

Filled by `watching` in the transaction in which an incident is, emptied by `delivering`. A message
is sent at least once: whoever is killed between sending and noting that has sent it twice. Each
code location has its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from dagster import DagsterInstance
from sqlalchemy.engine import Connection

from data_platform.instance.location_names import COLUMN, named, own_location
from data_platform.instance.own_tables import Tables, transaction
from data_platform.observability.alerts.messages import KEPT, Message

FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=15), timedelta(minutes=10)
"""Before the second try, and at most: each try doubles it."""
LEASE = timedelta(seconds=60)
"""For which nobody else sends a message that somebody does; whoever is killed meanwhile holds it up
so long."""
GIVEN_UP_AFTER = timedelta(days=7)
_CREATE = """
CREATE TABLE data_platform_outbox (
    number bigserial PRIMARY KEY,
    id text NOT NULL,
    channel text NOT NULL,
    subject text NOT NULL,
    message json NOT NULL,
    made_at timestamptz NOT NULL,
    next_try timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    error text,
    sent_at timestamptz,
    given_up_at timestamptz,
    UNIQUE (id, channel)
);
CREATE INDEX data_platform_outbox_waiting ON data_platform_outbox (channel, number)
    WHERE sent_at IS NULL AND given_up_at IS NULL;
"""
_BY_LOCATION = f"ALTER TABLE data_platform_outbox ADD COLUMN {COLUMN}"
OUTBOX = Tables("outbox", (_CREATE, _BY_LOCATION))
_WAITING = "location = :location AND sent_at IS NULL AND given_up_at IS NULL"
# What comes later of one subject waits for what came before: a recovery must not overtake.
_CLAIM = f"""
UPDATE data_platform_outbox SET tries = tries + 1, next_try = :until WHERE number = (
    SELECT number FROM data_platform_outbox AS one
    WHERE channel = :channel AND {_WAITING} AND next_try <= :now AND NOT EXISTS (
        SELECT 1 FROM data_platform_outbox AS earlier
        WHERE earlier.channel = one.channel AND earlier.subject = one.subject
            AND earlier.location = one.location AND earlier.number < one.number
            AND earlier.sent_at IS NULL AND earlier.given_up_at IS NULL
    )
    ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING number, message::text, tries
"""


@dataclass(frozen=True)
class Claimed:
    """A message that is ours to send.

    Attributes:
        number: of it in the outbox.
        message: as it was made.
        tries: this one included.
    """

    number: int
    message: Message
    tries: int


@dataclass(frozen=True)
class Undelivered:
    """What a channel hasn't taken.

    Attributes:
        channel: its name.
        waiting: messages that are tried again.
        given_up: messages of the last days that weren't taken for so long that nobody tries more.
        since: when the oldest of them was made.
        error: of the last try.
    """

    channel: str
    waiting: int
    given_up: int
    since: datetime
    error: str | None


def put(
    connection: Connection, messages: Iterable[tuple[Message, Iterable[str]]], now: datetime
) -> None:
    """Messages to be sent, each with the channels; one that is there already isn't put again."""
    rows = [
        {
            "id": named(message.id),
            "channel": channel,
            "subject": message.subject,
            "message": KEPT.dump_json(message).decode(),
            "now": now,
            "location": own_location(),
        }
        for message, channels in messages
        for channel in channels
    ]
    if rows:
        connection.execute(
            sa.text(
                "INSERT INTO data_platform_outbox"
                " (id, channel, subject, message, made_at, next_try, location)"
                " VALUES (:id, :channel, :subject, CAST(:message AS json), :now, :now, :location)"
                " ON CONFLICT (id, channel) DO NOTHING"
            ),
            rows,
        )


def waiting_channels(instance: DagsterInstance, now: datetime) -> list[str]:
    """The channels for which there is something to be sent now; what is too old is given up."""
    with transaction(instance, OUTBOX) as connection:
        connection.execute(
            sa.text(
                f"UPDATE data_platform_outbox SET given_up_at = :now WHERE {_WAITING}"
                " AND made_at < :since"
            ),
            {"now": now, "since": now - GIVEN_UP_AFTER, "location": own_location()},
        )
        asked = sa.text(
            f"SELECT DISTINCT channel FROM data_platform_outbox WHERE {_WAITING}"
            " AND next_try <= :now"
        )
        given = {"now": now, "location": own_location()}
        return sorted(connection.scalars(asked, given))


def claim(instance: DagsterInstance, channel: str, now: datetime) -> Claimed | None:
    """The next message for a channel, which nobody else sends for a while; None where none is."""
    with transaction(instance, OUTBOX) as connection:
        asked = {"channel": channel, "now": now, "until": now + LEASE}
        given = {**asked, "location": own_location()}
        row = connection.execute(sa.text(_CLAIM), given).one_or_none()
    return None if row is None else Claimed(row[0], KEPT.validate_json(row[1]), row[2])


def sent(instance: DagsterInstance, channel: str, number: int, now: datetime) -> None:
    """That a channel took a message: what it didn't take before is tried at once."""
    with transaction(instance, OUTBOX) as connection:
        note = "UPDATE data_platform_outbox SET sent_at = :now, error = NULL WHERE number = :number"
        connection.execute(sa.text(note), {"now": now, "number": number})
        connection.execute(
            sa.text(
                f"UPDATE data_platform_outbox SET next_try = :now WHERE {_WAITING}"
                " AND channel = :channel AND error IS NOT NULL AND next_try > :now"
            ),
            {"now": now, "channel": channel, "location": own_location()},
        )


def failed(instance: DagsterInstance, claimed: Claimed, error: str, now: datetime) -> None:
    """That a channel didn't take a message: it is tried again after a while."""
    delay = min(FIRST_DELAY * 2 ** min(claimed.tries - 1, 10), LONGEST_DELAY)
    with transaction(instance, OUTBOX) as connection:
        connection.execute(
            sa.text(
                "UPDATE data_platform_outbox SET next_try = :next, error = :error"
                " WHERE number = :number"
            ),
            {"next": now + delay, "error": error, "number": claimed.number},
        )


def undelivered(instance: DagsterInstance, now: datetime) -> list[Undelivered]:
    """What channels haven't taken; what wasn't tried yet doesn't count."""
    asked = f"""
        SELECT channel, count(*) FILTER (WHERE given_up_at IS NULL),
            count(*) FILTER (WHERE given_up_at IS NOT NULL), min(made_at),
            (array_agg(error ORDER BY number DESC) FILTER (WHERE error IS NOT NULL))[1]
        FROM data_platform_outbox
        WHERE location = :location
            AND (({_WAITING} AND error IS NOT NULL) OR given_up_at > :since)
        GROUP BY channel ORDER BY channel
    """
    with transaction(instance, OUTBOX) as connection:
        given = {"since": now - GIVEN_UP_AFTER, "location": own_location()}
        rows = connection.execute(sa.text(asked), given)
        return [Undelivered(*row) for row in rows]
