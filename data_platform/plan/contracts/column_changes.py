"""What changed in the promise of a column, and whom that breaks.

Called by `plan.contracts.changes`. Pure: two models of the language are compared, nothing is looked
up. A promise that gets weaker breaks its readers, who may meet what they never met; a demand that
gets stronger breaks the source, whose rows are refused from now on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from data_platform.errors import ConfigurationError, Location
from data_platform.plan.contracts.widenings import widens
from data_platform.plan.conversions import conversion_to
from data_platform.spec.asset import ColumnContract

Side = Literal["readers", "source"]
READERS: frozenset[Side] = frozenset({"readers"})
SOURCE: frozenset[Side] = frozenset({"source"})
BOTH = READERS | SOURCE
NOBODY: frozenset[Side] = frozenset()

_NOWHERE = Location(Path())
_SHOWN = 60
"""Characters of a value in words."""


@dataclass(frozen=True)
class Difference:
    """Something of a column that isn't what it was.

    Attributes:
        kind: in a word, for programs: `type_narrowed`.
        text: in words, for people.
        breaks: whom.
    """

    kind: str
    text: str
    breaks: frozenset[Side] = NOBODY


def differences(old: ColumnContract, new: ColumnContract) -> list[Difference]:
    """What of a column's promise changed."""
    return [
        *_of_type(old.type, new.type),
        *_of_nullable(old, new),
        *_of_unique(old, new),
        *_of_range(old, new),
        *_of_values(old.accepted_values, new.accepted_values),
        *_of_pattern(old.matches, new.matches),
        *_of_pii(old, new),
        *_of_description(old, new),
    ]


def demands(promise: ColumnContract) -> bool:
    """Whether a column that is new can't be left empty by the source."""
    return not promise.nullable


def alike(old: ColumnContract, new: ColumnContract) -> bool:
    """Whether two columns promise the same, so that one may be the other under a new name."""
    said = any([not old.nullable, old.type, old.description, old.accepted_values, old.unique])
    return bool(said) and all(each.kind == "description" for each in differences(old, new))


def _of_type(old: str | None, new: str | None) -> Iterator[Difference]:
    if old is None and new is None:
        return
    before, after = _named(old), _named(new)
    words = f"type {_type(before)} -> {_type(after)}"
    if before == after:
        return
    if before is None or after is None:
        kind, breaks = ("type_dropped", READERS) if after is None else ("type_added", SOURCE)
        yield Difference(kind, words, breaks)
    elif widens(before, after):
        yield Difference("type_widened", f"{words}: holds every value exactly")
    elif widens(after, before):
        yield Difference("type_narrowed", f"{words}: some values don't fit any more", BOTH)
    else:
        yield Difference("type_changed", words, BOTH)


def _named(text: str | None) -> str | None:
    """DuckDB's name of a type; what isn't one stays as it is written."""
    if text is None:
        return None
    try:
        return conversion_to(text, _NOWHERE).named
    except ConfigurationError:
        return text.strip()


def _type(name: str | None) -> str:
    return name.lower() if name else "any"


def _of_nullable(old: ColumnContract, new: ColumnContract) -> Iterator[Difference]:
    if new.nullable and not old.nullable:
        yield Difference("nullable", "may be NULL now", READERS)
    elif old.nullable and not new.nullable:
        yield Difference("required", "must not be NULL any more", SOURCE)


def _of_unique(old: ColumnContract, new: ColumnContract) -> Iterator[Difference]:
    if old.unique and not new.unique:
        yield Difference("unique_dropped", "is no key any more", READERS)
    elif new.unique and not old.unique:
        yield Difference("unique_added", "must be a key now", SOURCE)


def _of_range(old: ColumnContract, new: ColumnContract) -> Iterator[Difference]:
    bounds = (("min", old.min, new.min), ("max", old.max, new.max))
    for name, before, after in bounds:
        if before == after:
            continue
        words = f"{name} {_shown(before)} -> {_shown(after)}"
        tighter = _tighter(before, after, is_least=name == "min")
        if tighter is None:
            yield Difference("range_changed", words, BOTH)
        elif tighter:
            yield Difference("range_narrowed", words, SOURCE)
        else:
            yield Difference("range_widened", words, READERS)


def _tighter(before: object, after: object, *, is_least: bool) -> bool | None:
    """Whether a bound leaves fewer values than the one before; None where nobody can tell."""
    if before is None or after is None:
        return before is None
    first, second = _comparable(before), _comparable(after)
    try:
        rises = bool(first < second)
    except TypeError:  # a number and a moment, or moments with and without a zone
        return None
    return rises == is_least


def _comparable(bound: object) -> Any:
    """A number, or the moment that a text is."""
    if not isinstance(bound, str):
        return bound
    try:
        return datetime.fromisoformat(bound)
    except ValueError:
        return None


def _of_values(old: Sequence[object] | None, new: Sequence[object] | None) -> Iterator[Difference]:
    before, after = _distinct(old), _distinct(new)
    if before == after:
        return
    if after is None or (before is not None and before < after):
        more = "any value" if after is None else _listed(after - (before or frozenset()))
        yield Difference("values_widened", f"accepts {more} now", READERS)
    elif before is None or after < before:
        words = (
            f"accepts only {_listed(after)} now"
            if before is None
            else f"accepts {_listed(before - after)} no more"
        )
        yield Difference("values_narrowed", words, SOURCE)
    else:
        words = f"accepts {_listed(after - before)} now, and {_listed(before - after)} no more"
        yield Difference("values_changed", words, BOTH)


_Values = frozenset[tuple[str, object]]


def _distinct(values: Sequence[object] | None) -> _Values | None:
    """Values with their kinds: to Python true is 1, to a column it isn't."""
    if not values:
        return None
    return frozenset(("bool" if isinstance(v, bool) else "", v) for v in values)


def _listed(values: _Values) -> str:
    words = ", ".join(sorted(_shown(value) for _, value in values))
    return words if len(words) <= _SHOWN else f"{len(values)} values"


def _of_pattern(old: str | None, new: str | None) -> Iterator[Difference]:
    if old == new:
        return
    words = f"matches {_shown(old)} -> {_shown(new)}"
    if old is None:
        yield Difference("pattern_added", words, SOURCE)
    elif new is None:
        yield Difference("pattern_dropped", words, READERS)
    else:
        yield Difference("pattern_changed", f"{words}: may let others through", BOTH)


def _of_pii(old: ColumnContract, new: ColumnContract) -> Iterator[Difference]:
    if old.pii == new.pii:
        return
    if new.pii:
        words = "tells of a person now: readers below need a mask"
        yield Difference("pii_marked", words, READERS)
    elif old.pii:
        yield Difference("pii_unmarked", "is no longer marked as telling of a person")
    else:
        yield Difference("pii_said", f"pii {_shown(old.pii)} -> {_shown(new.pii)}")


def _of_description(old: ColumnContract, new: ColumnContract) -> Iterator[Difference]:
    if old.description != new.description:
        yield Difference("description", "is described in other words")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "none" if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
