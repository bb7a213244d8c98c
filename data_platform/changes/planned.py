"""What a change of pipelines means: for assets, for their readers, and for what is published.

Called by the command's `plan`. It only reads: the pipelines, the lake, and what Dagster recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from dagster import DagsterInstance

from data_platform.changes.before import Before
from data_platform.changes.breaking import Readers, newly_broken
from data_platform.changes.meaning import AssetChange, Below, Planned
from data_platform.changes.parts import ColumnChange, Part, changed_columns, changed_parts
from data_platform.changes.recorded import Recorded, known_keys
from data_platform.changes.stored import Stored
from data_platform.correcting.below import upstreams_first
from data_platform.loading import Loaded
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.storage.lake import Lake

DEPLOYED = "what is published"


def planned(
    loaded: Loaded,
    instance: DagsterInstance,
    lake: Lake,
    before: Before | None,
    now: datetime,
    pipelines: Sequence[str] = (),
) -> Planned:
    """What the pipelines of the working tree mean, compared with what was.

    Args:
        loaded: the working tree.
        instance: Dagster's, which is only read.
        lake: which is only read.
        before: a revision; None means what is published.
        now: aware; decides which partitions are due.
        pipelines: which of them; none means all.
    """
    stored = Stored(loaded.plan, instance, lake, now)
    old = (
        {node.key: node for node in before.plan.nodes}
        if before
        else dict.fromkeys(known_keys(instance))
    )
    hidden = {*loaded.broken, *(before.broken if before else ())}
    change = _Change(loaded, lake, before, old, stored)
    names = dict.fromkeys([*(node.key for node in upstreams_first(loaded.plan)), *old])
    keys = [
        key
        for key in names
        if key.pipeline not in hidden and (not pipelines or key.pipeline in pipelines)
    ]
    changed = [found for key in keys if (found := change.of(key)) is not None]
    assets, below = change.with_below(changed)
    counted = {one.key: one.stale.partitions for one in (*assets, *below) if one.stale}
    outdated = stored.outdated({key.pipeline for key in keys}, counted)
    broke = newly_broken(loaded, before)
    problems = {*loaded.problems, *(before.problems if before else ())}
    unread = sorted(one for one in problems if not one.warning and one not in broke)
    label = before.label if before else DEPLOYED
    return Planned(label, assets, below, tuple(outdated), broke, tuple(unread))


class _Change:
    """Two states of pipelines, compared asset by asset."""

    def __init__(
        self,
        loaded: Loaded,
        lake: Lake,
        before: Before | None,
        old: Mapping[Key, AnyNode | None],
        stored: Stored,
    ) -> None:
        self._plan, self._lake, self._broken = loaded.plan, lake, loaded.broken
        self._old, self._stored = old, stored
        self._readers = Readers(loaded, before)

    def of(self, key: Key) -> AssetChange | None:
        """What became of an asset; None where it is what it was."""
        new, old = self._plan.get(key), self._old.get(key)
        if new is None:
            return None if self._is_left_out(key) else self._removed(key)
        if key not in self._old:
            return self._added(new)
        recorded = self._stored.of(new)
        parts = changed_parts(old, new) if old else _unlike(new, recorded)
        notes = tuple(self._stored.notes(old, new))
        if not parts and (old or not notes):
            return None
        columns = tuple(_columns(old, new, recorded))
        stale = recorded.built_otherwise(new.code_version)
        if old is not None and _cut(old) != _cut(new):
            stale = sorted(recorded.tags)  # the same key is another span
        elif old is not None and old.code_version == new.code_version:
            stale = []
        return AssetChange(
            key,
            "changed",
            tuple(parts),
            columns,
            tuple(self._readers.broken_by(key, columns)),
            self._stored.stale(new, stale),
            notes=notes,
        )

    def with_below(
        self, changes: Sequence[AssetChange]
    ) -> tuple[tuple[AssetChange, ...], tuple[Below, ...]]:
        """The changes, each with what of it hangs on others, and what else hangs on them."""
        own = {one.key: one for one in changes}
        stale = {key: one.stale.partitions for key, one in own.items() if one.stale}
        wanted = self._stored.below(stale)
        reads = self._readers.by_asset({key: one.columns for key, one in own.items()})
        below: list[Below] = []
        for node in upstreams_first(self._plan):
            found = self._stored.stale(node, sorted(wanted.get(node.key, ())))
            if found is None:
                continue
            if node.key in own:
                own[node.key] = replace(own[node.key], stale=found)
            else:
                below.append(Below(node.key, found, tuple(reads.get(node.key, ()))))
        return tuple(own.values()), tuple(below)

    def _added(self, new: AnyNode) -> AssetChange:
        columns = (ColumnChange(one.name, "added", None, one.type) for one in new.schema.columns)
        alike = [key for key in self._old if self._has_moved(key, new.key)]
        notes = (
            f"as {one} was, whose rows aren't taken along: data-platform backfill "
            f"{new.key.pipeline} builds them"
            for one in alike
        )
        return AssetChange(new.key, "added", columns=tuple(columns), notes=tuple(notes))

    def _has_moved(self, old: Key, new: Key) -> bool:
        """Whether an asset is that of a pipeline which has another name now."""
        alike = (old.layer, old.name) == (new.layer, new.name)
        return alike and self._plan.pipeline(old.pipeline) is None

    def _is_left_out(self, key: Key) -> bool:
        """Whether an asset isn't planned only because something above it has mistakes."""
        old = self._old.get(key)
        if old is None:
            return bool(self._broken) and self._plan.pipeline(key.pipeline) is not None
        above = [one.key for one in old.inputs if self._plan.get(one.key) is None]
        return any(one.pipeline in self._broken or self._is_left_out(one) for one in above)

    def _removed(self, key: Key) -> AssetChange:
        table = self._lake.table(key)
        kept = key.layer != "destinations" and table.snapshot() is not None
        breaks = tuple(self._readers.broken_by_end(key, self._old.get(key)))
        return AssetChange(key, "removed", breaks=breaks, table=table.path if kept else None)


def _cut(node: AnyNode) -> str:
    return node.partitions.cut if node.partitions else ""


def _unlike(node: AnyNode, recorded: Recorded) -> list[Part]:
    """That other code made what is published; what was there then isn't known."""
    versions = sorted({v for v in recorded.code.values() if v != node.code_version})
    lines = [
        *(f"-version {version}" for version in versions[:3]),
        f"+version {node.code_version}",
        " what it was isn't kept with it: --against REF compares with a git revision",
    ]
    return [Part("code", tuple(lines))] if versions else []


def _columns(old: AnyNode | None, new: AnyNode, recorded: Recorded) -> list[ColumnChange]:
    before = (
        {column.name: column.type for column in old.schema.columns}
        if old is not None
        else recorded.columns
    )
    after = {column.name: column.type for column in new.schema.columns}
    if before is None or not after:
        return []
    known = old is None or old.schema.closed == new.schema.closed
    return changed_columns(before, after, closed=new.schema.closed and known)
