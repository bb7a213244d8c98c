"""What Dagster keeps of assets' partitions, brought up to date for many assets at once.

Called by `event_log`, for automation, freshness and the UI. Dagster asks its log of one asset after
another, four times, also where nothing has happened since; here one question is for a hundred
assets. What the answers make of the partitions is left to Dagster.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import sqlalchemy as sa
from dagster import AssetKey, DagsterEventType, DagsterInstance, PartitionsDefinition
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.loader import LoadingContext
from dagster._core.storage.event_log.base import AssetRecord, PlannedMaterializationInfo
from dagster._core.storage.event_log.schema import AssetKeyTable
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.partition_status_cache import (
    AssetStatusCacheValue,
    _build_status_cache,
    is_cacheable_partition_type,
)
from dagster._core.workspace.context import BaseWorkspaceRequestContext
from dagster_shared.serdes import serialize_value

_TOGETHER = 100
"""Assets of a question: one without a status may answer with years of hours."""
_BUILT = DagsterEventType.ASSET_MATERIALIZATION.value
_PLANNED = DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value

Wanted = tuple[AssetKey, PartitionsDefinition | None]
Status = AssetStatusCacheValue | None


def is_simple(wanted: Wanted, record: AssetRecord | None) -> bool:
    """Whether the log tells all of an asset's partitions: they are kept, and none was wiped."""
    _, definition = wanted
    if definition is None or not is_cacheable_partition_type(definition):
        return False
    details = record.asset_entry.asset_details if record else None
    return details is None or details.last_wipe_timestamp is None


def current_statuses(
    storage: SqlEventLogStorage,
    wanted: Sequence[Wanted],
    records: Mapping[AssetKey, AssetRecord],
    context: LoadingContext,
) -> dict[Wanted, Status]:
    """What is so now, which is also what Dagster keeps from then on.

    Args:
        storage: Dagster's log.
        wanted: assets that are simple, and their partitions.
        records: of the assets, as far as there are any.
        context: of Dagster's loaders.
    """
    instance = context.instance
    found: dict[Wanted, Status] = {}
    changed: dict[AssetKey, AssetStatusCacheValue] = {}
    dynamic = instance
    if isinstance(context, BaseWorkspaceRequestContext):
        dynamic = context.dynamic_partitions_loader
    with partition_loading_context(None, dynamic):
        for start in range(0, len(wanted), _TOGETHER):
            some = wanted[start : start + _TOGETHER]
            told = [_told(storage, instance, one, records.get(one[0])) for one in some]
            _read_events(storage, told)
            for one, about in zip(some, told, strict=True):
                found[one] = status = about.status()
                if status is not None and status != about.kept:
                    changed[about.key] = status
    _keep(storage, changed)
    return found


@dataclass
class _Told:
    """An asset, and what the log tells of it; Dagster asks it in the place of its instance.

    Attributes:
        storage: Dagster's log.
        instance: Dagster's.
        key: the asset's.
        definition: its partitions.
        record: as it was read.
        kept: its status as it was kept.
        stored: the same, if it is of these partitions.
        newest: the newest event of each kind and partition since then.
    """

    storage: SqlEventLogStorage
    instance: DagsterInstance
    key: AssetKey
    definition: PartitionsDefinition
    record: AssetRecord | None
    kept: Status
    stored: Status
    newest: dict[tuple[str, str | None], int] = field(default_factory=dict)

    asset_records_have_last_planned_and_failed_materializations = False

    @property
    def after(self) -> int:
        """The event since which something may be new."""
        if self.stored is None:
            return 0
        begun = self.stored.earliest_in_progress_materialization_event_id
        return (
            min(self.stored.latest_storage_id, begun - 1)
            if begun
            else self.stored.latest_storage_id
        )

    def status(self) -> Status:
        """What is so now."""
        if self.record is None:
            return None  # no event since it was wiped, if there ever was one
        if self.stored is not None and not self.newest:
            built = self.record.asset_entry.last_materialization_storage_id or 0
            if built <= self.after == self.stored.latest_storage_id:
                return self.stored
        instance = cast("DagsterInstance", self)
        return _build_status_cache(instance, self.key, self.definition, self.stored, self.record)

    @property
    def event_log_storage(self) -> "_Told":
        """Dagster asks some of it there."""
        return self

    def get_latest_planned_materialization_info(self, _: AssetKey) -> PlannedMaterializationInfo:
        """The newest plan to compute the asset, of any partitions."""
        planned = [number for (kind, _), number in self.newest.items() if kind == _PLANNED]
        known = self.stored.latest_storage_id if self.stored else 0
        return PlannedMaterializationInfo(storage_id=max(planned, default=known), run_id="")

    def get_materialized_partitions(self, _: AssetKey, after_cursor: int | None = None) -> set[str]:
        """The partitions that were built."""
        return set(self._of(_BUILT, after_cursor))

    def get_latest_asset_partition_materialization_attempts_without_materializations(
        self, _: AssetKey, after_storage_id: int | None = None
    ) -> dict[str, tuple[str, int]]:
        """The partitions that a run was to build and hasn't, with it and the event that says so."""
        built = self._of(_BUILT, after_storage_id)
        planned = self._of(_PLANNED, after_storage_id)
        left = {one: number for one, number in planned.items() if built.get(one, 0) <= number}
        runs = _runs_of(self.storage, left.values())
        return {one: (runs[number], number) for one, number in left.items() if number in runs}

    def get_runs(self, **arguments: Any) -> Sequence[Any]:
        """Of Dagster."""
        return self.instance.get_runs(**arguments)

    def _of(self, kind: str, after: int | None) -> dict[str, int]:
        return {
            partition: number
            for (one, partition), number in self.newest.items()
            if one == kind and partition is not None and number > (after or 0)
        }


def _told(
    storage: SqlEventLogStorage,
    instance: DagsterInstance,
    wanted: Wanted,
    record: AssetRecord | None,
) -> _Told:
    key, definition = wanted
    if definition is None:
        raise AssertionError(key)
    kept = record.asset_entry.cached_status if record else None
    known = kept is not None and (
        kept.partitions_def_id == definition.get_serializable_unique_identifier()
    )
    return _Told(storage, instance, key, definition, record, kept, kept if known else None)


def _read_events(storage: SqlEventLogStorage, told: Sequence[_Told]) -> None:
    by_text = {about.key.to_string(): about for about in told}
    columns = sa.column("asset_key", sa.Text), sa.column("after", sa.BigInteger)
    rows = [(text, about.after) for text, about in by_text.items()]
    asked = sa.values(*columns, name="asked").data(rows).cte("asked").c
    query = (
        sa.select(
            Events.c.asset_key,
            Events.c.dagster_event_type,
            Events.c.partition,
            sa.func.max(Events.c.id),
        )
        .where(Events.c.asset_key == asked.asset_key, Events.c.id > asked.after)
        .where(Events.c.dagster_event_type.in_([_BUILT, _PLANNED]))
        .group_by(Events.c.asset_key, Events.c.dagster_event_type, Events.c.partition)
    )
    with storage.index_connection() as connection:
        for text, kind, partition, number in connection.execute(query):
            by_text[text].newest[kind, partition] = number


def _runs_of(storage: SqlEventLogStorage, numbers: Collection[int]) -> dict[int, str]:
    """The runs of events, by the event's number."""
    if not numbers:
        return {}
    query = sa.select(Events.c.id, Events.c.run_id).where(Events.c.id.in_(numbers))
    with storage.index_connection() as connection:
        return {row.id: row.run_id for row in connection.execute(query)}


def _keep(storage: SqlEventLogStorage, statuses: Mapping[AssetKey, AssetStatusCacheValue]) -> None:
    if not statuses:
        return
    rows = [
        {"key": key.to_string(), "status": serialize_value(status)}
        for key, status in statuses.items()
    ]
    update = (
        AssetKeyTable.update()
        .where(AssetKeyTable.c.asset_key == sa.bindparam("key"))
        .values(cached_status_data=sa.bindparam("status"))
    )
    with storage.index_transaction() as connection:
        connection.execute(update, rows)
