"""What Dagster's log tells of many assets at once; Dagster itself asks for one after another.

Called by `waking` and `evaluating`.
"""

from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as db
from dagster import AssetKey, DagsterInstance
from dagster._core.events import DagsterEventType
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

_PLANNED = DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value


def assets_since(instance: DagsterInstance, event: int) -> set[AssetKey]:
    """The assets that events after this one tell of."""
    found = db.select(Events.c.asset_key).distinct()
    found = found.where(Events.c.id > event, Events.c.asset_key.is_not(None))
    return {key for (text,) in _rows(instance, found) if (key := AssetKey.from_db_string(text))}


def planned_by(instance: DagsterInstance, runs: Collection[str]) -> Iterable[tuple[str, AssetKey]]:
    """What runs were to compute."""
    if not runs:
        return []
    found = db.select(Events.c.run_id, Events.c.asset_key).distinct()
    found = found.where(Events.c.run_id.in_(runs), Events.c.dagster_event_type == _PLANNED)
    return [
        (run, key) for run, text in _rows(instance, found) if (key := AssetKey.from_db_string(text))
    ]


def last_planned(instance: DagsterInstance, keys: Iterable[AssetKey]) -> Mapping[str, int]:
    """The newest event that tells of a plan to compute an asset, by the asset's text."""
    texts = [key.to_string() for key in keys]
    found = db.select(Events.c.asset_key, db.func.max(Events.c.id)).group_by(Events.c.asset_key)
    found = found.where(Events.c.dagster_event_type == _PLANNED, Events.c.asset_key.in_(texts))
    return dict(_rows(instance, found)) if texts else {}


def _rows(instance: DagsterInstance, query: db.Select) -> list[tuple]:
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"automation asks a log in SQL, not {type(storage).__name__}")
    with storage.index_connection() as connection:
        return [tuple(row) for row in connection.execute(query)]
