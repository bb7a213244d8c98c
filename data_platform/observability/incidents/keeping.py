"""Incidents in Dagster's database.

Written by `alerts.watching` in the transaction in which the position in Dagster's log is; read by
it, by the command and by `status`. Each code location has its own.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
from dagster import DagsterInstance
from sqlalchemy.engine import Connection

from data_platform.instance.liveness import lock_key
from data_platform.instance.location_names import COLUMN, DEFAULT, named, own_location
from data_platform.instance.own_tables import Tables, transaction
from data_platform.observability.incidents.model import KEPT, Incident, Matter

_CREATE = """
CREATE TABLE data_platform_incidents (
    id text PRIMARY KEY,
    closed_at timestamptz,
    incident json NOT NULL
);
CREATE INDEX data_platform_incidents_open ON data_platform_incidents (id) WHERE closed_at IS NULL;
CREATE INDEX data_platform_incidents_closed ON data_platform_incidents (closed_at);
"""
_BY_LOCATION = f"ALTER TABLE data_platform_incidents ADD COLUMN {COLUMN}"
INCIDENTS = Tables("incidents", (_CREATE, _BY_LOCATION))
LOOKS = timedelta(minutes=10)
"""A code location that hasn't looked for so long tells nobody."""
_ELSEWHERE = sa.text(
    "SELECT EXISTS (SELECT 1 FROM data_platform_incidents AS i"
    " JOIN data_platform_followers AS f ON f.name IN ('alerts', 'alerts@' || i.location)"
    f" AND (f.name = 'alerts') = (i.location = '{DEFAULT}')"
    " WHERE i.closed_at IS NULL AND i.location <> :location"
    " AND i.incident->>'matter' = :matter AND f.updated_at > now() - CAST(:since AS interval)"
    " AND (i.incident->>'told_at' IS NULL OR json_array_length(i.incident->'told_to') > 0))"
)


def kept_incidents(connection: Connection, since: datetime) -> list[Incident]:
    """Those that are open, and those that were closed since a moment."""
    asked = sa.text(
        "SELECT incident::text FROM data_platform_incidents"
        " WHERE location = :location AND (closed_at IS NULL OR closed_at >= :since)"
    )
    given = {"since": since, "location": own_location()}
    return [KEPT.validate_json(text) for text in connection.scalars(asked, given)]


def keep(connection: Connection, incidents: Iterable[Incident]) -> None:
    """Write incidents as they are now; what nobody was told of and is over is forgotten."""
    gone = [one.id for one in incidents if one.closed and one.told_at is None]
    kept = [one for one in incidents if one.id not in gone]
    if gone:
        forget = sa.text("DELETE FROM data_platform_incidents WHERE id = ANY(:ids)")
        connection.execute(forget, {"ids": gone})
    if kept:
        connection.execute(
            sa.text(
                "INSERT INTO data_platform_incidents (id, closed_at, incident, location)"
                " VALUES (:id, :closed, CAST(:incident AS json), :location)"
                " ON CONFLICT (id) DO UPDATE"
                " SET closed_at = excluded.closed_at, incident = excluded.incident"
            ),
            [
                {
                    "id": one.id,
                    "closed": one.closed,
                    "incident": KEPT.dump_json(one).decode(),
                    "location": own_location(),
                }
                for one in kept
            ],
        )


def is_told_elsewhere(connection: Connection, matter: Matter) -> bool:
    """Whether another code location that looks now has such an incident, and tells somebody.

    Until the transaction's end nobody else asks the same.

    Args:
        connection: of a follower's transaction.
        matter: of what concerns them all.
    """
    lock = {"key": lock_key(f"data_platform.incidents {matter}")}
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), lock)
    given = {"matter": matter, "location": own_location(), "since": LOOKS}
    return bool(connection.scalar(_ELSEWHERE, given))


def looked_at(instance: DagsterInstance) -> datetime | None:
    """When somebody looked last for what goes wrong; None where nobody has yet."""
    with transaction(instance, INCIDENTS) as connection:
        if connection.scalar(sa.text("SELECT to_regclass('data_platform_followers')")) is None:
            return None
        asked = "SELECT updated_at FROM data_platform_followers WHERE name = :name"
        return connection.scalar(sa.text(asked), {"name": named("alerts")})


def open_incidents(instance: DagsterInstance) -> list[Incident]:
    """What is wrong now, what was seen first at the top; those behind another included."""
    with transaction(instance, INCIDENTS) as connection:
        asked = sa.text(
            "SELECT incident::text FROM data_platform_incidents"
            " WHERE closed_at IS NULL AND location = :location"
        )
        given = {"location": own_location()}
        found = [KEPT.validate_json(text) for text in connection.scalars(asked, given)]
    return sorted((one for one in found if one.signs), key=lambda one: (one.opened, one.name))
