"""Incidents that are over, and messages that nobody has to send any more.

Called by `sweeping`. An incident's row is what keeps it from being told again, and `status` tells
for a week of messages that were given up: neither goes sooner.
"""

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from data_platform.observability.retention.ground import (
    Ground,
    Position,
    Step,
    Table,
    removed,
)

AT_ONCE = 500
SOONEST = timedelta(days=7)


@dataclass(frozen=True)
class Told:
    """Rows of a table of the platform's own.

    Attributes:
        name: what they are called.
        table: in which they are; a moment of NULL says that a row isn't done with.
    """

    name: str
    table: Table

    def step(self, ground: Ground, position: Position) -> Step:  # noqa: ARG002 -- the oldest first
        """Remove some of them."""
        before = ground.before("alerts")
        if before is None:
            return Step({}, None)
        table = self.table
        some = "" if ground.dry else f" ORDER BY {table.moment} LIMIT {AT_ONCE}"
        where = (
            f"e.{table.key} IN (SELECT e.{table.key} FROM {table.name} AS e"
            f" WHERE {table.moment} < :before{some})"
        )
        with ground.brief() as connection:
            there = sa.text("SELECT to_regclass(:table)")
            if connection.scalar(there, {"table": table.name}) is None:
                return Step({}, None)
            given = {"before": min(before, ground.now - SOONEST)}
            gone = removed(connection, ground, table, where, given)
        more = not ground.dry and gone.count == AT_ONCE
        return Step({self.name: gone}, 0 if more else None)


INCIDENTS = Told(
    "incidents",
    Table("data_platform_incidents", "e.closed_at", "octet_length(CAST(e.incident AS text))"),
)
MESSAGES = Told(
    "messages",
    Table(
        "data_platform_outbox",
        "coalesce(e.sent_at, e.given_up_at)",
        "octet_length(CAST(e.message AS text))",
        key="number",
    ),
)
