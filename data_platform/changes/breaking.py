"""Whom a change breaks: who reads a column or an asset that goes, or relied on a contract.

Called by `changes.planned`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from data_platform.changes.before import Before
from data_platform.changes.parts import ColumnChange
from data_platform.contract_diff import readers_of
from data_platform.errors import Problem
from data_platform.loading import Loaded
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.nodes import AnyNode, DestinationNode


class Readers:
    """Who reads what changes.

    Args:
        loaded: the working tree.
        before: a revision; None where what is published is compared.
    """

    def __init__(self, loaded: Loaded, before: Before | None) -> None:
        self._plan, self._before = loaded.plan, before
        self._lineage = Lineage(before.plan if before else loaded.plan)

    def broken_by(self, key: Key, columns: Sequence[ColumnChange]) -> Iterator[str]:
        """What a contract promised and breaks; else columns that others read or a table has."""
        promised = self._promises(key)
        if promised is not None:
            yield from promised
            return
        for column in columns:
            if not column.breaks:
                continue
            far = [one for one in self.of(key, column.name) if _is_far(one, key)]
            if key.layer == "destinations":
                yield f"{column.name} {_became(column)}, for whoever reads the table"
            elif far:
                yield f"{column.name} {_became(column)}, for {self._named(far)}"

    def broken_by_end(self, key: Key, node: AnyNode | None) -> Iterator[str]:
        """Who reads an asset that is gone."""
        for reader in self._lineage.readers(key) if node else ():
            now = self._plan.get(reader)
            if now is not None and any(given.key == key for given in now.inputs):
                yield f"{self._named([reader])} reads it"
        if isinstance(node, DestinationNode):
            yield "whoever reads its table or files gets no new rows"

    def by_asset(self, changes: Mapping[Key, Sequence[ColumnChange]]) -> dict[Key, list[str]]:
        """The columns that change of which each asset is made."""
        found: dict[Key, list[str]] = {}
        for key, columns in changes.items():
            for column in columns:
                for reader in self.of(key, column.name) if column.breaks else ():
                    found.setdefault(reader, []).append(f"{key}.{column.name}")
        return found

    def of(self, key: Key, column: str) -> list[Key]:
        """Who reads a column, at any distance."""
        if self._lineage.plan.get(key) is None:
            return []
        return readers_of(self._lineage, key, column)

    def _promises(self, key: Key) -> list[str] | None:
        """What the contract says that breaks; None where no contract changed."""
        compared = self._before.contracts if self._before else None
        for changes in compared.changes if compared else ():
            if Key(*changes.asset) != key:
                continue
            if changes.verdict != "breaking":
                return []
            found: list[str] = []
            for one in changes.changes:
                if one.breaking:
                    text = " ".join(filter(None, (one.column, one.text)))
                    readers = self.of(key, one.column) if one.column else []
                    far = [reader for reader in readers if _is_far(reader, key)]
                    named = f": {self._named(far)}" if far else ""
                    found.append(f"{text}, for {' and '.join(sorted(one.breaks))}{named}")
            return found
        return None

    def _named(self, keys: Iterable[Key]) -> str:
        """Assets with where they are declared, as far as the working tree knows them."""
        nodes = {key: self._plan.get(key) for key in keys}
        return ", ".join(
            f"{key} ({one.location})" if one else str(key) for key, one in nodes.items()
        )


def newly_broken(loaded: Loaded, before: Before | None) -> tuple[Problem, ...]:
    """Mistakes of pipelines that could be planned before."""
    names = set(loaded.broken) - before.broken if before else set[str]()
    known = {one.name for one in before.plan.pipelines} if before else set[str]()
    return tuple(
        sorted(
            problem
            for problem in loaded.problems
            if not problem.warning and {*problem.location.file.parts} & names & known
        )
    )


def _is_far(reader: Key, key: Key) -> bool:
    """Whether it is of others, who can't follow in the same change of a pipeline."""
    return reader.layer == "destinations" or reader.pipeline != key.pipeline


def _became(column: ColumnChange) -> str:
    return "goes" if column.kind == "removed" else f"becomes {column.new}, was {column.old}"
