"""Corrected rows in CSV, as a spreadsheet or an editor left them.

Called by `correcting.sheet_files`. Semicolons and tabs are taken besides commas, and any line ends.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from data_platform.correcting.exporting import GUARD, NULL
from data_platform.correcting.sheets import Cell, Sheet, SheetRow, broken, file_text, header_of
from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.staging.identities import ROW_ID


def read_csv(path: Path) -> Sheet:
    """The rows of a CSV file.

    Raises:
        ConfigurationError: it is broken.
    """
    text = file_text(path)
    if not text.strip():
        raise broken(Location(path), "the file is empty")
    after = text.lstrip('"').removeprefix(ROW_ID).lstrip('"')[:1]
    delimiter = after if after in {";", "\t"} else ","
    records = [
        record for record in _records(text, path, delimiter) if any(raw for raw, _ in record)
    ]
    header, *lines = records
    columns = header_of([(name.strip(), at) for name, at in header])
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
            raise broken(at, _why_broken(text, position))
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
