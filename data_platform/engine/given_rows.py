"""What a person's function gives is written to scratch, table by table.

Called by the stages' steps and by worker processes, which start as fast as this imports little;
`shown_rows` reads it.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow comes without types.

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_OF_A_GROUP = 65_536
"""Rows that are written at once; smaller tables are put together."""
CALL = "_call"
"""The folder of a call's files: `_call=<number>`, the partition's place in the list, from 1."""


def write_given(tables: Iterable[pa.Table], folder: Path, number: int, stem: str) -> list[str]:
    """Write what a function gave to files, a new one where the columns are others.

    Args:
        tables: that it gave.
        folder: of all calls, see `shown_rows`.
        number: of the partition in the list of those, from 1.
        stem: of the files' names, by which they are ordered.
    """
    target = folder / f"{CALL}={number}"
    target.mkdir(parents=True, exist_ok=True)
    paths: list[str] = []
    writer: pq.ParquetWriter | None = None
    try:
        for table in _together(tables):
            if writer is None or not writer.schema.equals(table.schema):
                if writer is not None:
                    writer.close()
                paths.append(str(target / f"{stem}-{len(paths):06}.parquet"))
                writer = pq.ParquetWriter(paths[-1], table.schema)
            writer.write_table(table, ROWS_OF_A_GROUP)
    finally:
        if writer is not None:
            writer.close()
    return paths


def _together(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Small tables put together where their columns agree; those without columns left out."""
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        if not table.num_columns:
            continue
        if waiting and not waiting[0].schema.equals(table.schema):
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
        waiting.append(table)
        rows += table.num_rows
        if rows >= ROWS_OF_A_GROUP:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting)
