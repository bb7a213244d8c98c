"""Runs and backfills that aren't over: what they may read must stay.

Called by the command before anything is removed. Asks Dagster's instance.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from data_platform.asset_specs import asset_key
from data_platform.keeping.vacuum import Keep
from data_platform.plan.keys import Key
from data_platform.run_tags import pinned_versions

_OPEN = [
    BulkActionStatus.REQUESTED,
    BulkActionStatus.CANCELING,
    BulkActionStatus.FAILING,
]


@dataclass(frozen=True)
class AtWork:
    """What isn't over.

    Attributes:
        name: `run 1a2b3c4d` or `backfill abcdefgh`.
        since: when it was asked for: what was current then may be read.
        assets: that it makes; None where that isn't known, so that it may be any.
        pinned: versions that it wants to read, by asset.
    """

    name: str
    since: datetime
    assets: frozenset[dg.AssetKey] | None
    pinned: Mapping[Key, frozenset[int]]

    def concerns(self, keys: Collection[Key]) -> bool:
        """Whether it may make one of these assets."""
        return self.assets is None or not self.assets.isdisjoint(map(asset_key, keys))


def at_work(instance: dg.DagsterInstance) -> list[AtWork]:
    """All runs that are queued or in progress, and all backfills.

    Raises:
        PermanentError: one pins versions in a way that can't be read.
    """
    records = instance.get_run_records(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    found = [_of_run(record) for record in records]
    for backfill in instance.get_backfills(filters=BulkActionsFilter(statuses=_OPEN)):
        name = f"backfill {backfill.backfill_id[:8]}"
        since = datetime.fromtimestamp(backfill.backfill_timestamp, UTC)
        selection = backfill.asset_selection
        assets = frozenset(selection) if selection else None
        found.append(AtWork(name, since, assets, pinned_versions(backfill.tags, name)))
    return sorted(found, key=lambda one: one.since)


def kept_for(working: Iterable[AtWork]) -> Keep:
    """What must stay for them."""
    some = list(working)
    pinned: dict[Key, frozenset[int]] = {}
    for one in some:
        for key, versions in one.pinned.items():
            pinned[key] = pinned.get(key, frozenset()) | versions
    return Keep(min((one.since for one in some), default=None), pinned)


def _of_run(record: dg.RunRecord) -> AtWork:
    run = record.dagster_run
    name = f"run {run.run_id[:8]}"
    since = record.create_timestamp
    aware = since if since.tzinfo else since.replace(tzinfo=UTC)
    assets = frozenset(run.asset_selection) if run.asset_selection else None
    return AtWork(name, aware, assets, pinned_versions(run.tags, name))
