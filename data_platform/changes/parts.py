"""What of an asset is other than before: its SQL, rules, columns, partitions, and when it runs.

Called by `changes.planned`. Compares what `explain` tells of two nodes, so whatever is shown of an
asset is compared.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from data_platform.plan.describing import describe_asset
from data_platform.plan.nodes import AnyNode, PythonNode

ColumnKind = Literal["added", "removed", "changed"]
PARTS: Mapping[str, tuple[str, ...]] = {
    "partitions": ("partitions",),
    "inputs": ("inputs",),
    "source": ("source",),
    "function": ("function",),
    "steps": ("steps",),
    "destination": ("target",),
    "parameters": ("run_parameters", "parameters"),
    "contract": ("contract_version",),
    "automation": ("automation", "freshness", "retries", "pool", "backfill"),
    "about": ("description", "owner", "criticality", "tags", "runbook"),
}
"""What `describe_asset` tells, by the part that a person would name; SQL, rules and columns are
compared by themselves."""
_NOTHING = (None, False, [], {})
"""What goes without saying."""
_PLACES = frozenset({"declared", "defined"})
"""Where something stands in a file is no change of it."""


@dataclass(frozen=True)
class Part:
    """A part of an asset that isn't what it was.

    Attributes:
        name: of the part.
        lines: what changed, each beginning with `+`, `-`, or a blank where it stayed.
    """

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ColumnChange:
    """A column that isn't what it was.

    Attributes:
        name: of it.
        kind: whether it is new, gone, or another.
        old: its type before.
        new: its type from now on.
    """

    name: str
    kind: ColumnKind
    old: str | None = None
    new: str | None = None

    @property
    def breaks(self) -> bool:
        """Whether whoever reads it has to follow."""
        return self.kind != "added"


def changed_parts(old: AnyNode, new: AnyNode) -> list[Part]:
    """The parts of an asset that aren't what they were, columns left out."""
    before, after = _plain(describe_asset(old)), _plain(describe_asset(new))
    found = [Part("sql", _diff(before["sql"], after["sql"]))]
    found.append(Part("rules", _rules(before["checks"], after["checks"])))
    for name, keys in PARTS.items():
        lines = [line for key in keys for line in _values(key, before.get(key), after.get(key))]
        found.append(Part(name, tuple(lines)))
    if isinstance(old, PythonNode) and isinstance(new, PythonNode) and old.source != new.source:
        found.append(Part("code", _diff(old.source, new.source)))
    found = [part for part in found if part.lines]
    if not found and old.code_version != new.code_version:
        found.append(Part("code", (f"-{old.code_version}", f"+{new.code_version}")))
    return found


def changed_columns(
    old: Mapping[str, str | None], new: Mapping[str, str | None], *, closed: bool
) -> list[ColumnChange]:
    """The columns that aren't what they were.

    Args:
        old: types before, by name; None where a type isn't known.
        new: types from now on.
        closed: whether all columns are known, so that one which isn't named is gone.
    """
    before = {name.lower(): (name, kind) for name, kind in old.items()}
    after = {name.lower(): (name, kind) for name, kind in new.items()}
    found: list[ColumnChange] = []
    for lower, (name, kind) in after.items():
        if lower not in before:
            found.append(ColumnChange(name, "added", None, kind))
        elif kind and before[lower][1] and kind != before[lower][1]:
            found.append(ColumnChange(name, "changed", before[lower][1], kind))
    gone = [lower for lower in before if lower not in after] if closed else []
    return [*found, *(ColumnChange(before[one][0], "removed", before[one][1]) for one in gone)]


def _plain(description: Any) -> Any:
    """Without places."""
    match description:
        case dict():
            return {k: _plain(v) for k, v in description.items() if k not in _PLACES}
        case list() | tuple():
            return [_plain(value) for value in description]
        case _:
            return description


def _diff(old: str | None, new: str | None) -> tuple[str, ...]:
    before, after = (old or "").splitlines(), (new or "").splitlines()
    if before == after:
        return ()
    lines = difflib.unified_diff(before, after, n=1, lineterm="")
    return tuple(line for line in lines if not line.startswith(("---", "+++", "@@")))


def _rules(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> tuple[str, ...]:
    before, after = list(map(_rule, old)), list(map(_rule, new))
    gone = [f"-{rule}" for rule in before if rule not in after]
    return (*gone, *(f"+{rule}" for rule in after if rule not in before))


def _rule(rule: Mapping[str, Any]) -> str:
    return f"{rule['name']} ({rule['on_violation']}): {rule['condition']}"


def _values(name: str, old: Any, new: Any) -> Iterator[str]:
    """A line for each value that changed; of mappings only those that differ."""
    if old == new:
        return
    if isinstance(old or {}, dict) and isinstance(new or {}, dict):
        before, after = old or {}, new or {}
        if "words" in (before | after):
            before, after = ({"in words": one["words"]} if one else {} for one in (before, after))
        for key in dict.fromkeys([*before, *after]):
            yield from _values(f"{name}.{key}", before.get(key), after.get(key))
        return
    if old not in _NOTHING:
        yield f"-{name}: {_words(old)}"
    if new not in _NOTHING:
        yield f"+{name}: {_words(new)}"


def _words(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, dict) and "name" in one for one in value):
        return ", ".join(one["name"] for one in value)
    if isinstance(value, list) and all(isinstance(one, dict) and "words" in one for one in value):
        return ", ".join(f"{one['key']} ({one['words']})" for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
