"""A file of corrected rows: its cells as text, each with its place.

Read by `correcting.comparing`. Whoever edited it used a spreadsheet, an editor or a program: other
delimiters, line ends and encodings of spreadsheets are taken; a file that is broken is told with
line and column, and nothing is guessed.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types, and neither does JSON.

import codecs
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_platform.correcting.exporting import GUARD, NULL, Format
from data_platform.engine.session import Session
from data_platform.errors import ConfigurationError, Location, PermanentError, Problem
from data_platform.plan.expressions import quoted
from data_platform.staging.held import REASONS
from data_platform.staging.identities import ROW_ID

_ENDINGS: Mapping[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".json": "jsonl", ".parquet": "parquet",
}  # fmt: skip


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


def format_of(path: Path, given: Format | None = None) -> Format:
    """The format of a file by its ending.

    Raises:
        PermanentError: the ending tells none.
    """
    found = given or _ENDINGS.get(path.suffix.lower())
    if found is None:
        raise PermanentError(
            f"{path}: its ending tells no format: name it .csv, .jsonl or .parquet, or say --format"
        )
    return found


def read_sheet(session: Session, path: Path, given: Format | None = None) -> Sheet:
    """The rows of a file.

    Raises:
        PermanentError: there is no such file, or it tells no format.
        ConfigurationError: it is broken, with every place that is.
    """
    if not path.is_file():
        raise PermanentError(f"{path}: there is no such file")
    match format_of(path, given):
        case "csv":
            sheet = _read_csv(path)
        case "jsonl":
            sheet = _read_json_lines(path)
        case "parquet":
            sheet = _read_parquet(session, path)
    if not sheet.rows:
        raise _broken(Location(path), "the file has no rows")
    return sheet


def _broken(location: Location, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(location, message)])


def _text_of(path: Path) -> str:
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
        raise _broken(Location(path, line, column), message) from None


# CSV ------------------------------------------------------------------------------------------


def _read_csv(path: Path) -> Sheet:
    text = _text_of(path)
    if not text.strip():
        raise _broken(Location(path), "the file is empty")
    after = text.lstrip('"').removeprefix(ROW_ID).lstrip('"')[:1]
    delimiter = after if after in {";", "\t"} else ","
    records = [
        record for record in _records(text, path, delimiter) if any(raw for raw, _ in record)
    ]
    header, *lines = records
    columns = _header({}, [(name.strip(), at) for name, at in header])
    problems: list[Problem] = []
    rows: list[SheetRow] = []
    for record in lines:
        place = record[0][1]
        if len(record) != len(header):
            said = f"{len(record)} cells, and the header has {len(header)}"
            more = ": a text with a comma in it stands in quotes"
            problems.append(Problem(place, f"{said}{more if len(record) > len(header) else ''}"))
            continue
        cells = {
            name: Cell(_csv_value(raw), at, raw == "")
            for name, (raw, at) in zip(columns, record, strict=True)
        }
        rows.append(SheetRow(place, cells))
    if problems:
        raise ConfigurationError(problems)
    return Sheet(columns, rows)


def _header(
    columns: dict[str, Location], names: Sequence[tuple[str, Location]]
) -> dict[str, Location]:
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


def _csv_value(raw: str) -> str | None:
    if raw == NULL:
        return None
    return raw.removeprefix(GUARD)


def _records(text: str, path: Path, delimiter: str) -> Iterator[list[tuple[str, Location]]]:
    """Cells and their places, record by record."""
    cell = re.compile(
        rf'(?:"((?:[^"]|"")*)"|(?!")([^{re.escape(delimiter)}\r\n]*))'
        rf"({re.escape(delimiter)}|\r\n|\n|\r|\Z)"
    )
    position, line, start = 0, 1, 0
    record: list[tuple[str, Location]] = []
    while position < len(text) or record:
        at = Location(path, line, position - start + 1)
        found = cell.match(text, position)
        if found is None:
            raise _broken(at, _why_broken(text, position))
        inside, plain, end = found.groups()
        record.append((plain if inside is None else inside.replace('""', '"'), at))
        breaks = list(re.finditer(r"\r\n|\n|\r", inside or ""))
        if breaks:
            line += len(breaks)
            start = found.start(1) + breaks[-1].end()
        position = found.end()
        if end != delimiter:
            yield record
            record = []
            line, start = line + 1, position


def _why_broken(text: str, position: int) -> str:
    closed = re.compile(r'"(?:[^"]|"")*"').match(text, position)
    if closed is None:
        return "a quote opens here and is never closed"
    behind = text[closed.end() : closed.end() + 10].splitlines()[0]
    return f"{behind!r} stands behind the closing quote: a quote inside a text is written twice"


# JSON -----------------------------------------------------------------------------------------


class _Number(str):
    """A number of JSON, digit by digit."""

    __slots__ = ()


def _read_json_lines(path: Path) -> Sheet:
    text = _text_of(path)
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
            _header({}, named or [("", place)])
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


# Parquet --------------------------------------------------------------------------------------


def _read_parquet(session: Session, path: Path) -> Sheet:
    """Rows are told as lines, columns by their place."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        said = " ".join(str(error).split())
        raise _broken(Location(path), f"no Parquet file: {said}") from None
    names = [(name, Location(path, 1, n)) for n, name in enumerate(table.column_names, start=1)]
    columns = _header({}, names or [("", Location(path))])
    session.register("_sheet", table)
    listed = [name for name in columns if name != REASONS]
    texts = ", ".join(f"CAST({quoted(name)} AS VARCHAR)" for name in listed)
    rows: list[SheetRow] = []
    for number, values in enumerate(session.rows(f"SELECT {texts} FROM _sheet"), start=1):
        cells = {
            name: Cell(value, Location(path, number, columns[name].column))
            for name, value in zip(listed, values, strict=True)
        }
        rows.append(SheetRow(Location(path, number), cells))
    return Sheet(columns, rows)
