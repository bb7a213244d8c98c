"""What Dagster's log tells of many assets at once; Dagster itself asks for one after another.

Called by `waking`.
"""

import functools
from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as db
from dagster import AssetKey, DagsterInstance
from dagster._core.events import DagsterEventType
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

_PLANNED = DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value


def events_since(instance: DagsterInstance, event: int) -> Sequence[tuple[int, AssetKey]]:
    """The events after this one that tell of assets."""
    found = db.select(Events.c.id, Events.c.asset_key)
    found = found.where(Events.c.id > event, Events.c.asset_key.is_not(None))
    key_of = functools.cache(AssetKey.from_db_string)
    return [(number, key) for number, text in _rows(instance, found) if (key := key_of(text))]


def planned_by(instance: DagsterInstance, runs: Collection[str]) -> Iterable[tuple[str, AssetKey]]:
    """What runs were to compute."""
    if not runs:
        return []
    found = db.select(Events.c.run_id, Events.c.asset_key).distinct()
    found = found.where(Events.c.run_id.in_(runs), Events.c.dagster_event_type == _PLANNED)
    return [
        (run, key) for run, text in _rows(instance, found) if (key := AssetKey.from_db_string(text))
    ]


def _rows(instance: DagsterInstance, query: db.Select) -> list[tuple]:
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"automation asks a log in SQL, not {type(storage).__name__}")
    with storage.index_connection() as connection:
        return [tuple(row) for row in connection.execute(query)]
