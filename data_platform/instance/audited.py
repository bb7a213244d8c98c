"""What people change in Dagster's UI and Dagster itself keeps no record of, noted where it is kept.

Mixed into the storages of `storage`. Who it was `users` knows where a proxy says so, and then what
Dagster keeps without a name is noted too; else what is noted is the process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from dagster import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.schedules.schema import InstigatorsTable
from dagster._core.storage.schedules.sql_schedule_storage import SqlScheduleStorage
from dagster_shared.serdes import deserialize_value

from data_platform.instance.audit_trail import note
from data_platform.instance.users import user_of_request, user_tags

_WORDS = {
    InstigatorStatus.RUNNING: "started",
    InstigatorStatus.STOPPED: "stopped",
    InstigatorStatus.DECLARED_IN_CODE: "reset",
}
_BACKFILL_WORDS = {
    BulkActionStatus.CANCELING: "cancelled",
    BulkActionStatus.REQUESTED: "resumed",
}
_RUNLESS_WORDS = {
    DagsterEventType.ASSET_WIPED: "asset wiped",
    DagsterEventType.ASSET_MATERIALIZATION: "build told",
    DagsterEventType.ASSET_OBSERVATION: "observation told",
    DagsterEventType.ASSET_CHECK_EVALUATION: "check told",
}
_PAUSED_KEY = "ASSET_DAEMON_PAUSED"
"""By which Dagster keeps whether the evaluation of conditions without a sensor is paused."""
_CURSOR_SHOWN = 100
"""Characters of where a sensor was moved to."""


class AuditedRuns(SqlRunStorage):
    """Runs that are deleted, backfills that are begun and ended, automation that is paused."""

    def delete_run(self, run_id: str) -> None:
        """Delete a run, and note it."""
        run = self._get_run_by_id(run_id)
        super().delete_run(run_id)
        if run is not None:
            note(self._instance, "run deleted", [run_id], f"{run.job_name}, {run.status.value}")

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Keep a backfill, with who began it: one that is made again has the first one's tags."""
        user = user_of_request()
        if user is not None:
            tags = {**partition_backfill.tags, **user_tags(user)}
            partition_backfill = partition_backfill._replace(tags=tags)
        super().add_backfill(partition_backfill)

    def update_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Keep how far a backfill is, and note it if somebody ends or resumes it in the UI."""
        super().update_backfill(partition_backfill)
        word = _BACKFILL_WORDS.get(partition_backfill.status)
        if user_of_request() is not None and word is not None:
            keys = sorted("/".join(key.path) for key in partition_backfill.asset_selection or ())
            note(self._instance, f"backfill {word}", keys, partition_backfill.backfill_id)

    def set_cursor_values(self, pairs: Mapping[str, str]) -> None:
        """Keep how far daemons are, and note it if somebody pauses automation."""
        super().set_cursor_values(pairs)
        paused = pairs.get(_PAUSED_KEY)
        if user_of_request() is not None and paused is not None:
            note(self._instance, f"automation {'started' if paused == 'false' else 'stopped'}", [])


class AuditedEvents(SqlEventLogStorage):
    """Partitions, limits of pools, and what Dagster's log tells without who it was."""

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event, and note who it is of if somebody made it in the UI."""
        super().store_event(event)
        if user_of_request() is None:
            return
        deed = _deed_of(event)
        if deed is not None:
            at = datetime.fromtimestamp(event.timestamp, UTC)
            note(self._instance, deed.action, [deed.about], deed.detail, at=at)

    def add_dynamic_partitions(
        self, partitions_def_name: str, partition_keys: Sequence[str]
    ) -> None:
        """Register partitions, and note them if somebody did it in the UI."""
        super().add_dynamic_partitions(partitions_def_name, partition_keys)
        if user_of_request() is not None:
            for key in partition_keys:
                note(self._instance, "partitions registered", [partitions_def_name], key)

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        """Forget a partition, and note it."""
        super().delete_dynamic_partition(partitions_def_name, partition_key)
        note(self._instance, "partition forgotten", [partitions_def_name], partition_key)

    def set_concurrency_slots(self, concurrency_key: str, num: int) -> None:
        """Limit a pool, and note it if somebody did it in the UI."""
        super().set_concurrency_slots(concurrency_key, num)
        self._note_in_ui("pool limited", concurrency_key, f"to {num}")

    def delete_concurrency_limit(self, concurrency_key: str) -> None:
        """Give a pool the limit of all, and note it if somebody did it in the UI."""
        super().delete_concurrency_limit(concurrency_key)
        self._note_in_ui("pool reset", concurrency_key)

    def free_concurrency_slots_for_run(self, run_id: str) -> None:
        """Free what a run has of pools, and note it if somebody did it in the UI."""
        super().free_concurrency_slots_for_run(run_id)
        # A run that is deleted frees them too, and is noted itself.
        if user_of_request() is not None and self._instance.has_run(run_id):
            self._note_in_ui("pools freed", run_id)

    def free_concurrency_slot_for_step(self, run_id: str, step_key: str) -> None:
        """Free what a step has of pools, and note it if somebody did it in the UI."""
        super().free_concurrency_slot_for_step(run_id, step_key)
        self._note_in_ui("pools freed", run_id, step_key)

    def _note_in_ui(self, action: str, about: str, detail: str = "") -> None:
        if user_of_request() is not None:
            note(self._instance, action, [about], detail)


@dataclass(frozen=True)
class _Deed:
    """What an event says that somebody did, in the words of `observability.audit`."""

    action: str
    about: str
    detail: str


def _deed_of(entry: EventLogEntry) -> _Deed | None:
    """None where an event tells of no deed of a person."""
    event = entry.dagster_event
    if event is None:
        return None
    if event.event_type is DagsterEventType.PIPELINE_CANCELING:
        return _Deed("run cancelled", entry.job_name or "", f"run {entry.run_id}")
    action = _RUNLESS_WORDS.get(event.event_type)
    if entry.run_id or action is None:
        return None
    detail = event.partition or ""
    key = event.asset_key
    if event.event_type is DagsterEventType.ASSET_WIPED:
        detail = ", ".join(event.asset_wiped_data.partition_keys or ())
    elif event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
        evaluation = event.asset_check_evaluation_data
        passed = "passed" if evaluation.passed else "failed"
        key, detail = evaluation.asset_key, f"{evaluation.check_name}: {passed}"
    return _Deed(action, "/".join(key.path), detail) if key else None


class AuditedSchedules(SqlScheduleStorage):
    """Sensors and schedules that are started and stopped."""

    def add_instigator_state(self, state: InstigatorState) -> InstigatorState:
        """Keep the state of one that was as its code says."""
        added = super().add_instigator_state(state)
        if state.status is not InstigatorStatus.DECLARED_IN_CODE:
            self._note(state)
        return added

    def update_instigator_state(self, state: InstigatorState) -> InstigatorState:
        """Keep it, and note it if it isn't how far one is, but whether it goes.

        How far one is, is noted if somebody says it in the UI.
        """
        query = sa.select(InstigatorsTable.c.status, InstigatorsTable.c.instigator_body).where(
            InstigatorsTable.c.selector_id == state.selector_id
        )
        with self.connect() as connection:
            before = connection.execute(query).first()
        updated = super().update_instigator_state(state)
        if before is not None and before.status != state.status.value:
            self._note(state)
        elif before is not None and user_of_request() is not None:
            cursor = _cursor(state)
            if cursor != _cursor(deserialize_value(before.instigator_body, InstigatorState)):
                name = state.origin.instigator_name
                note(self._instance, "sensor moved", [name], f"to {cursor[:_CURSOR_SHOWN]!r}")
        return updated

    def _note(self, state: InstigatorState) -> None:
        kind = state.instigator_type.value.lower()
        action = f"{kind} {_WORDS[state.status]}"
        note(self._instance, action, [state.origin.instigator_name])


def _cursor(state: InstigatorState) -> str:
    data = state.instigator_data
    return (data.cursor or "") if isinstance(data, SensorInstigatorData) else ""
