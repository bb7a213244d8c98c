"""What people change in Dagster's UI and Dagster itself keeps no record of, noted where it is kept.

Mixed into the storages of `storage`. Who it was Dagster doesn't know: what is noted is the process.
"""

import sqlalchemy as sa
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.schedules.schema import InstigatorsTable
from dagster._core.storage.schedules.sql_schedule_storage import SqlScheduleStorage

from data_platform.instance.audit_trail import note

_WORDS = {
    InstigatorStatus.RUNNING: "started",
    InstigatorStatus.STOPPED: "stopped",
    InstigatorStatus.DECLARED_IN_CODE: "reset",
}


class AuditedRuns(SqlRunStorage):
    """Runs that are deleted."""

    def delete_run(self, run_id: str) -> None:
        """Delete a run, and note it."""
        run = self._get_run_by_id(run_id)
        super().delete_run(run_id)
        if run is not None:
            note(self._instance, "run deleted", [run_id], f"{run.job_name}, {run.status.value}")


class AuditedEvents(SqlEventLogStorage):
    """Partitions that were registered and are no more."""

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        """Forget a partition, and note it."""
        super().delete_dynamic_partition(partitions_def_name, partition_key)
        note(self._instance, "partition forgotten", [partitions_def_name], partition_key)


class AuditedSchedules(SqlScheduleStorage):
    """Sensors and schedules that are started and stopped."""

    def add_instigator_state(self, state: InstigatorState) -> InstigatorState:
        """Keep the state of one that was as its code says."""
        added = super().add_instigator_state(state)
        if state.status is not InstigatorStatus.DECLARED_IN_CODE:
            self._note(state)
        return added

    def update_instigator_state(self, state: InstigatorState) -> InstigatorState:
        """Keep it, and note it if it isn't how far one is, but whether it goes."""
        query = sa.select(InstigatorsTable.c.status).where(
            InstigatorsTable.c.selector_id == state.selector_id
        )
        with self.connect() as connection:
            before = connection.scalar(query)
        updated = super().update_instigator_state(state)
        if before is not None and before != state.status.value:
            self._note(state)
        return updated

    def _note(self, state: InstigatorState) -> None:
        kind = state.instigator_type.value.lower()
        action = f"{kind} {_WORDS[state.status]}"
        note(self._instance, action, [state.origin.instigator_name])
