"""What is asked: one asset and partition, and what Dagster and the lake keep of them.

Made by `why`, and by `above` for each asset that another one waits for. Everything is read when it
is asked for, and once.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from dagster import AssetRecordsFilter, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.event_api import EventLogRecord
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES, RunRecord

from data_platform.asset_specs import asset_key
from data_platform.observability.causes import ago_words
from data_platform.observability.failures import ENDED_BADLY, Failure, failure_in, last_failures
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.plan.pipelines import Plan
from data_platform.range_runs.tags import partitions_of
from data_platform.storage.lake import Lake

LOOKED_AT = 500
"""Runs that go on, and runs that failed: the newest."""


@dataclass(frozen=True)
class Records:
    """What is kept of all assets.

    Attributes:
        plan: of all pipelines.
        instance: Dagster's, which is only read.
        lake: which is only read.
        now: an aware moment.
    """

    plan: Plan
    instance: DagsterInstance
    lake: Lake
    now: datetime

    @cached_property
    def under_way(self) -> list[RunRecord]:
        """Runs that haven't ended, the newest first."""
        return self._runs(NOT_FINISHED_STATUSES)

    @cached_property
    def ended_badly(self) -> list[RunRecord]:
        """Runs that failed or were ended, the newest first."""
        return self._runs(ENDED_BADLY)

    def _runs(self, statuses: Iterable[DagsterRunStatus]) -> list[RunRecord]:
        filters = RunsFilter(statuses=list(statuses))
        return list(self.instance.get_run_records(filters, limit=LOOKED_AT))

    def ago(self, moment: datetime | float) -> str:
        """How long ago a moment was, in words."""
        at = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
        return ago_words(self.now - at)


@dataclass(frozen=True)
class Question:
    """One asset and partition.

    Attributes:
        records: what is kept.
        node: the asset.
        partition: None where it has none, or none that is due.
    """

    records: Records
    node: AnyNode
    partition: str | None

    @classmethod
    def about(cls, records: Records, node: AnyNode, partition: str | None) -> "Question":
        """About a partition that the asset has; else about the newest one that is due."""
        own = node.partitions
        if own is None or (partition is not None and own.is_key(partition)):
            return cls(records, node, partition if own else None)
        return cls(records, node, max(own.newest_due(records.now), default=None))

    @property
    def name(self) -> str:
        """The asset and its partition."""
        return f"{self.node.key}{f' {self.partition}' if self.partition else ''}"

    @property
    def command(self) -> str:
        """That builds it."""
        key = self.node.key
        partition = f" --partition {shlex.quote(self.partition)}" if self.partition else ""
        return f"data-platform run {key.pipeline} --select {key.layer}/{key.name}{partition}"

    @cached_property
    def built(self) -> EventLogRecord | None:
        """Its last materialization."""
        some = [self.partition] if self.partition else None
        asked = AssetRecordsFilter(asset_key=asset_key(self.node.key), asset_partitions=some)
        return next(iter(self.records.instance.fetch_materializations(asked, 1).records), None)

    @cached_property
    def failure(self) -> Failure | None:
        """Its last try, where that failed and nothing was built since."""
        records, node = self.records, self.node
        if self.partition is None:
            return last_failures(records.instance, [node]).get(node.key)
        for record in records.ended_badly:
            if self.is_in(record.dagster_run):
                if self._is_newer_than(record):
                    return None
                return failure_in(records.instance, record, node)
        return None

    @cached_property
    def failures_above(self) -> Mapping[Key, Failure]:
        """What failed of all that is above, and wasn't built since."""
        plan = self.records.plan
        nodes = [node for key in self.ancestors() if (node := plan.get(key))]
        return last_failures(self.records.instance, nodes)

    def above(self, key: Key, partition: str | None) -> "Question | None":
        """The same of an asset above it; None where there is no such asset."""
        node = self.records.plan.get(key)
        return Question.about(self.records, node, partition) if node else None

    def is_in(self, run: DagsterRun) -> bool:
        """Whether a run is to make it."""
        if asset_key(self.node.key) not in (run.asset_selection or ()):
            return False
        if self.partition is None:
            return True
        own = partitions_of(run.tags, self.node.partitions, self.records.instance)
        return self.partition in own

    def ancestors(self) -> list[Key]:
        """All that is above, the nearest first."""
        found: dict[Key, None] = {}
        waiting: list[AnyNode | None] = [self.node]
        for node in waiting:
            for given in (*node.inputs, *node.after) if node else ():
                if given.key not in found:
                    found[given.key] = None
                    waiting.append(self.records.plan.get(given.key))
        return list(found)

    def _is_newer_than(self, record: RunRecord) -> bool:
        """Whether it was built in a run or after it."""
        if self.built is None:
            return False
        ended = record.end_time or record.update_timestamp.timestamp()
        return self.built.run_id == record.dagster_run.run_id or self.built.timestamp > ended


def began(record: RunRecord) -> datetime:
    """When a run began, or was asked for."""
    if record.start_time is not None:
        return datetime.fromtimestamp(record.start_time, UTC)
    return record.create_timestamp.astimezone(UTC)
