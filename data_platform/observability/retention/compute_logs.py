"""What steps have printed, of runs that ended long ago.

Called by `sweeping`, before `runs`. Dagster's manager of these logs removes them, wherever it keeps
them; then the event that says where they are goes, by which a run whose logs are there is found.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from dagster import DagsterInstance
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager

from data_platform.observability.retention.ground import (
    EVENT_LOG,
    Gone,
    Ground,
    Position,
    Step,
    held,
    removed,
)
from data_platform.observability.retention.runs import ENDED, UNCLOSED

LOOKED_AT = 50
"""Runs of a step."""
_NEXT = f"""
SELECT e.run_id, e.id FROM event_logs AS e JOIN runs AS r ON r.run_id = e.run_id
WHERE e.dagster_event_type = 'LOGS_CAPTURED' AND e.id > :first AND e.id < :held
    AND e.timestamp < :at AND r.status IN ('SUCCESS', 'FAILURE', 'CANCELED')
    AND {ENDED} < :before AND NOT {UNCLOSED}
    AND NOT EXISTS (
        SELECT 1 FROM event_logs AS n WHERE n.run_id = e.run_id AND n.id < e.id
            AND n.dagster_event_type = 'LOGS_CAPTURED'
    )
ORDER BY e.id LIMIT :some
"""
_OF_RUNS = "e.run_id = ANY(:runs) AND e.dagster_event_type = 'LOGS_CAPTURED'"


@dataclass(frozen=True)
class ComputeLogs:
    """Of the runs whose logs were written first."""

    name = "compute logs"

    def step(self, ground: Ground, position: Position) -> Step:
        """Remove the logs of the next runs."""
        before = ground.before("compute_logs", "runs")
        if before is None:
            return Step({}, None)
        with ground.brief() as connection:
            given = {
                "first": position or 0,
                "held": held(connection, ground.now),
                "at": before.replace(tzinfo=None),
                "before": before.timestamp(),
                "some": LOOKED_AT,
            }
            found = connection.execute(sa.text(_NEXT), given).all()
        if not found:
            return Step({}, None)
        runs = [row.run_id for row in found]
        size = sum(_bytes(ground.instance, run) for run in runs)
        if not ground.dry:
            for run in runs:
                ground.instance.compute_log_manager.delete_logs(prefix=[run])
        with ground.brief() as connection:
            told = removed(connection, ground, EVENT_LOG, _OF_RUNS, {"runs": runs})
        logs = Gone(told.count, size, told.oldest, told.newest)
        return Step({"compute logs": logs}, found[-1].id)


def _bytes(instance: DagsterInstance, run: str) -> int:
    """Of a run's logs on this machine; 0 where they are elsewhere."""
    manager = instance.compute_log_manager
    if not isinstance(manager, LocalComputeLogManager):
        return 0
    folder = Path(manager.get_captured_local_path([run, "any"], "out")).parent
    return sum(
        (Path(place) / name).stat().st_size for place, _, names in os.walk(folder) for name in names
    )
