"""Dagster's event log in PostgreSQL, with few statements where there are many assets.

Called by `storage`. A run tells of each asset and check that it is going to compute, one after
another in Dagster's own storage: for ten assets with their checks a second of this process and of
the database, before the run is in the queue. The rows are the same here.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from dagster import DagsterEventType
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.loader import LoadingContext
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)
from dagster_postgres import PostgresEventLogStorage
from dagster_shared.serdes import serialize_value
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from data_platform.instance.masked import masked, masked_text
from data_platform.instance.partition_statuses import Status, Wanted, current_statuses, is_simple

_PLANNED = {
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
}
_SAYS_NOTHING = {kind.value for kind in _PLANNED}


class BriefEventLog(PostgresEventLogStorage):
    """Events, without secrets; what a run plans is written at once."""

    def has_asset_key_col(self, column_name: str) -> bool:
        """Whether the table of assets has a column: it was made by this version, or migrated.

        Dagster's asks the database, several times for each asset that it looks at.
        """
        return column_name in AssetKeyTable.c

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of which some may be plans of a run."""
        if {event.get_dagster_event().event_type for event in events} <= _PLANNED:
            self._store_planned(events)
        else:
            super().store_event_batch(events)

    def _event_to_row(self, event: EventLogEntry) -> dict[str, Any]:
        """What the table of events has of one; plans say nothing of anybody's."""
        row = super()._event_to_row(event)
        if row["dagster_event_type"] not in _SAYS_NOTHING:
            row["event"] = masked_text(row["event"])
        return row

    def _store_asset_event(self, conn: Connection, event: EventLogEntry, event_id: int) -> None:
        super()._store_asset_event(conn, masked(event), event_id)

    def store_asset_check_event(self, event: EventLogEntry, event_id: int | None) -> None:
        """What the table of checks has of one."""
        super().store_asset_check_event(masked(event), event_id)

    def get_asset_status_cache_values(
        self, partitions_defs_by_key: Iterable[Wanted], context: LoadingContext
    ) -> Sequence[Status]:
        """What is kept of assets' partitions, brought up to date."""
        wanted = [*partitions_defs_by_key]
        read = AssetRecord.blocking_get_many(context, [key for key, _ in wanted])
        records = {record.asset_entry.asset_key: record for record in read if record}
        simple = [one for one in dict.fromkeys(wanted) if is_simple(one, records.get(one[0]))]
        found = current_statuses(self, simple, records, context)
        odd = [one for one in wanted if one not in found]
        found |= dict(zip(odd, super().get_asset_status_cache_values(odd, context), strict=True))
        return [found[one] for one in wanted]

    def _store_planned(self, events: Sequence[EventLogEntry]) -> None:
        """What Dagster's storage writes for each of these, all or none."""
        rows = [self._event_to_row(event) for event in events]
        # With lists beside the statement, SQLAlchemy compiles it once, not for each number of rows.
        insert = SqlEventLogStorageTable.insert().returning(
            SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
        )
        with self.index_transaction() as connection:
            numbers = [int(number) for number in connection.scalars(insert, rows)]
            self._store_assets(connection, events, numbers)
            checks = [
                check
                for event, row, number in zip(events, rows, numbers, strict=True)
                for check in self._check_rows(event, number, row["event"])
            ]
            if checks:
                connection.execute(AssetCheckExecutionsTable.insert(), checks)

    def _store_assets(
        self, connection: Connection, events: Sequence[EventLogEntry], numbers: Sequence[int]
    ) -> None:
        values: dict[str, dict[str, Any]] = {}
        for event, number in zip(events, numbers, strict=True):
            planned = event.get_dagster_event()
            if planned.is_asset_materialization_planned and planned.asset_key:
                entry = self._get_asset_entry_values(event, number, has_asset_key_index_cols=True)
                values[planned.asset_key.to_string()] = entry
        if not values:
            return
        rows = [{"asset_key": key, **entry} for key, entry in values.items()]
        insert = postgresql.insert(AssetKeyTable)
        changed = {name: insert.excluded[name] for name in rows[0] if name != "asset_key"}
        upsert = insert.on_conflict_do_update(
            index_elements=[AssetKeyTable.c.asset_key], set_=changed
        )
        # It is one statement for all rows only where it returns something.
        connection.execute(upsert.returning(AssetKeyTable.c.id), rows)

    def _check_rows(
        self, event: EventLogEntry, number: int | None, text: str | None = None
    ) -> list[dict[str, Any]]:
        """What the table of checks has of a planned one.

        Args:
            event: any.
            number: of it.
            text: of it, if it is written already.
        """
        brief = _of_whole_range(event)
        planned = brief.dagster_event.event_specific_data if brief.dagster_event else None
        if not isinstance(planned, AssetCheckEvaluationPlanned):
            return []
        subset = planned.partitions_subset
        row = {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "run_id": event.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": text if text and brief is event else serialize_value(brief),
            "evaluation_event_timestamp": self._event_insert_timestamp(event),
            "evaluation_event_storage_id": number,
        }
        keys = subset.get_partition_keys() if subset is not None else [None]
        return [{**row, "partition": key} for key in keys]

    def _store_asset_check_evaluation_planned(
        self, event: EventLogEntry, event_id: int | None
    ) -> None:
        with self.index_connection() as connection:
            rows = self._check_rows(event, event_id)
            connection.execute(AssetCheckExecutionsTable.insert().values(rows))


def _of_whole_range(event: EventLogEntry) -> EventLogEntry:
    """One planned evaluation a check, not one for each partition of a range.

    A range gives one result a check, so that rows for its partitions would stay planned for ever:
    8,000 of them for a year of a small pipeline, and seconds before the run begins.
    """
    planned = event.dagster_event.event_specific_data if event.dagster_event else None
    if not event.dagster_event or not isinstance(planned, AssetCheckEvaluationPlanned):
        return event
    subset = planned.partitions_subset
    if subset is None or len(subset) <= 1:
        return event
    data = AssetCheckEvaluationPlanned(asset_key=planned.asset_key, check_name=planned.check_name)
    changed = event.dagster_event._replace(event_specific_data=data)
    return event._replace(dagster_event=changed)
