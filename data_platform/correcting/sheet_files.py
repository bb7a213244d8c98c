"""Read a file of corrected rows, whatever its format.

Called by the command. Parquet is read here, CSV and JSON lines by modules of their own.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types.

from collections.abc import Mapping
from pathlib import Path

from data_platform.correcting.csv_sheets import read_csv
from data_platform.correcting.exporting import Format
from data_platform.correcting.json_sheets import read_json_lines
from data_platform.correcting.sheets import Cell, Sheet, SheetRow, broken, header_of
from data_platform.engine.session import Session
from data_platform.errors import Location, PermanentError
from data_platform.plan.sql.expressions import quoted
from data_platform.staging.held import REASONS

_ENDINGS: Mapping[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".json": "jsonl", ".parquet": "parquet",
}  # fmt: skip


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
            sheet = read_csv(path)
        case "jsonl":
            sheet = read_json_lines(path)
        case "parquet":
            sheet = _read_parquet(session, path)
    if not sheet.rows:
        raise broken(Location(path), "the file has no rows")
    return sheet


def _read_parquet(session: Session, path: Path) -> Sheet:
    """Rows are told as lines, columns by their place."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        said = " ".join(str(error).split())
        raise broken(Location(path), f"no Parquet file: {said}") from None
    names = [(name, Location(path, 1, n)) for n, name in enumerate(table.column_names, start=1)]
    columns = header_of(names or [("", Location(path))])
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
