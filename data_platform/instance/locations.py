"""What each code location of one Dagster notes of itself, for the others to know.

Noted each minute by the sensor `pools`; read by pools, retention, alerts and metrics, so that none
removes, allows or tells what is another one's, and so that two of a name find out.
"""

import json
from dataclasses import asdict
from datetime import timedelta

import sqlalchemy as sa
from dagster import DagsterInstance
from sqlalchemy.engine import Connection

from data_platform.code_locations import ALIVE, About, Noted
from data_platform.instance.location_names import own_location
from data_platform.instance.own_tables import Tables, has_tables, transaction

FORGOTTEN = timedelta(days=30)
"""One that hasn't for so long is gone."""
_CREATE = """
CREATE TABLE data_platform_locations (
    name text NOT NULL,
    served_as text NOT NULL,
    about jsonb NOT NULL,
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (name, served_as)
)
"""
LOCATIONS = Tables("locations", (_CREATE,))
_NOTE = sa.text(
    "INSERT INTO data_platform_locations (name, served_as, about, noted_at)"
    " VALUES (:name, :served_as, CAST(:about AS jsonb), clock_timestamp())"
    " ON CONFLICT (name, served_as) DO UPDATE"
    " SET about = excluded.about, noted_at = excluded.noted_at"
)
_FORGET = sa.text(
    "DELETE FROM data_platform_locations"
    " WHERE (name <> :name AND served_as = :served_as AND served_as <> '')"
    " OR noted_at < clock_timestamp() - CAST(:age AS interval)"
)
_KNOWN = sa.text(
    "SELECT name, served_as, about, noted_at > clock_timestamp() - CAST(:alive AS interval)"
    " FROM data_platform_locations WHERE noted_at > clock_timestamp() - CAST(:age AS interval)"
    " ORDER BY name, served_as"
)


def note_location(instance: DagsterInstance, served_as: str, about: About) -> None:
    """Note this process's location, and forget those that are gone, or are called otherwise now.

    Args:
        instance: Dagster's.
        served_as: what Dagster calls it.
        about: it.
    """
    if not has_tables(instance):
        return
    row = {"name": own_location(), "served_as": served_as, "about": json.dumps(asdict(about))}
    with transaction(instance, LOCATIONS) as connection:
        connection.execute(_NOTE, row)
        connection.execute(_FORGET, {**row, "age": FORGOTTEN})


def known_locations(instance: DagsterInstance) -> list[Noted]:
    """All that were noted in the last days, this process's among them."""
    if not has_tables(instance):
        return []
    with transaction(instance, LOCATIONS) as connection:
        return locations_in(connection)


def locations_in(connection: Connection) -> list[Noted]:
    """The same, in a transaction in which `LOCATIONS` is there."""
    rows = connection.execute(_KNOWN, {"alive": ALIVE, "age": FORGOTTEN})
    return [Noted.of(*row) for row in rows]
