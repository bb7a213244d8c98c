"""How assets stand by Dagster's log: what is published of what is due, how late it is.

Called by `exporter` each minute: its questions answer with a row for each asset. What is published
of an asset is unfolded only when that has changed, since years of hours take a while.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.loader import LoadingContext
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.partition_status_cache import AssetStatusCacheValue

from data_platform.asset_specs import asset_key, partitions_definition
from data_platform.observability.metrics import catalogue
from data_platform.observability.metrics.catalogue import Metric, Sample
from data_platform.observability.metrics.folding import labels_of
from data_platform.plan.freshness import (
    NOTHING,
    Published,
    judge_freshness,
    lag_of,
    published_of,
)
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.plan.partitions import Partitions

_STATES = {"pass": 0, "warn": 1, "fail": 2}


class _Loaders(LoadingContext):
    """What Dagster reads assets' records by, many at once; of one look."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._loaders: dict[type, Any] = {}

    @property
    def instance(self) -> dg.DagsterInstance:
        """Dagster's."""
        return self._instance

    @property
    def loaders(self) -> dict[type, Any]:
        """Those that were made."""
        return self._loaders


@dataclass(frozen=True)
class _Unfolded:
    """The partitions of an asset.

    Attributes:
        status: in which Dagster keeps them.
        keys: of those that are published.
        published: what these come to, without a moment.
        failed: how many failed.
    """

    status: AssetStatusCacheValue | None
    keys: Collection[str] = ()
    published: Published = NOTHING
    failed: int = 0


class AssetLooks:
    """Looks at assets, and remembers what it unfolded."""

    def __init__(self) -> None:
        self._unfolded: dict[Key, _Unfolded] = {}

    def look(
        self, instance: dg.DagsterInstance, nodes: Sequence[AnyNode], now: datetime
    ) -> list[Sample]:
        """All gauges of assets.

        Args:
            instance: Dagster's.
            nodes: the assets.
            now: aware.
        """
        records, statuses = asyncio.run(_read(instance, nodes))
        due = _Due(instance, now)
        found: list[Sample] = []
        for node, record, status in zip(nodes, records, statuses, strict=True):
            last = record.asset_entry.last_materialization_record if record else None
            at = datetime.fromtimestamp(last.timestamp, UTC) if last else None
            unfolded = self._of(node, status)
            labels = labels_of(node.key)
            figures = [*_counts(node, unfolded, at, due), *_lags(node, unfolded, at, now)]
            found += [Sample(metric, labels, value) for metric, value in figures]
        return found

    def _of(self, node: AnyNode, status: AssetStatusCacheValue | None) -> _Unfolded:
        """The partitions of an asset, from before where nothing has changed."""
        before = self._unfolded.get(node.key)
        definition = partitions_definition(node.partitions)
        if status is None or definition is None:
            return _Unfolded(None)
        if before is not None and before.status == status:
            return before
        subset = status.deserialize_materialized_partition_subsets(definition)
        failed = status.deserialize_failed_partition_subsets(definition)
        keys = frozenset(subset.get_partition_keys())
        published = published_of(node.partitions, keys, None)
        after = _Unfolded(status, keys, published, len(failed))
        self._unfolded[node.key] = after
        return after


class _Due:
    """The partitions that are due at a moment, once for all assets that have the same."""

    def __init__(self, instance: dg.DagsterInstance, now: datetime) -> None:
        self._instance = instance
        self._now = now
        self._known: dict[Partitions, list[str]] = {}

    def of(self, partitions: Partitions) -> list[str]:
        """Their keys."""
        if partitions not in self._known:
            registered = (
                self._instance.get_dynamic_partitions(partitions.dynamic)
                if partitions.dynamic
                else ()
            )
            self._known[partitions] = partitions.due(self._now, registered)
        return self._known[partitions]


async def _read(
    instance: dg.DagsterInstance, nodes: Sequence[AnyNode]
) -> tuple[list[AssetRecord | None], list[AssetStatusCacheValue | None]]:
    """What Dagster keeps of assets, and of the partitions of those that have some."""
    loaders = _Loaders(instance)
    records = await asyncio.gather(
        *(AssetRecord.gen(loaders, asset_key(node.key)) for node in nodes)
    )
    statuses = await asyncio.gather(*(_status(loaders, node) for node in nodes))
    return list(records), list(statuses)


async def _status(loaders: _Loaders, node: AnyNode) -> AssetStatusCacheValue | None:
    definition = partitions_definition(node.partitions)
    if definition is None:
        return None
    return await AssetStatusCacheValue.gen(loaders, (asset_key(node.key), definition))


def _counts(
    node: AnyNode, unfolded: _Unfolded, at: datetime | None, due: _Due
) -> Iterator[tuple[Metric, float]]:
    if at is not None:
        yield catalogue.PUBLISHED_AT, at.timestamp()
    if not node.enabled:
        return
    if node.partitions is None:
        yield catalogue.DUE, 1
        yield catalogue.MISSING, float(at is None)
        return
    keys = due.of(node.partitions)
    yield catalogue.DUE, len(keys)
    yield catalogue.MISSING, sum(key not in unfolded.keys for key in keys)
    yield catalogue.PARTITIONS_FAILED, unfolded.failed


def _lags(
    node: AnyNode, unfolded: _Unfolded, at: datetime | None, now: datetime
) -> Iterator[tuple[Metric, float]]:
    policy = node.freshness
    if policy is None or not node.enabled:
        return
    published = replace(unfolded.published, at=at)
    state = judge_freshness(policy, node.partitions, published, now).state
    if state in _STATES:
        yield catalogue.FRESHNESS, _STATES[state]
    lag = lag_of(node.partitions, published, now)
    if lag is not None:
        yield catalogue.LAG, lag.total_seconds()
    if policy.fail_after is not None:
        yield catalogue.LAG_LIMIT, policy.fail_after.total_seconds()
