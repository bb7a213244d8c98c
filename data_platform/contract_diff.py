"""Two revisions of pipelines, compared by what their contracts promise, and who reads what breaks.

Called by the command's `contract diff`. Reads what can be read: a mistake elsewhere in a revision
hides no change. Must not run anything of a revision that git kept.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_platform.errors import ConfigurationError, Problem
from data_platform.loading import Loaded
from data_platform.plan.building import build_plan
from data_platform.plan.contracts.changes import AssetChanges, compare
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.lineage.impact import impact_of
from data_platform.plan.lineage.relations import Origin
from data_platform.revisions import Revision
from data_platform.spec.contracts import (
    WrittenContracts,
    handwritten_contracts,
    written_contracts,
)
from data_platform.spec.document import read_document
from data_platform.spec.guessing import AssetName
from data_platform.spec.handwritten import ASSETS_FILE
from data_platform.spec.reading import read_workspace

Touched = tuple[AssetName, str | None]
"""A column of an asset, or the asset."""


@dataclass(frozen=True)
class Compared:
    """What came of a comparison.

    Attributes:
        old: the one revision.
        new: the other one.
        changes: of each asset whose contract changed, breaking ones first.
        contracts: how many there are in the new revision.
        readers: of each column or asset that breaks them, as far as a plan tells.
        unread: what couldn't be compared, and why.
        computed: contracts of hand-written assets that only running them would tell.
    """

    old: Revision
    new: Revision
    changes: tuple[AssetChanges, ...]
    contracts: int
    readers: Mapping[Touched, tuple[Key, ...]]
    unread: tuple[tuple[Revision, Problem], ...]
    computed: tuple[tuple[Revision, Problem], ...] = ()

    @property
    def exit_code(self) -> int:
        """0: nothing breaks that wasn't said; 1: something does; 2: not all could be compared."""
        if any(change.verdict == "breaking" for change in self.changes):
            return 1
        return 2 if self.unread else 0


def compare_revisions(
    old: Revision,
    new: Revision,
    environ: Mapping[str, str],
    home: Path,
    load_all: Callable[[], Loaded],
) -> Compared:
    """Compare the contracts of two revisions.

    Args:
        old: what readers know.
        new: what they will find.
        environ: what `${VAR}` refers to, in both.
        home: where relative paths of the pipelines that ship start.
        load_all: the pipelines of the working tree; asked where something breaks readers.
    """
    before, after = _read(old, environ), _read(new, environ)
    sides = ((old, before), (new, after))
    unread = tuple((side, problem) for side, found in sides for problem in found.problems)
    computed = tuple((side, problem) for side, found in sides for problem in found.computed)
    if old.single != new.single:
        before, after = _only_common(before, after, old if old.single else new, old)
    changes = tuple(compare(before, after))
    plans = _Plans((old, new), environ, home, load_all)
    readers = {
        (each.asset, change.column): plans.readers(each.asset, change.column)
        for each in changes
        for change in each.changes
        if "readers" in change.breaks
    }
    return Compared(old, new, changes, len(after.contracts), readers, unread, computed)


def _read(revision: Revision, environ: Mapping[str, str]) -> WrittenContracts:
    """All contracts of a revision, and what of them can't be read."""
    parts: list[WrittenContracts] = []
    for file in revision.files:
        name = file.absolute().parent.name
        try:
            document = read_document(file)
        except ConfigurationError as error:
            parts.append(WrittenContracts({}, {}, problems=error.problems))
        else:
            parts.append(written_contracts(document, environ, name))
            name = str(document.data.get("pipeline", name))
        beside = revision.assets_file(file)
        if beside is not None:
            text = beside.read_text(encoding="utf-8", errors="replace")
            parts.append(handwritten_contracts(beside.with_name(ASSETS_FILE), text, name))
    return WrittenContracts(
        {name: contract for part in parts for name, contract in part.contracts.items()},
        {name: place for part in parts for name, place in part.assets.items()},
        frozenset(name for part in parts for name in part.unread),
        tuple(problem for part in parts for problem in part.problems),
        tuple(problem for part in parts for problem in part.computed),
    )


def _only_common(
    before: WrittenContracts, after: WrittenContracts, single: Revision, old: Revision
) -> tuple[WrittenContracts, WrittenContracts]:
    """Only the pipelines of the side that names one: the others aren't gone, nor are they new."""
    known = before if single is old else after
    names = {pipeline for _, pipeline, _ in known.assets}
    return _of_pipelines(before, names), _of_pipelines(after, names)


def _of_pipelines(found: WrittenContracts, names: set[str]) -> WrittenContracts:
    return WrittenContracts(
        {name: contract for name, contract in found.contracts.items() if name[1] in names},
        {name: place for name, place in found.assets.items() if name[1] in names},
        frozenset(name for name in found.unread if name[1] in names),
    )


class _Plans:
    """Plans that tell who reads a column, made when somebody asks.

    That of the old revision knows best: in the new one who names a column that is gone is broken.
    What functions of an `assets.py` read is told by that of the working tree, since nothing of a
    revision is run.
    """

    def __init__(
        self,
        revisions: Sequence[Revision],
        environ: Mapping[str, str],
        home: Path,
        load_all: Callable[[], Loaded],
    ) -> None:
        self._revisions = revisions
        self._environ = environ
        self._home = home
        self._load_all = load_all

    def readers(self, asset: AssetName, column: str | None) -> tuple[Key, ...]:
        """The assets and destinations that read a column, or anything of an asset."""
        key = Key(*asset)
        for lineage in self._lineages:
            if lineage.plan.get(key) is not None:
                return tuple(readers_of(lineage, key, column))
        return ()

    @functools.cached_property
    def _lineages(self) -> list[Lineage]:
        loaded = self._load_all()
        handwritten = {name: file.assets for name, file in loaded.assets_files.items()}
        plans = [
            build_plan(read_workspace(folders, self._environ, self._home), None, handwritten).plan
            for revision in self._revisions
            if (folders := revision.folders)
        ]
        return [Lineage(plan) for plan in (*plans, loaded.plan)]


def readers_of(lineage: Lineage, key: Key, column: str | None) -> list[Key]:
    """The assets and destinations that read a column of an asset, or anything of it."""
    if column is None:
        return list(dict.fromkeys(lineage.readers(key)))
    impact = impact_of(lineage, Origin(key, column.lower()))
    made = [origin.asset for origin in impact.columns if isinstance(origin.asset, Key)]
    found = dict.fromkeys([*made, *impact.rows, *impact.broken])
    return [each for each in found if each != key]
