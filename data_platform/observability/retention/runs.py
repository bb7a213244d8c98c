"""Runs that ended long ago: those of which nothing is needed, and what is idle talk of the others.

Called by `sweeping`, behind `events` and `compute_logs`. A run of which Dagster needs an event (by
what a partition was built, or that it failed and wasn't built since) stays, with that and with how
it ended; all else of it goes, which is most. So what stays is as much as assets have partitions,
however many runs there were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES
from sqlalchemy.engine import Connection

from data_platform.instance.audit_trail import noted_together
from data_platform.observability.retention.ground import (
    EVENT_LOG,
    Gone,
    Ground,
    Position,
    Step,
    held,
    removed,
)
from data_platform.observability.retention.replaced import REPLACED

LOOKED_AT = 50
"""Runs of a step."""
AT_ONCE = 1_000
"""Events that a step removes at most."""
ENDED = "coalesce(r.end_time, extract(epoch FROM r.update_timestamp AT TIME ZONE 'UTC'))"
_CLOSED = ", ".join(sorted(f"'{status.value}'" for status in {*BULK_ACTION_TERMINAL_STATUSES}))
UNCLOSED = (
    "EXISTS (SELECT 1 FROM bulk_actions AS b WHERE b.key = r.backfill_id"
    f" AND b.status NOT IN ({_CLOSED}))"
)
"""Whether run `r` is of a backfill that goes on, which looks what its runs did."""
_ENDS = ("PIPELINE_START", "PIPELINE_SUCCESS", "PIPELINE_FAILURE", "PIPELINE_CANCELED")
# `backfill --failed-only` tells by these what a run has left undone, and `status` why.
_FAILURES = (
    *("STEP_OUTPUT", "STEP_SUCCESS", "STEP_FAILURE", "STEP_UP_FOR_RETRY"),
    "ASSET_CHECK_EVALUATION",
)
_OVER = f"""
SELECT r.id, r.run_id, r.status, {ENDED} AS ended, octet_length(r.run_body) AS size FROM runs AS r
WHERE r.id > :first AND r.status IN ('SUCCESS', 'FAILURE', 'CANCELED') AND {ENDED} < :before
    AND NOT {UNCLOSED}
    AND NOT EXISTS (SELECT 1 FROM event_logs AS e WHERE e.run_id = r.run_id AND e.id >= :held)
ORDER BY r.id LIMIT :some
"""
_NEEDED = f"""
SELECT DISTINCT e.run_id FROM event_logs AS e
WHERE e.run_id = ANY(:runs) AND e.asset_key IS NOT NULL AND NOT {REPLACED}
"""
_IDLE = f"""e.run_id = ANY(:runs) AND (
    e.run_id <> ALL(:needed) OR {REPLACED} OR (e.asset_key IS NULL AND NOT coalesce(
        e.dagster_event_type = ANY(:ends)
        OR (e.run_id = ANY(:failed) AND e.dagster_event_type = ANY(:failures)), FALSE
    ))
)"""


@dataclass(frozen=True)
class Runs:
    """Of Dagster's table of runs, the oldest first."""

    name = "runs"

    def step(self, ground: Ground, position: Position) -> Step:
        """Remove events of the next runs; then the runs themselves, by Dagster."""
        before = ground.before("runs")
        if before is None:
            return Step({}, None)
        with ground.brief() as connection:
            given = {
                "first": position or 0,
                "before": before.timestamp(),
                "held": held(connection, ground.now),
                "some": LOOKED_AT,
            }
            over = connection.execute(sa.text(_OVER), given).all()
            if not over:
                return Step({}, None)
            needed = _needed(connection, ground, [run.run_id for run in over])
            events = _idle_events(connection, ground, over, needed)
        if events.count == AT_ONCE and not ground.dry:
            return Step({"events of runs": events}, position or 0)
        idle = [run for run in over if run.run_id not in needed]
        if not ground.dry:
            with noted_together():
                # Their events are gone, and their slots are free since they ended.
                for run in idle:
                    ground.instance.run_storage.delete_run(run.run_id)
        moments = [datetime.fromtimestamp(run.ended, UTC) for run in idle]
        runs = Gone(
            len(idle),
            sum(run.size for run in idle),
            min(moments, default=None),
            max(moments, default=None),
        )
        return Step({"events of runs": events, "runs": runs}, over[-1].id)


def _needed(connection: Connection, ground: Ground, runs: Sequence[str]) -> set[str]:
    """Those of runs of which Dagster needs an event."""
    given = {"runs": list(runs), "before": _replaced_before(ground)}
    return set(connection.scalars(sa.text(_NEEDED), given))


def _idle_events(
    connection: Connection, ground: Ground, over: Sequence[sa.Row[Any]], needed: set[str]
) -> Gone:
    """Remove events of runs that nobody needs; those that went before aren't counted."""
    given: dict[str, Any] = {
        "runs": [run.run_id for run in over],
        "needed": list(needed),
        "failed": [run.run_id for run in over if run.status != "SUCCESS"],
        "ends": [*_ENDS],
        "failures": [*_FAILURES],
        "before": _replaced_before(ground),
    }
    where = _IDLE
    if ground.dry:
        where += " AND e.dagster_event_type IS DISTINCT FROM 'LOGS_CAPTURED'"
        replaced = ground.before("events")
        if replaced is not None:
            where += f" AND NOT {REPLACED.replace(':before', ':events')}"
            given["events"] = replaced.replace(tzinfo=None)
    else:
        where = f"e.id IN (SELECT e.id FROM event_logs AS e WHERE {where} LIMIT {AT_ONCE})"
    return removed(connection, ground, EVENT_LOG, where, given)


def _replaced_before(ground: Ground) -> datetime | None:
    """Since when an event must have been replaced, as Dagster's tables have it."""
    before = ground.before("runs", "events")
    return before and before.replace(tzinfo=None)
