"""Events of assets that newer ones have replaced, and results of checks that newer ones have.

Called by `sweeping`. Of runs that aren't over nothing goes, and nothing that a reader of the event
log (alerts, metrics, lineage) hasn't read yet.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from data_platform.observability.retention.ground import (
    EVENT_LOG,
    Ground,
    Position,
    Step,
    Table,
    held,
    removed,
)
from data_platform.observability.retention.replaced import REPLACED, UNFINISHED

LOOKED_AT = 2_000
"""Events of a step."""
AT_ONCE = 1_000
"""Results of checks that a step removes at most."""
_RESULTS = Table(
    "asset_check_executions", "e.evaluation_event_timestamp", "octet_length(e.evaluation_event)"
)
_END = "SELECT max(id) FROM (SELECT id FROM event_logs WHERE id > :first ORDER BY id LIMIT :some) e"
_NEXT_CHECK = (
    "SELECT asset_key, check_name FROM asset_check_executions"
    " WHERE (asset_key, check_name) {after} (:asset, :name) ORDER BY asset_key, check_name LIMIT 1"
)
# The newest of each state: Dagster asks for the last one, and for the last one that ended.
_REPLACED_RESULTS = (
    "e.id IN (SELECT id FROM (SELECT c.id, c.evaluation_event_timestamp AS at,"
    " lead(c.evaluation_event_timestamp)"
    " OVER (PARTITION BY c.partition, c.execution_status ORDER BY c.id) AS replaced"
    " FROM asset_check_executions AS c WHERE c.asset_key = :asset AND c.check_name = :name) AS c"
    " WHERE c.replaced < :before AND c.at < :before ORDER BY c.id LIMIT :some)"
    f" AND NOT {UNFINISHED}"
)


@dataclass(frozen=True)
class Events:
    """Of the event log, from the lowest number on."""

    name = "events"

    def step(self, ground: Ground, position: Position) -> Step:
        """Remove those among the next events that were replaced."""
        before = ground.before("events")
        if before is None:
            return Step({}, None)
        with ground.brief() as connection:
            given = {"first": position or 0, "some": LOOKED_AT}
            end = connection.scalar(sa.text(_END), given)
            if end is None:
                return Step({}, None)
            limit = held(connection, ground.now)
            where = f"e.id > :first AND e.id <= :end AND {REPLACED} AND NOT {UNFINISHED}"
            given |= {"end": min(end, limit - 1), "before": before.replace(tzinfo=None)}
            gone = removed(connection, ground, EVENT_LOG, where, given)
        return Step({"events": gone}, end if end < limit else None)


@dataclass(frozen=True)
class CheckResults:
    """Of Dagster's table of checks, one check after the other."""

    name = "check results"

    def step(self, ground: Ground, position: Position) -> Step:
        """Remove results of the next check, or the rest of one that has many."""
        before = ground.before("events")
        if before is None:
            return Step({}, None)
        asset, name, again = position or ("", "", False)
        with ground.brief() as connection:
            asked = _NEXT_CHECK.format(after=">=" if again else ">")
            row = connection.execute(sa.text(asked), {"asset": asset, "name": name}).one_or_none()
            if row is None:
                return Step({}, None)
            given = {
                "asset": row[0],
                "name": row[1],
                "before": before.replace(tzinfo=None),
                "some": None if ground.dry else AT_ONCE,
            }
            gone = removed(connection, ground, _RESULTS, _REPLACED_RESULTS, given)
        more = not ground.dry and gone.count == AT_ONCE
        return Step({"check results": gone}, [row[0], row[1], more])
