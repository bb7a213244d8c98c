"""The first rows of a partition as Markdown, for whoever looks at it in Dagster.

Called by `lake_steps` after a commit, with the files that are current now. Only the beginning of a
file is read, and nothing is computed. Columns that tell of a person show no value at all.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false
# pyarrow comes without types.

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_platform.engine.texts import flat_text
from data_platform.errors import PlatformError
from data_platform.plan.lineage.masking import MASKED
from data_platform.plan.schemas import Masking
from data_platform.reporting.markdown import NULL, escaped, table
from data_platform.storage.places.place import Place
from data_platform.storage.versions import PartitionVersion

ROWS, COLUMNS = 10, 12
WIDTH = 40
"""Characters of a value or name that are shown."""
MAX_LENGTH = 4_000
"""Characters of a preview; rows are left out until it fits."""

_EMPTY = "*empty*"
_TEMPORAL = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_time, pa.types.is_duration)


def preview_of(version: PartitionVersion, masking: Masking, place: Place) -> str:
    """The first rows in the order of the files.

    Args:
        version: of the partition.
        masking: whose values stay unseen.
        place: of the lake.
    """
    try:
        found, further = _first_rows(version, place)
    except (PlatformError, pa.ArrowException) as error:
        # Published is published: it must be recorded, whatever became of the file since.
        return f"The rows can't be shown: {escaped(str(error), 200)}"
    names = found.column_names
    columns = [
        [MASKED] * found.num_rows
        if masking.hides(name)
        else _cells(found.column(number).combine_chunks())
        for number, name in enumerate(names)
    ]
    rows = list(zip(*columns, strict=True))
    headers = [escaped(name, WIDTH) for name in names]
    right = [_is_number(found.schema.field(number).type) for number in range(len(names))]
    for count in range(len(rows), -1, -1):
        text = "\n\n".join(
            part
            for part in (
                _about(count, version.rows),
                table(headers, rows[:count], right),
                _more(further),
            )
            if part
        )
        if len(text) <= MAX_LENGTH:
            return text
    return _about(0, version.rows)


def _first_rows(version: PartitionVersion, place: Place) -> tuple[pa.Table, list[str]]:
    """The first rows of the first columns, and the names of the others."""
    files = version.files
    if version.seen is not None:
        # Of batches the newest: rows of older ones may have been replaced since.
        files = [file for file in files if file.rows][-1:] or files[-1:]
    with place.open(files[0].path) as opened:
        schema = pq.read_schema(opened)
    names = schema.names[:COLUMNS]
    found = schema.empty_table().select(names)
    for file in files:
        if found.num_rows < ROWS:
            with place.open(file.path) as opened, pq.ParquetFile(opened) as parquet:
                batches = parquet.iter_batches(ROWS - found.num_rows, columns=names)
                first = [batch for batch in (next(batches, None),) if batch is not None]
            found = pa.concat_tables([found, pa.Table.from_batches(first, found.schema)])
    return found, schema.names[COLUMNS:]


def _cells(column: pa.Array) -> list[str]:
    # Python has no year 10,000 and no infinity of time; Arrow writes both.
    temporal = any(test(column.type) for test in _TEMPORAL)
    if not temporal:
        return [_cell(value) for value in column.to_pylist()]
    return [_cell(text and _moment(text)) for text in column.cast(pa.string()).to_pylist()]


def _moment(text: str) -> str:
    """A time as Arrow writes it, without digits that say nothing."""
    if "out of range" in text:
        return "-infinity" if "-" in text else "infinity"
    return text.replace(".000000", "")


def _cell(value: Any) -> str:
    if value is None:
        return NULL
    return escaped(flat_text(value), WIDTH) or _EMPTY


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _about(shown: int, rows: int) -> str:
    if rows == 0:
        return "No rows."
    return (
        f"{rows:,} row{'s'[: rows != 1]}, the first {shown} of them:"
        if shown < rows
        else (f"All {rows:,} rows:" if rows > 1 else "The one row:")
    )


def _more(names: Sequence[str]) -> str:
    if not names:
        return ""
    listed = ", ".join(escaped(name, WIDTH) for name in names[:COLUMNS])
    dots = ", …" if len(names) > COLUMNS else ""
    return f"and {len(names)} more column{'s'[: len(names) != 1]}: {listed}{dots}"
