"""A file of corrected rows: its cells as text, each with its place.

Made by `correcting.sheet_files`, read by `correcting.comparing`. A file that is broken is told with
line and column, and nothing is guessed.
"""

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.staging.identities import ROW_ID


@dataclass(frozen=True)
class Cell:
    """A value as text; of CSV it isn't known whether an empty one is NULL before its type is."""

    text: str | None
    location: Location
    raw_empty: bool = False


@dataclass(frozen=True)
class SheetRow:
    """A row of a file: its cells by column."""

    location: Location
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Sheet:
    """A file of rows.

    Attributes:
        columns: where each is named.
        rows: in order.
    """

    columns: Mapping[str, Location]
    rows: Sequence[SheetRow]


def broken(location: Location, message: str) -> ConfigurationError:
    """A file that can't be read on from a place."""
    return ConfigurationError([Problem(location, message)])


def file_text(path: Path) -> str:
    """The text of a file, in UTF-8 or as spreadsheets write UTF-16.

    Raises:
        ConfigurationError: it is in neither.
    """
    data = path.read_bytes()
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if data.startswith(mark):
            return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        message = f"byte 0x{data[error.start]:02x} isn't UTF-8: save the file as CSV UTF-8"
        raise broken(Location(path, line, column), message) from None


def header_of(names: Sequence[tuple[str, Location]]) -> dict[str, Location]:
    """Where each column is named.

    Raises:
        ConfigurationError: one is named twice, or none tells which row it is.
    """
    columns: dict[str, Location] = {}
    problems: list[Problem] = []
    for name, at in names:
        if name in columns:
            problems.append(Problem(at, f"column {name!r} is there twice"))
        columns.setdefault(name, at)
    if ROW_ID not in columns:
        message = f"no column {ROW_ID}, by which rows are known: `quarantine export` writes it"
        problems.append(Problem(names[0][1], message))
    if problems:
        raise ConfigurationError(problems)
    return columns
