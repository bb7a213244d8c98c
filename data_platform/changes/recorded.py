"""What is published, as the lake and Dagster's event log tell it; nothing is written.

Called by `changes.planned`: which code made each partition, how many rows there are, and how long
partitions took lately.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dagster import (
    AssetMaterialization,
    AssetRecordsFilter,
    DagsterEventType,
    DagsterInstance,
    EventLogRecord,
)
from dagster._core.definitions.data_version import CODE_VERSION_TAG

from data_platform.asset_specs import asset_key
from data_platform.engine.lake_files import duckdb_type
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode, DestinationNode
from data_platform.storage.lake import Lake

LAYERS = ("raw", "staging", "analytics", "destinations")
_EVENTS = 20
"""Partitions from whose last materializations the time of one is taken."""
_AT_ONCE = 1000
"""Materializations that are fetched by one query."""


@dataclass(frozen=True)
class Recorded:
    """What is published of an asset.

    Attributes:
        tags: of the newest materialization of each partition.
        rows: of each partition, where they are kept in the lake.
        columns: types by name, where they are kept in the lake.
        seconds: that one partition took lately; None where nobody knows.
    """

    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    rows: Mapping[str, int] = field(default_factory=dict[str, int])
    columns: Mapping[str, str | None] | None = None
    seconds: float | None = None

    @property
    def code(self) -> dict[str, str]:
        """The version of the code that made each partition."""
        found = {key: tags.get(CODE_VERSION_TAG) for key, tags in self.tags.items()}
        return {key: version for key, version in found.items() if version}

    def built_otherwise(self, code_version: str) -> list[str]:
        """The partitions that other code made."""
        return sorted(key for key, version in self.code.items() if version != code_version)


def recorded_of(node: AnyNode, instance: DagsterInstance, lake: Lake) -> Recorded:
    """What is published of an asset.

    Args:
        node: the asset, as it is or was.
        instance: Dagster's.
        lake: with the tables.
    """
    snapshot = None if isinstance(node, DestinationNode) else lake.table(node.key).snapshot()
    newest = _newest(node, instance)
    tags = {key: one.tags or {} for key, one in newest.items()}
    rows: dict[str, int] = {}
    columns = None
    if snapshot is not None:
        rows = {key: version.rows for key, version in snapshot.partitions.items()}
        columns = {one.name: duckdb_type(one.type) for one in snapshot.schema}
    if not isinstance(node, DestinationNode):
        tags = {key: some for key, some in tags.items() if key in rows}
    return Recorded(tags, rows, columns, _seconds(newest))


def known_keys(instance: DagsterInstance) -> list[Key]:
    """All assets of the platform's layers that were ever materialized."""
    found = [tuple(key.path) for key in instance.all_asset_keys()]
    return sorted(
        Key(*path) for path in found if len(path) == len(Key._fields) and path[0] in LAYERS
    )


def _newest(node: AnyNode, instance: DagsterInstance) -> dict[str, AssetMaterialization]:
    """The newest materialization of each partition."""
    key = asset_key(node.key)
    if node.partitions is None:
        records = instance.fetch_materializations(key, 1).records
    else:
        ids = instance.event_log_storage.get_latest_storage_id_by_partition(
            key, DagsterEventType.ASSET_MATERIALIZATION
        )
        wanted, records = sorted(ids.values()), list[EventLogRecord]()
        for start in range(0, len(wanted), _AT_ONCE):
            some = AssetRecordsFilter(key, storage_ids=wanted[start : start + _AT_ONCE])
            records += instance.fetch_materializations(some, _AT_ONCE).records
    made = {record.partition_key or WHOLE: record.asset_materialization for record in records}
    return {key: one for key, one in made.items() if one is not None}


def _seconds(newest: Mapping[str, AssetMaterialization]) -> float | None:
    """Of a partition; those on which no work was done don't tell it."""
    told = [newest[key].metadata for key in sorted(newest)[-_EVENTS:]]
    found = [value for one in told if (value := _number(one)) is not None]
    return sum(found) / len(found) if found else None


def _number(metadata: Mapping[str, Any]) -> float | None:
    value = getattr(metadata.get("seconds"), "value", None)
    return float(value) if isinstance(value, int | float) else None
