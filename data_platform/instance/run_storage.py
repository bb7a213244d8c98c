"""Dagster's storage of runs: who starts one holds its lock of life until it has ended.

Made by `storage`; the launcher, the coordinator, backfills and the last steps of pipelines ask it
for what Dagster's own doesn't know.
"""

import zlib
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from dagster import DagsterEvent, DagsterEventType, DagsterRunStatus
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.snap import ExecutionPlanSnapshot
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable, SnapshotsTable
from dagster._core.storage.runs.sql_run_storage import SnapshotType
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster_postgres import PostgresRunStorage
from dagster_shared.serdes import serialize_value
from dagster_shared.serdes.utils import hash_str
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Engine

from data_platform.instance.audited import AuditedRuns
from data_platform.instance.liveness import WORKER_TAG, RunLocks
from data_platform.instance.masked import masked
from data_platform.instance.pooled_storages import Pooled

if TYPE_CHECKING:
    from dagster._daemon.types import DaemonHeartbeat

_LAUNCHING_DAEMON = "QUEUED_RUN_COORDINATOR"
_RUN_ENDS = {
    DagsterEventType.RUN_SUCCESS,
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.RUN_CANCELED,
}
_ENDED = (DagsterRunStatus.FAILURE.value, DagsterRunStatus.CANCELED.value)
_TOLD_OTHERWISE = (GRPC_INFO_TAG, WORKER_TAG)
"""Of runs whose process a launcher tells to end; a command's sees it here alone."""


class PlatformRunStorage(Pooled, AuditedRuns, PostgresRunStorage):
    """Runs; the process that starts one holds its lock of life until it has ended."""

    def __init__(self, url: str, engine: Engine) -> None:
        super().__init__(url, should_autocreate_tables=False)
        self._engine = engine
        self._locks = RunLocks(url, self._overruled)

    def has_run_stats_index_cols(self) -> bool:
        """Asked until it is so."""
        return self._is_there("start and end", super().has_run_stats_index_cols)

    def has_backfill_id_column(self) -> bool:
        """Asked until it is there."""
        return self._is_there("backfill_id", super().has_backfill_id_column)

    def has_execution_plan_snapshot(self, execution_plan_snapshot_id: str) -> bool:
        """Look for it; Dagster's reads all of it."""
        return self._has_snapshot_id(execution_plan_snapshot_id)

    def add_execution_plan_snapshot(self, execution_plan_snapshot: ExecutionPlanSnapshot) -> str:
        """Keep it under the hash of its text; Dagster's writes the text once for each."""
        text = serialize_value(execution_plan_snapshot)
        row = {
            "snapshot_id": hash_str(text),
            "snapshot_body": zlib.compress(text.encode()),
            "snapshot_type": SnapshotType.EXECUTION_PLAN.value,
        }
        with self.connect() as connection:
            insert = postgresql.insert(SnapshotsTable).values(row)
            connection.execute(insert.on_conflict_do_nothing())
        return row["snapshot_id"]

    def handle_run_event(
        self, run_id: str, event: DagsterEvent, update_timestamp: datetime | None = None
    ) -> None:
        """Hold the lock before the run becomes STARTED: no started run is ever without one."""
        if event.event_type == DagsterEventType.RUN_START:
            self._locks.hold(run_id)
        elif event.event_type in _RUN_ENDS:
            self._locks.ends(run_id)
        super().handle_run_event(run_id, event, update_timestamp)
        if event.event_type in _RUN_ENDS:
            self._locks.release(run_id)

    def _overruled(self, run_ids: Collection[str]) -> set[str]:
        """Those of runs of this process that others ended, or that only it can end."""
        tags, runs = RunTagsTable.c, RunsTable.c
        told = sa.exists().where(tags.run_id == runs.run_id, tags.key.in_(_TOLD_OTHERWISE))
        query = sa.select(runs.run_id).where(
            runs.run_id.in_(run_ids),
            runs.status.in_(_ENDED) | ((runs.status == DagsterRunStatus.CANCELING.value) & ~told),
        )
        with self.connect() as connection:
            return set(connection.scalars(query))

    def tags_in_queue(self, prefix: str) -> dict[str, str]:
        """Tags of runs that wait in the queue, by name; where several have one, the newest run's.

        Args:
            prefix: of their names.
        """
        tags, runs = RunTagsTable.c, RunsTable.c
        query = (
            sa.select(tags.key, tags.value)
            .join_from(RunTagsTable, RunsTable, tags.run_id == runs.run_id)
            .where(runs.status == DagsterRunStatus.QUEUED.value, tags.key.startswith(prefix))
            .order_by(runs.id)
        )
        with self.connect() as connection:
            return {str(key): str(value) for key, value in connection.execute(query).all()}

    def add_daemon_heartbeat(self, daemon_heartbeat: "DaemonHeartbeat") -> None:
        """Tell the launcher that this process launches runs, when its queue shows life."""
        super().add_daemon_heartbeat(masked(daemon_heartbeat))
        if daemon_heartbeat.daemon_type == _LAUNCHING_DAEMON:
            prepare = getattr(self._instance.run_launcher, "prepare", None)
            if prepare:
                prepare()

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Keep a backfill of Dagster's own, without secrets."""
        super().add_backfill(masked(partition_backfill))

    def update_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Keep how far it is, and what it failed of."""
        super().update_backfill(masked(partition_backfill))

    def dispose(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()
