"""What changed between two revisions of contracts, and whether that is breaking.

Called by `contract_diff`, which finds the revisions; `terminal.contract_tables` prints it. Pure: it
compares what was written. Sides are told apart as schema registries do: what breaks readers isn't
forward compatible, what breaks the source isn't backward compatible.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from data_platform.errors import Location
from data_platform.plan.contracts.column_changes import (
    BOTH,
    NOBODY,
    READERS,
    SOURCE,
    Difference,
    Side,
    alike,
    demands,
    differences,
)
from data_platform.spec.contracts import ExtraColumns, WrittenContract, WrittenContracts
from data_platform.spec.guessing import AssetName
from data_platform.spec.partitions import Divided
from data_platform.spec.versions import numbers_of

Verdict = Literal["breaking", "allowed", "compatible"]
_GONE = frozenset({"asset_removed", "contract_removed"})
_NEW = frozenset({"asset_added", "contract_added"})
_UNCOUNTED = "0.0.0"
"""What stands for no version: the first one that is given may allow what breaks."""
_OWN = "analytics"
"""The layer whose source is its own statement: nobody outside has to give more than before."""
_LOOSER: dict[tuple[ExtraColumns, ExtraColumns], frozenset[Side]] = {
    ("keep", "drop"): READERS,
    ("keep", "fail"): BOTH,
    ("drop", "fail"): SOURCE,
}
"""What a change of `extra_columns` breaks; the other ways nobody loses anything."""


@dataclass(frozen=True)
class Change:
    """One thing that isn't what it was.

    Attributes:
        kind: in a word, for programs.
        column: whose; None where it is of the asset.
        text: in words, for people.
        breaks: whom.
        old: where it was said; None where it wasn't.
        new: where it is said; None where it isn't any more.
    """

    kind: str
    column: str | None
    text: str
    breaks: frozenset[Side]
    old: Location | None
    new: Location | None

    @property
    def breaking(self) -> bool:
        """Whether somebody has to follow."""
        return bool(self.breaks)


@dataclass(frozen=True)
class AssetChanges:
    """What changed in the contract of one asset.

    Attributes:
        asset: layer, pipeline, name.
        changes: breaking ones first, else in the order of the contract.
        old_version: of the contract.
        new_version: of the contract.
    """

    asset: AssetName
    changes: tuple[Change, ...]
    old_version: str | None
    new_version: str | None

    @property
    def breaking(self) -> bool:
        """Whether anything of it is."""
        return any(change.breaking for change in self.changes)

    @property
    def verdict(self) -> Verdict:
        """A new first number of the version allows what breaks."""
        if not self.breaking:
            return "compatible"
        return "allowed" if self._rises(numbers=1) else "breaking"

    @property
    def allowing_version(self) -> str | None:
        """The least version that would allow what breaks; None where no version can."""
        if self.verdict != "breaking" or {each.kind for each in self.changes} & _GONE:
            return None
        return f"{numbers_of(self.old_version or _UNCOUNTED)[0] + 1}.0.0"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the version should have said, and doesn't."""
        meant = {each.kind for each in self.changes} - {"description"}
        if not meant or meant & (_GONE | _NEW):
            return ()
        if self.new_version is None:
            return ("the contract changed, and has no contract_version that would say so",)
        if self.old_version is None or self._rises(numbers=3):
            return ()
        if self.old_version == self.new_version:
            return (f"the contract changed, and contract_version is still {self.new_version}",)
        return (f"contract_version went back from {self.old_version} to {self.new_version}",)

    def _rises(self, numbers: int) -> bool:
        """Whether the first numbers of the version, taken together, are greater than before."""
        if self.new_version is None:
            return False
        old = numbers_of(self.old_version or _UNCOUNTED)
        return numbers_of(self.new_version)[:numbers] > old[:numbers]


def compare(old: WrittenContracts, new: WrittenContracts) -> list[AssetChanges]:
    """The assets whose contracts changed, breaking ones first.

    Args:
        old: what was promised.
        new: what is promised.
    """
    unread = old.unread | new.unread
    names = dict.fromkeys([*new.contracts, *old.contracts])
    found = [_asset(name, old, new) for name in names if name not in unread]
    changed = [each for each in found if each.changes]
    return sorted(changed, key=lambda each: (_RANKS[each.verdict], each.asset))


_RANKS: Mapping[Verdict, int] = {"breaking": 0, "allowed": 1, "compatible": 2}


def _asset(name: AssetName, old: WrittenContracts, new: WrittenContracts) -> AssetChanges:
    before, after = old.contracts.get(name), new.contracts.get(name)
    if before is not None and after is not None:
        changes = sorted(_changes(before, after), key=lambda change: not change.breaking)
    else:
        changes = [_come_or_gone(name, before, after, old, new)]
    return AssetChanges(
        name, tuple(changes), before.version if before else None, after.version if after else None
    )


def _come_or_gone(
    name: AssetName,
    before: WrittenContract | None,
    after: WrittenContract | None,
    old: WrittenContracts,
    new: WrittenContracts,
) -> Change:
    """An asset, or only its contract, that isn't on both sides."""
    places = (old.assets.get(name), new.assets.get(name))
    if before is None:
        kind = "contract_added" if name in old.assets else "asset_added"
        count = len(after.columns) if after else 0
        what = "has a contract now" if name in old.assets else "is new"
        return Change(kind, None, f"{what}: {_columns(count)}", NOBODY, *places)
    if name in new.assets:
        text = "has no contract any more: nothing is promised"
        return Change("contract_removed", None, text, READERS, *places)
    return Change("asset_removed", None, "is gone", READERS, *places)


def _changes(old: WrittenContract, new: WrittenContract) -> Iterator[Change]:
    yield from _of_columns(old, new)
    if old.extra_columns and new.extra_columns and old.extra_columns != new.extra_columns:
        yield Change(
            "extra_columns",
            None,
            f"extra_columns {old.extra_columns} -> {new.extra_columns}",
            _LOOSER.get((old.extra_columns, new.extra_columns), NOBODY),
            old.at("extra_columns"),
            new.at("extra_columns"),
        )
    for difference in _of_partitions(old.partitions, new.partitions):
        places = (old.at("partitions"), new.at("partitions"))
        yield Change(difference.kind, None, difference.text, difference.breaks, *places)


def _of_columns(old: WrittenContract, new: WrittenContract) -> Iterator[Change]:
    before = {name.lower(): name for name in old.columns}
    after = {name.lower(): name for name in new.columns}
    gone = [name for lower, name in before.items() if lower not in after]
    come = [name for lower, name in after.items() if lower not in before]
    renamed = _renamed(old, new, gone, come)
    for name in gone:
        text = "is gone" + (f": perhaps it is {renamed[name]} now" if name in renamed else "")
        yield Change("column_removed", name, text, READERS, old.at("columns", name), None)
    for lower, name in after.items():
        place = new.at("columns", name)
        if lower not in before:
            yield _new_column(new, name, place)
            continue
        was = before[lower]
        places = (old.at("columns", was), place)
        if was != name:
            yield Change("column_renamed", name, f"was called {was}", READERS, *places)
        for found in differences(old.columns[was], new.columns[name]):
            breaks = _outside(found, new)
            yield Change(found.kind, name, found.text, breaks, *places)


def _renamed(
    old: WrittenContract, new: WrittenContract, gone: list[str], come: list[str]
) -> dict[str, str]:
    """Names that columns may have got: a new one that promises the same, and no other does."""
    found: dict[str, str] = {}
    for name in gone:
        like = [other for other in come if alike(old.columns[name], new.columns[other])]
        if len(like) == 1 and like[0] not in found.values():
            found[name] = like[0]
    return found


def _new_column(contract: WrittenContract, name: str, place: Location) -> Change:
    required = demands(contract.columns[name])
    found = (
        Difference("required_column_added", "is new, and must not be NULL", SOURCE)
        if required
        else Difference("column_added", "is new")
    )
    return Change(found.kind, name, found.text, _outside(found, contract), None, place)


def _outside(difference: Difference, contract: WrittenContract) -> frozenset[Side]:
    """Whom it breaks that isn't the asset's own statement."""
    return difference.breaks - SOURCE if contract.asset[0] == _OWN else difference.breaks


def _of_partitions(old: Any, new: Any) -> Iterator[Difference]:
    if old is None or new is None or old == new:
        return
    if not (isinstance(old, Divided) and isinstance(new, Divided)) or _kind(old) != _kind(new):
        words = f"partitions {_partitions(old)} -> {_partitions(new)}"
        yield Difference("partitions_changed", words, READERS)
        return
    if new.start and old.start and new.start != old.start:
        breaks = READERS if new.start > old.start else NOBODY
        words = f"partitions start {old.start} -> {new.start}"
        yield Difference("partitions_start", words, breaks)
    if new.end != old.end:
        earlier = new.end is not None and (old.end is None or new.end < old.end)
        words = f"partitions end {old.end or 'never'} -> {new.end or 'never'}"
        yield Difference("partitions_end", words, READERS if earlier else NOBODY)


def _kind(partitions: Divided) -> tuple[object, ...]:
    return partitions.every, partitions.timezone, partitions.by, partitions.dynamic


def _partitions(partitions: Any) -> str:
    if isinstance(partitions, Divided):
        time = f"every {partitions.every} in {partitions.timezone}" if partitions.every else ""
        named = (f"by {name} ({', '.join(one.values)})" for name, one in partitions.by.items())
        return " ".join(filter(None, (time, *named))) or f"dynamic {partitions.dynamic}"
    return str(partitions)


def _columns(count: int) -> str:
    return f"{count} column{'s'[: count != 1]}"
