"""Rows that were held back long ago, and that nobody has mended or discarded for good since.

Called by `sweeping`. Rows of a partition are held back together, so they go together, in a commit
of their table like any other: files go when `lake vacuum` finds that no version needs them.
Decisions about rows stay: a correction is part of what is published, and a discarded row that comes
again is still discarded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.instance.location_names import named
from data_platform.observability.retention.ground import (
    Gone,
    Ground,
    Position,
    Step,
)
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import StagingNode
from data_platform.spec.times import duration_words
from data_platform.storage.commits import KEEPING
from data_platform.storage.lake import Lake
from data_platform.storage.rewriting import Layout, replace_partitions
from data_platform.storage.versions import PartitionVersion, Snapshot

OPERATION = "retention"
AT_ONCE = 100
"""Partitions of a step."""


@dataclass(frozen=True)
class Quarantine:
    """The tables of quarantine of these assets, one after the other.

    Attributes:
        nodes: the assets.
        lake: with the tables.
        by: who removes them.
    """

    nodes: Sequence[StagingNode]
    lake: Lake
    by: str

    @property
    def name(self) -> str:
        """Of these alone: other code locations have other lakes."""
        return named("quarantine")

    def step(self, ground: Ground, position: Position) -> Step:
        """Remove partitions of the next table that has old ones."""
        before = ground.before("quarantine")
        if before is None:
            return Step({}, None)
        done = position or ""
        for key in sorted({node.quarantine_key for node in self.nodes}, key=str):
            if str(key) > done:
                gone, more = self._remove(ground, key, before)
                return Step({"quarantine": gone}, done if more else str(key))
        return Step({}, None)

    def _remove(self, ground: Ground, key: Key, before: datetime) -> tuple[Gone, bool]:
        """Remove old partitions of a table in a commit; whether there may be more."""
        table = self.lake.table(key)
        snapshot = table.snapshot()
        if snapshot is None:
            return Gone(), False
        old = _old(snapshot, before)
        if ground.dry:
            return sum((_gone(version) for _, version in old), Gone()), False
        some = dict(old[:AT_ONCE])
        if some:
            replace_partitions(
                table,
                snapshot.version,
                Layout(snapshot.schema, snapshot.partitioned),
                {partition: [] for partition in some},
                {KEEPING: OPERATION, "by": self.by},
            )
            _tell(ground, key, some, self.by)
        return sum(map(_gone, some.values()), Gone()), len(old) > AT_ONCE


def _old(snapshot: Snapshot, before: datetime) -> list[tuple[str, PartitionVersion]]:
    """Partitions whose rows are all from before a moment."""
    limit = before.timestamp() * 1000
    return [
        (key, version)
        for key, version in snapshot.partitions.items()
        if version.rows and all(file.committed < limit for file in version.files)
    ]


def _gone(version: PartitionVersion) -> Gone:
    moments = [datetime.fromtimestamp(file.committed / 1000, UTC) for file in version.files]
    return Gone(version.rows, version.bytes, min(moments), max(moments))


def _tell(ground: Ground, key: Key, gone: dict[str, PartitionVersion], by: str) -> None:
    """Tell Dagster that the rows are no more."""
    age = ground.declared.quarantine
    why = "removed" if age is None else f"removed after {duration_words(age)}"
    for partition, version in gone.items():
        ground.instance.report_runless_asset_event(
            dg.AssetObservation(
                asset_key(key),
                partition=None if partition == WHOLE else partition,
                description=f"{version.rows:,} rows {why}",
                metadata={"rows_removed": version.rows, "rows_open": 0, "data_platform/by": by},
            )
        )
