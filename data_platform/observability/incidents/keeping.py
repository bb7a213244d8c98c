"""Incidents in Dagster's database.

Written by `alerts.watching` in the transaction in which the position in Dagster's log is; read by
it, by the command and by `status`.
"""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from dagster import DagsterInstance
from sqlalchemy.engine import Connection

from data_platform.instance.own_tables import Tables, transaction
from data_platform.observability.incidents.model import KEPT, Incident

_CREATE = """
CREATE TABLE data_platform_incidents (
    id text PRIMARY KEY,
    closed_at timestamptz,
    incident json NOT NULL
);
CREATE INDEX data_platform_incidents_open ON data_platform_incidents (id) WHERE closed_at IS NULL;
CREATE INDEX data_platform_incidents_closed ON data_platform_incidents (closed_at);
"""
INCIDENTS = Tables("incidents", (_CREATE,))


def kept_incidents(connection: Connection, since: datetime) -> list[Incident]:
    """Those that are open, and those that were closed since a moment."""
    asked = sa.text(
        "SELECT incident::text FROM data_platform_incidents"
        " WHERE closed_at IS NULL OR closed_at >= :since"
    )
    return [KEPT.validate_json(text) for text in connection.scalars(asked, {"since": since})]


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
                "INSERT INTO data_platform_incidents (id, closed_at, incident)"
                " VALUES (:id, :closed, CAST(:incident AS json)) ON CONFLICT (id) DO UPDATE"
                " SET closed_at = excluded.closed_at, incident = excluded.incident"
            ),
            [
                {"id": one.id, "closed": one.closed, "incident": KEPT.dump_json(one).decode()}
                for one in kept
            ],
        )


def looked_at(instance: DagsterInstance) -> datetime | None:
    """When somebody looked last for what goes wrong; None where nobody has yet."""
    with transaction(instance, INCIDENTS) as connection:
        if connection.scalar(sa.text("SELECT to_regclass('data_platform_followers')")) is None:
            return None
        asked = "SELECT updated_at FROM data_platform_followers WHERE name = 'alerts'"
        return connection.scalar(sa.text(asked))


def open_incidents(instance: DagsterInstance) -> list[Incident]:
    """What is wrong now, what was seen first at the top; those behind another included."""
    with transaction(instance, INCIDENTS) as connection:
        asked = sa.text(
            "SELECT incident::text FROM data_platform_incidents WHERE closed_at IS NULL"
        )
        found = [KEPT.validate_json(text) for text in connection.scalars(asked)]
    return sorted((one for one in found if one.signs), key=lambda one: (one.opened, one.name))
