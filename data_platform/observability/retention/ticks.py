"""Looks of sensors and schedules, and what conditions answered in them.

Called by `sweeping`. The newest of each sensor or schedule and outcome stays, and the last answer
of each asset, which `why` tells. Dagster removes ticks too, by kind, as `retention` of dagster.yaml
says.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from data_platform.observability.retention.ground import (
    Ground,
    Position,
    Step,
    Table,
    removed,
)

LOOKED_AT = 2_000
_END = "SELECT max(id) FROM (SELECT id FROM {table} WHERE id > :first ORDER BY id LIMIT :some) AS e"
_TICKS = (
    "e.status <> 'STARTED' AND e.timestamp < CAST(:before AS timestamptz) AT TIME ZONE 'UTC'"
    " AND EXISTS (SELECT 1 FROM job_ticks AS n WHERE n.selector_id = e.selector_id"
    " AND n.status = e.status AND n.timestamp > e.timestamp)"
)
# When it was kept is in the time zone of the database.
_ANSWERS = (
    "e.create_timestamp < CAST(:before AS timestamptz)::timestamp"
    " AND EXISTS (SELECT 1 FROM asset_daemon_asset_evaluations AS n"
    " WHERE n.asset_key = e.asset_key AND n.evaluation_id > e.evaluation_id)"
)


@dataclass(frozen=True)
class Looks:
    """Rows of a table of Dagster's schedules.

    Attributes:
        name: what they are called.
        table: in which they are.
        where: of what goes, as SQL.
    """

    name: str
    table: Table
    where: str

    def step(self, ground: Ground, position: Position) -> Step:
        """Remove those among the next rows that are old."""
        before = ground.before("ticks")
        if before is None:
            return Step({}, None)
        with ground.brief() as connection:
            given: dict[str, object] = {"first": position or 0, "some": LOOKED_AT}
            end = connection.scalar(sa.text(_END.format(table=self.table.name)), given)
            if end is None:
                return Step({}, None)
            where = f"e.id > :first AND e.id <= :end AND {self.where}"
            given = {"first": position or 0, "end": end, "before": before}
            gone = removed(connection, ground, self.table, where, given)
        return Step({self.name: gone}, end)


TICKS = Looks("ticks", Table("job_ticks", "e.timestamp", "octet_length(e.tick_body)"), _TICKS)
ANSWERS = Looks(
    "answers of conditions",
    Table(
        "asset_daemon_asset_evaluations",
        "e.create_timestamp",
        "octet_length(e.asset_evaluation_body)",
    ),
    _ANSWERS,
)
