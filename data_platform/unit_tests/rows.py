"""Rows as `tests.yaml` has them: a list, CSV, or a file beside it.

Called by `unit_tests.planning`. What a value is depends on its column, which `unit_tests.tables`
knows.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types.

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from data_platform.engine.lake_files import duckdb_type
from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.spec.tests import RowsFrom
from data_platform.spec.wording import show


@dataclass(frozen=True)
class Table:
    """Rows as they were written.

    Attributes:
        columns: named in any of them, in that order.
        rows: by column; a row that doesn't name one has nothing of it.
        places: of each row.
        plain: whether all values are texts of a CSV, whose types are still to be told.
        types: of columns, where a Parquet file tells them.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, object], ...]
    places: tuple[Location, ...]
    plain: bool = False
    types: Mapping[str, str] | None = None

    def with_defaults(self, defaults: Mapping[str, object]) -> "Table":
        """The same rows, with values of columns that they don't name."""
        if not defaults or self.types is not None:
            return self
        columns = (*self.columns, *(name for name in defaults if name not in self.columns))
        said = (
            {name: None if value is None else as_text(value) for name, value in defaults.items()}
            if self.plain
            else {}
        )
        rows = tuple({**(said or defaults), **row} for row in self.rows)
        return Table(columns, rows, self.places, self.plain)


def read_table(
    rows: Sequence[Mapping[str, object]] | RowsFrom,
    folder: Path,
    locate: Callable[..., Location],
) -> Table:
    """Rows in whichever form they stand.

    Args:
        rows: as written.
        folder: in which files are.
        locate: tells where an item or key of them stands.

    Raises:
        ConfigurationError: a file isn't there or can't be read, or a CSV isn't one.
    """
    if isinstance(rows, RowsFrom):
        if rows.csv is not None:
            return _from_csv(rows.csv, locate("csv"))
        return _from_file(rows.file or "", folder, locate("file"))
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Table(columns, tuple(rows), tuple(locate(number) for number in range(len(rows))))


def _from_file(name: str, folder: Path, location: Location) -> Table:
    path = folder / name
    if not path.is_file():
        raise ConfigurationError([Problem(location, f"there is no file {path}")])
    try:
        match path.suffix:
            case ".csv":
                return _from_csv(path.read_text(encoding="utf-8-sig"), location)
            case ".parquet":
                return _from_parquet(path, location)
            case _:
                message = f"rows come from a .csv or .parquet file; found {show(name)}"
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        message = f"{path} can't be read: {error}"
    raise ConfigurationError([Problem(location, message)])


def _from_parquet(path: Path, location: Location) -> Table:
    table = pq.ParquetFile(path).read()
    types = {field.name: duckdb_type(field.type) for field in table.schema}
    rows = tuple(cast("list[dict[str, object]]", table.to_pylist()))
    return Table(tuple(types), rows, (location,) * len(rows), types=types)


def _from_csv(text: str, location: Location) -> Table:
    lines = csv.reader(text.splitlines(), skipinitialspace=True, strict=True)
    try:
        written = [[field.rstrip() for field in line] for line in lines if line]
    except csv.Error as error:
        raise ConfigurationError([Problem(location, f"no valid CSV: {error}")]) from None
    if not written:
        message = "a CSV needs a header: the names of its columns"
        raise ConfigurationError([Problem(location, message)])
    header, *rows = written
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            message = f"row {number} of the CSV has {len(row)} fields, its header {len(header)}"
            raise ConfigurationError([Problem(location, message)])
    twice = next((name for i, name in enumerate(header) if name in header[:i]), None)
    if twice is not None:
        message = f"the header of the CSV names {twice!r} twice"
        raise ConfigurationError([Problem(location, message)])
    found = tuple(
        {name: field or None for name, field in zip(header, row, strict=True)} for row in rows
    )
    return Table(tuple(header), found, (location,) * len(found), plain=True)


def as_text(value: object) -> Any:
    """A value as the text that stands for it in CSV and SQL; a list of them, of a list."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case list():
            return [as_text(item) for item in cast("list[object]", value)]
        case float():
            return repr(value)
        case bytes():
            return "".join(f"\\x{byte:02x}" for byte in value)
        case _:
            return str(value)
