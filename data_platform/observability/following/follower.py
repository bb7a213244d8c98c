"""Reads Dagster's event log from where one of its readers stopped; none is lost, none comes twice.

Used by alerts, metrics and lineage. What a reader makes of a batch is written in the transaction in
which its position is: both are kept, or neither.
"""

import json
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from dagster import DagsterEvent, DagsterEventType, DagsterInstance
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster_shared.serdes import deserialize_value
from sqlalchemy.engine import Connection

from data_platform.instance.location_names import named
from data_platform.instance.own_tables import Tables, transaction
from data_platform.observability.following.positions import Position

AT_ONCE = 1_000
"""Events of all kinds that one batch looks at."""
_CREATE = """
CREATE TABLE data_platform_followers (
    name text PRIMARY KEY,
    position jsonb NOT NULL,
    state jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
)
"""
_TABLES = Tables("followers", (_CREATE,))


@dataclass(frozen=True)
class Followed:
    """An event.

    Attributes:
        number: of it in Dagster's log, ascending, though not by time.
        entry: as Dagster keeps it.
    """

    number: int
    entry: EventLogEntry

    @property
    def event(self) -> DagsterEvent:
        """What happened."""
        return self.entry.get_dagster_event()


@dataclass
class Batch:
    """What is new for a reader.

    Attributes:
        events: of the kinds that it follows, by number.
        connection: the transaction in which its position is kept.
        state: what the reader remembers besides, as JSON has it; what it changes is kept.
        more: whether there may be more at once.
    """

    events: list[Followed]
    connection: Connection = field(repr=False)
    state: dict[str, Any] = field(default_factory=dict[str, Any])
    more: bool = False


@dataclass(frozen=True)
class Follower:
    """A reader of the log.

    Attributes:
        name: of it, under which its position is kept; each code location has its own.
        kinds: of events that it is told of.
        tables: of its own, in which it writes what it makes of them.
    """

    name: str
    kinds: Collection[DagsterEventType]
    tables: tuple[Tables, ...] = ()

    @contextmanager
    def batch(self, instance: DagsterInstance, limit: int = AT_ONCE) -> Generator[Batch | None]:
        """What is new since the last batch whose block ended without an error.

        The first batch of all is empty: what was before isn't told.

        Args:
            instance: Dagster's.
            limit: events of all kinds that are looked at.

        Yields:
            The batch; None where another process is at one now.
        """
        with transaction(instance, _TABLES, *self.tables) as connection:
            kept = self._kept(connection)
            if kept is None:
                yield None
                return
            position, state = kept
            rows = self._rows(connection, position, limit)
            now = float(connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())")))
            events = [Followed(number, _entry(text)) for number, text in rows if text is not None]
            batch = Batch(events, connection, state, more=len(rows) >= limit)
            yield batch
            after = position.after([number for number, _ in rows], now)
            self._keep(connection, after, batch.state)

    def _kept(self, connection: Connection) -> tuple[Position, dict[str, Any]] | None:
        """Where it stopped, and what it remembered; locked until the transaction's end."""
        begin = sa.text(
            "INSERT INTO data_platform_followers (name, position, state)"
            " SELECT :name, jsonb_build_object('upto', coalesce(max(id), 0), 'gaps', '[]'::jsonb),"
            " '{}'::jsonb FROM event_logs ON CONFLICT (name) DO NOTHING"
        )
        find = sa.text(
            "SELECT position, state FROM data_platform_followers WHERE name = :name"
            " FOR UPDATE SKIP LOCKED"
        )
        there = sa.text("SELECT 1 FROM data_platform_followers WHERE name = :name")
        name = {"name": named(self.name)}
        if connection.scalar(there, name) is None:
            connection.execute(begin, name)
        row = connection.execute(find, name).one_or_none()
        return None if row is None else (Position.from_json(row[0]), dict(row[1]))

    def _rows(
        self, connection: Connection, position: Position, limit: int
    ) -> list[tuple[int, str | None]]:
        """The numbers of all new events, with the text of those that are followed."""
        kinds = [kind.value for kind in self.kinds]
        text = sa.case((Events.c.dagster_event_type.in_(kinds), Events.c.event))
        new = Events.c.id > position.upto
        for_long = [Events.c.id.between(gap.first, gap.last) for gap in position.gaps]
        asked = sa.select(Events.c.id, text).where(sa.or_(new, *for_long))
        found = connection.execute(asked.order_by(Events.c.id).limit(limit))
        return [(number, event) for number, event in found]

    def _keep(self, connection: Connection, position: Position, state: dict[str, Any]) -> None:
        connection.execute(
            sa.text(
                "UPDATE data_platform_followers SET position = :position, state = :state,"
                " updated_at = clock_timestamp() WHERE name = :name"
            ),
            {
                "name": named(self.name),
                "position": json.dumps(position.as_json()),
                "state": json.dumps(state),
            },
        )


def _entry(text: str) -> EventLogEntry:
    return deserialize_value(text, EventLogEntry)
