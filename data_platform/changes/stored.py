"""What a change means for rows that are stored: which are stale, and which nobody asks for now.

Called by `changes.planned`. Reads the lake and what Dagster recorded, and writes nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from dagster import DagsterInstance

from data_platform.backfills.choosing import from_others
from data_platform.changes.meaning import Below, Stale
from data_platform.changes.recorded import Recorded, recorded_of
from data_platform.correcting.below import concerned, upstreams_first
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode, DestinationNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.pipelines import Plan
from data_platform.storage.lake import Lake


class Stored:
    """What is published of the assets of a plan.

    Args:
        plan: of all pipelines.
        instance: Dagster's.
        lake: with the tables.
        now: aware; decides what is due.
    """

    def __init__(self, plan: Plan, instance: DagsterInstance, lake: Lake, now: datetime) -> None:
        self._plan, self._instance, self._lake, self._now = plan, instance, lake, now
        self._known: dict[Key, Recorded] = {}

    def of(self, node: AnyNode) -> Recorded:
        """What is recorded of an asset, read once."""
        if node.key not in self._known:
            self._known[node.key] = recorded_of(node, self._instance, self._lake)
        return self._known[node.key]

    def stale(self, node: AnyNode, keys: Iterable[str]) -> Stale | None:
        """Partitions that would be built anew, those left out that aren't any more."""
        wanted = [key for key in keys if _is_one(node.partitions, key)]
        if not wanted:
            return None
        recorded = self.of(node)
        source = self._plan.get(node.source) if isinstance(node, DestinationNode) else None
        rows = self.of(source).rows if source else recorded.rows
        each = recorded.seconds
        return Stale(
            tuple(wanted),
            sum(rows.get(key, 0) for key in wanted),
            None if each is None else each * len(wanted),
        )

    def below(self, changed: Mapping[Key, Sequence[str]]) -> dict[Key, set[str]]:
        """What reads partitions that change, they themselves included, by asset."""
        found: dict[Key, set[str]] = {}
        for key, partitions in changed.items():
            if self._plan.get(key):
                for other, some in concerned(self._plan, self._lake, key, partitions).items():
                    found.setdefault(other, set()).update(some)
        return found

    def outdated(
        self, pipelines: Collection[str], counted: Mapping[Key, Collection[str]]
    ) -> Iterator[Below]:
        """What was built from other rows than its inputs have now, and what reads that.

        Args:
            pipelines: which of them.
            counted: partitions that are built anew anyway, by asset.
        """
        nodes = [one for one in upstreams_first(self._plan) if one.key.pipeline in pipelines]
        newer: dict[Key, Sequence[str]] = {}
        for node in nodes:
            tags = {
                key: one
                for key, one in self.of(node).tags.items()
                if key not in counted.get(node.key, ()) and _is_one(node.partitions, key)
            }
            if own := from_others(node, self._lake, tags):
                newer[node.key] = sorted(own)
        wanted = self.below(newer)
        for node in nodes:
            left = wanted.get(node.key, set()) - set(counted.get(node.key, ()))
            if stale := self.stale(node, sorted(left)):
                yield Below(node.key, stale)

    def notes(self, old: AnyNode | None, new: AnyNode) -> Iterator[str]:
        """What other partitions mean for those that are published and those that are due."""
        recorded = self.of(new)
        published = sorted({*recorded.rows, *recorded.tags})
        gone = [key for key in published if not _is_one(new.partitions, key)]
        if gone:
            where = f" in {self._lake.table(new.key).path}" if recorded.rows else ""
            yield (
                f"{_count(gone, 'published')} no partition of it any more: the rows stay{where}, "
                "and count for what reads all partitions"
            )
        if old is None or old.partitions == new.partitions or _is_dynamic(old, new):
            return
        before = _due(old.partitions, self._now)
        more = [key for key in _due(new.partitions, self._now) if key not in {*before, *published}]
        if more:
            pipeline = new.key.pipeline
            yield (
                f"{_count(more, 'more')} due now: data-platform backfill {pipeline} "
                f"--missing-only --select {new.key.layer}/{new.key.name}"
            )


def _is_dynamic(*nodes: AnyNode) -> bool:
    return any(node.partitions is not None and node.partitions.dynamic for node in nodes)


def _is_one(partitions: Partitions | None, key: str) -> bool:
    return key == WHOLE if partitions is None else partitions.is_key(key)


def _due(partitions: Partitions | None, now: datetime) -> list[str]:
    return [WHOLE] if partitions is None else partitions.due(now)


def _count(keys: Sequence[str], what: str) -> str:
    if list(keys) == [WHOLE]:
        return "all that is published is" if what == "published" else "the whole asset is"
    span = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"
    return f"{len(keys):,} {what} partition{'s' if len(keys) > 1 else ''} ({span}) " + (
        "are" if len(keys) > 1 else "is"
    )
