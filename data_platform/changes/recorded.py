"""What is published, as the lake and Dagster's event log tell it; nothing is written.

Called by `changes.planned`: which code made each partition, how many rows there are, and how long
partitions took lately.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dagster import DagsterEventType, DagsterInstance
from dagster._core.definitions.data_version import CODE_VERSION_TAG

from data_platform.asset_specs import asset_key
from data_platform.engine.lake_files import duckdb_type
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode, DestinationNode
from data_platform.storage.lake import Lake

LAYERS = ("raw", "staging", "analytics", "destinations")
_EVENTS = 20
"""Materializations from which the time of a partition is taken."""


@dataclass(frozen=True)
class Recorded:
    """What is published of an asset.

    Attributes:
        code: the version of the code that made each partition.
        rows: of each partition, where they are kept in the lake.
        columns: types by name, where they are kept in the lake.
        seconds: that one partition took lately; None where nobody knows.
    """

    code: Mapping[str, str] = field(default_factory=dict[str, str])
    rows: Mapping[str, int] = field(default_factory=dict[str, int])
    columns: Mapping[str, str | None] | None = None
    seconds: float | None = None

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
    code = _code(node, instance)
    rows: dict[str, int] = {}
    columns = None
    if snapshot is not None:
        rows = {key: version.rows for key, version in snapshot.partitions.items()}
        columns = {one.name: duckdb_type(one.type) for one in snapshot.schema}
        code = {key: version for key, version in code.items() if key in rows}
    elif not isinstance(node, DestinationNode):
        code = {}
    return Recorded(code, rows, columns, _seconds(node, instance))


def known_keys(instance: DagsterInstance) -> list[Key]:
    """All assets of the platform's layers that were ever materialized."""
    found = [tuple(key.path) for key in instance.all_asset_keys()]
    return sorted(
        Key(*path) for path in found if len(path) == len(Key._fields) and path[0] in LAYERS
    )


def _code(node: AnyNode, instance: DagsterInstance) -> dict[str, str]:
    key = asset_key(node.key)
    if node.partitions is None:
        event = instance.get_latest_materialization_event(key)
        made = event.asset_materialization if event else None
        version = (made.tags or {}).get(CODE_VERSION_TAG) if made else None
        return {WHOLE: version} if version else {}
    tags = instance.event_log_storage.get_latest_tags_by_partition(
        key, DagsterEventType.ASSET_MATERIALIZATION, [CODE_VERSION_TAG]
    )
    return {one: said[CODE_VERSION_TAG] for one, said in tags.items() if CODE_VERSION_TAG in said}


def _seconds(node: AnyNode, instance: DagsterInstance) -> float | None:
    records = instance.fetch_materializations(asset_key(node.key), _EVENTS).records
    told = [record.asset_materialization for record in records]
    found = [value for one in told if one and (value := _number(one.metadata)) is not None]
    return sum(found) / len(found) if found else None


def _number(metadata: Mapping[str, Any]) -> float | None:
    value = getattr(metadata.get("seconds"), "value", None)
    return float(value) if isinstance(value, int | float) else None
