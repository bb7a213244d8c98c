"""What a change of pipelines means: for assets, for their readers, and for what is published.

Called by the command's `plan`; `terminal.change_tables` prints it. It only reads: the pipelines,
the lake, and what Dagster recorded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dagster import DagsterInstance

from data_platform.changes.before import Before
from data_platform.changes.parts import ColumnChange, Part, changed_columns, changed_parts
from data_platform.changes.recorded import Recorded, known_keys, recorded_of
from data_platform.contract_diff import readers_of
from data_platform.correcting.below import concerned, upstreams_first
from data_platform.errors import Problem
from data_platform.loading import Loaded
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.nodes import AnyNode, DestinationNode
from data_platform.storage.lake import Lake

DEPLOYED = "what is published"


@dataclass(frozen=True)
class Stale:
    """Partitions that have to be built anew.

    Attributes:
        partitions: their keys in order; `WHOLE` alone where the asset has none.
        rows: in them now.
        seconds: that they take, by the last runs; None where nobody knows.
    """

    partitions: tuple[str, ...]
    rows: int
    seconds: float | None


@dataclass(frozen=True)
class AssetChange:
    """An asset that isn't what it was.

    Attributes:
        key: of it.
        kind: of the change.
        parts: what of it changed.
        columns: that aren't what they were.
        breaks: what breaks, for whom.
        stale: what of it is published and would be built anew.
        table: where rows of one that is gone stay; None where there are none.
    """

    key: Key
    kind: Literal["added", "changed", "removed"]
    parts: tuple[Part, ...] = ()
    columns: tuple[ColumnChange, ...] = ()
    breaks: tuple[str, ...] = ()
    stale: Stale | None = None
    table: str | None = None


@dataclass(frozen=True)
class Below:
    """An asset below what changes.

    Attributes:
        key: of it.
        stale: what of it is published and would be built anew.
        reads: the columns that change of which it is made, as `layer/pipeline/name.column`.
    """

    key: Key
    stale: Stale
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planned:
    """What a change means.

    Attributes:
        against: what it was compared with.
        assets: that aren't what they were.
        below: what hangs on them.
        unread: what couldn't be compared, and why.
    """

    against: str
    assets: tuple[AssetChange, ...]
    below: tuple[Below, ...]
    unread: tuple[Problem, ...] = ()

    @property
    def breaking(self) -> bool:
        """Whether somebody has to follow."""
        return any(one.breaks for one in self.assets)

    @property
    def stale(self) -> list[Stale]:
        """All that would be built anew."""
        own = [one.stale for one in self.assets if one.stale]
        return [*own, *(one.stale for one in self.below)]


def planned(
    loaded: Loaded,
    instance: DagsterInstance,
    lake: Lake,
    before: Before | None,
    pipelines: Sequence[str] = (),
) -> Planned:
    """What the pipelines of the working tree mean, compared with what was.

    Args:
        loaded: the working tree.
        instance: Dagster's, which is only read.
        lake: which is only read.
        before: a revision; None means what is published.
        pipelines: which of them; none means all.
    """
    change = _Change(loaded, instance, lake, before)
    hidden = {*loaded.broken, *(before.broken if before else ())}
    old, new = change.old, loaded.plan
    names = dict.fromkeys([*(node.key for node in upstreams_first(new)), *old])
    keys = [
        key
        for key in names
        if key.pipeline not in hidden and (not pipelines or key.pipeline in pipelines)
    ]
    assets = [found for key in keys if (found := change.of(key)) is not None]
    problems = {*loaded.problems, *(before.problems if before else ())}
    unread = tuple(sorted(problem for problem in problems if not problem.warning))
    label = before.label if before else DEPLOYED
    return Planned(label, tuple(assets), tuple(change.below(assets)), unread)


class _Change:
    """Two states of pipelines, compared asset by asset."""

    def __init__(
        self, loaded: Loaded, instance: DagsterInstance, lake: Lake, before: Before | None
    ) -> None:
        self._plan, self._before = loaded.plan, before
        self._instance, self._lake = instance, lake
        self._lineage = Lineage(before.plan if before else loaded.plan)
        self._known: dict[Key, Recorded] = {}
        self.old: Mapping[Key, AnyNode | None] = (
            {node.key: node for node in before.plan.nodes}
            if before
            else dict.fromkeys(known_keys(instance))
        )

    def of(self, key: Key) -> AssetChange | None:
        """What became of an asset; None where it is what it was."""
        new, old = self._plan.get(key), self.old.get(key)
        if new is None:
            return self._removed(key)
        if key not in self.old:
            return AssetChange(key, "added", columns=tuple(_new_columns(new)))
        recorded = self._recorded(new)
        parts = changed_parts(old, new) if old else self._unlike(new, recorded)
        columns = tuple(self._columns(old, new, recorded)) if parts else ()
        if not parts:
            return None
        breaks = tuple(self._breaks(key, columns))
        stale = recorded.built_otherwise(new.code_version)
        if self._before and old is not None and old.code_version == new.code_version:
            stale = []
        return AssetChange(key, "changed", tuple(parts), columns, breaks, self._stale(new, stale))

    def below(self, assets: Iterable[AssetChange]) -> Iterable[Below]:
        """What hangs on the partitions that would be stale, and isn't changed itself."""
        own = {one.key: one for one in assets}
        wanted: dict[Key, set[str]] = {}
        for one in own.values():
            if one.stale and self._plan.get(one.key):
                found = concerned(self._plan, self._lake, one.key, one.stale.partitions)
                for key, partitions in found.items():
                    wanted.setdefault(key, set()).update(partitions)
        reads = self._reads(own.values())
        for node in upstreams_first(self._plan):
            if node.key in wanted and node.key not in own:
                stale = self._stale(node, sorted(wanted[node.key]))
                if stale:
                    yield Below(node.key, stale, tuple(reads.get(node.key, ())))

    def _reads(self, assets: Iterable[AssetChange]) -> dict[Key, list[str]]:
        found: dict[Key, list[str]] = {}
        for one in assets:
            for column in one.columns:
                if column.breaks:
                    for reader in self._readers(one.key, column.name):
                        found.setdefault(reader, []).append(f"{one.key}.{column.name}")
        return found

    def _removed(self, key: Key) -> AssetChange:
        node = self.old.get(key)
        table = self._lake.table(key)
        kept = key.layer != "destinations" and table.snapshot() is not None
        readers = [
            reader
            for reader in (self._lineage.readers(key) if node else ())
            if self._plan.get(reader) is not None
        ]
        breaks = [f"{reader} reads it" for reader in readers]
        if isinstance(node, DestinationNode):
            breaks.append("whoever reads its table or files gets no new rows")
        return AssetChange(key, "removed", breaks=tuple(breaks), table=table.path if kept else None)

    def _unlike(self, node: AnyNode, recorded: Recorded) -> list[Part]:
        """That other code made what is published; what was there then isn't known."""
        versions = sorted({v for v in recorded.code.values() if v != node.code_version})
        lines = [
            *(f"-version {version}" for version in versions[:3]),
            f"+version {node.code_version}",
            " what it was isn't kept with it: --against REF compares with a git revision",
        ]
        return [Part("code", tuple(lines))] if versions else []

    def _columns(self, old: AnyNode | None, new: AnyNode, recorded: Recorded) -> list[ColumnChange]:
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

    def _breaks(self, key: Key, columns: Sequence[ColumnChange]) -> Iterable[str]:
        """What a contract promised and breaks; else columns that others read or a table has."""
        promised = self._promises(key)
        if promised is not None:
            yield from promised
            return
        for column in columns:
            if not column.breaks:
                continue
            readers = self._readers(key, column.name)
            far = [
                one
                for one in readers
                if one.layer == "destinations" or one.pipeline != key.pipeline
            ]
            if key.layer == "destinations":
                yield f"{column.name} {_became(column)}, for whoever reads the table"
            elif far:
                yield f"{column.name} {_became(column)}, for {', '.join(map(str, far))}"

    def _promises(self, key: Key) -> list[str] | None:
        """What the contract says that breaks; None where no contract changed."""
        compared = self._before.contracts if self._before else None
        for changes in compared.changes if compared else ():
            if Key(*changes.asset) != key:
                continue
            if changes.verdict != "breaking":
                return []
            return [
                f"{' '.join(filter(None, (one.column, one.text)))}, "
                f"for {' and '.join(sorted(one.breaks))}"
                for one in changes.changes
                if one.breaking
            ]
        return None

    def _readers(self, key: Key, column: str) -> list[Key]:
        if self._lineage.plan.get(key) is None:
            return []
        return readers_of(self._lineage, key, column)

    def _recorded(self, node: AnyNode) -> Recorded:
        if node.key not in self._known:
            self._known[node.key] = recorded_of(node, self._instance, self._lake)
        return self._known[node.key]

    def _stale(self, node: AnyNode, keys: Sequence[str]) -> Stale | None:
        if not keys:
            return None
        recorded = self._recorded(node)
        source = self._plan.get(node.source) if isinstance(node, DestinationNode) else None
        rows = self._recorded(source).rows if source else recorded.rows
        each = recorded.seconds
        return Stale(
            tuple(keys),
            sum(rows.get(key, 0) for key in keys),
            None if each is None else each * len(keys),
        )


def _new_columns(node: AnyNode) -> Iterable[ColumnChange]:
    return (ColumnChange(one.name, "added", None, one.type) for one in node.schema.columns)


def _became(column: ColumnChange) -> str:
    return "goes" if column.kind == "removed" else f"becomes {column.new}, was {column.old}"
