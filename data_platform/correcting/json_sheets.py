"""Corrected rows as JSON, an object a line; numbers are read digit by digit.

Called by `correcting.sheet_files`.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# JSON comes without types.

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_platform.correcting.sheets import Cell, Sheet, SheetRow, file_text, header_of
from data_platform.errors import ConfigurationError, Location, Problem


class _Number(str):
    """A number of JSON, digit by digit."""

    __slots__ = ()


def read_json_lines(path: Path) -> Sheet:
    """The rows of a file with an object a line.

    Raises:
        ConfigurationError: it is broken, with every place that is.
    """
    text = file_text(path)
    problems: list[Problem] = []
    columns: dict[str, Location] = {}
    rows: list[SheetRow] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = Location(path, number)
        try:
            pairs = json.loads(
                line, parse_float=_Number, parse_int=_Number, parse_constant=_Number,
                object_pairs_hook=_Pairs,
            )  # fmt: skip
        except json.JSONDecodeError as error:
            problems.append(Problem(Location(path, number, error.colno), f"no JSON: {error.msg}"))
            continue
        if not isinstance(pairs, _Pairs):
            problems.append(Problem(place, "a line holds one object, such as export writes it"))
            continue
        named = [(name, _place(path, number, line, name)) for name, _ in pairs]
        try:
            header_of(named or [("", place)])
        except ConfigurationError as error:
            problems += error.problems
            continue
        for name, at in named:
            columns.setdefault(name, at)
        cells: dict[str, Cell] = {}
        for (name, value), (_, at) in zip(pairs, named, strict=True):
            if _holds_object(value):
                problems.append(Problem(at, f"{name} is an object: no column has one"))
            cells[name] = Cell(value if value is None else _plain(value), at)
        rows.append(SheetRow(place, cells))
    if problems:
        raise ConfigurationError(problems)
    return Sheet(columns, rows)


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with its keys as they stand, repeated ones too."""


def _place(path: Path, number: int, line: str, name: str) -> Location:
    for written in (json.dumps(name), json.dumps(name, ensure_ascii=False)):
        found = re.search(rf"{re.escape(written)}\s*:\s*", line)
        if found:
            return Location(path, number, found.end() + 1)
    return Location(path, number)


def _holds_object(value: Any) -> bool:
    if isinstance(value, _Pairs):
        return True
    return isinstance(value, list) and any(map(_holds_object, value))


def _plain(value: Any) -> str:
    """A value of JSON as the database writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return list_text(value) if isinstance(value, list) else str(value)


def list_text(items: Sequence[Any]) -> str:
    """A list as the database writes it."""
    return f"[{', '.join(map(_item, items))}]"


def _item(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case list():
            return list_text(value)
        case _Number() | bool():
            return _plain(value)
        case _:
            escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
            return f"'{escaped}'"
