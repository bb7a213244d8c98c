"""Files of one snapshot of the lake, and the SELECT that reads them.

Made by `storage.versions`, shown by `engine.session` under the names of relations. A table is read
by the list of its files, never by looking into a folder.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow comes without types.

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from data_platform.plan.naming import (
    FILE,
    PARTITION,
    PARTITION_FIELD,
    PROVENANCE,
    ROW,
    WHOLE,
)
from data_platform.plan.sql.expressions import literal, quoted

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Newest:
    """How readers see rows that came in batches: of each key the newest row.

    Attributes:
        key: the columns that name a row; one without a value in one of them is seen by itself.
        cursor: the column that tells the newer of two rows of one batch, if there is one.
    """

    key: tuple[str, ...]
    cursor: str | None


@dataclass(frozen=True)
class LakeFiles:
    """Some files of one snapshot of a table.

    Attributes:
        paths: of them.
        schema: of the table, the partition column not included.
        partitioned: whether their folders are partitions.
        uniform: whether all of them have all columns, so that one tells for the others.
        newest: what readers see of them, whose names rise from batch to batch; None means all rows.
        sizes: in bytes, path by path; needed of files in a bucket, which is never asked for them.
    """

    paths: Sequence[str]
    schema: "pa.Schema"
    partitioned: bool
    uniform: bool = False
    newest: Newest | None = None
    sizes: Sequence[int] = ()


def reading(files: LakeFiles, names: str | None, *, hidden: bool, provenance: bool) -> str:
    """A SELECT over files, whose names have a type where something depends on them.

    Files that are alike are taken for what the first one is; else DuckDB opens all of them first.
    """
    further = PROVENANCE if provenance else {}
    empty = _empty(files.schema, names if hidden else None, further)
    if not files.paths:
        return empty
    listed = ", ".join(literal(path) for path in files.paths)
    by_name = str(provenance or not files.uniform).lower()
    options = f"union_by_name = {by_name}, hive_partitioning = {str(files.partitioned).lower()}"
    if files.partitioned:
        options = f"{options}, hive_types = {{'{PARTITION_FIELD}': VARCHAR}}"
    unseen = [] if provenance else [*PROVENANCE]
    unseen += [PARTITION_FIELD] if files.partitioned else []
    added = ""
    if names is not None:
        options = f"{options}, filename = true, file_row_number = true"
        unseen += ["filename", "file_row_number"]
    if names is not None and hidden:
        partition = PARTITION_FIELD if files.partitioned else literal(WHOLE)
        file = f"CAST(filename AS {names}) AS {FILE}"
        added = f", {partition} AS {PARTITION}, {file}, file_row_number AS {ROW}"
    # Not EXCLUDE: that takes no name that isn't there.
    named = ", ".join(map(literal, unseen))
    columns = f"COLUMNS(lambda c: c NOT IN ({named}))" if unseen else "*"
    source = f"read_parquet([{listed}], {options})"
    replaced = _without_replaced(source, files.newest, names) if files.newest and names else ""
    select = f"SELECT {columns}{added} FROM {source}{replaced}"
    if files.uniform and not provenance:
        return select
    # Files that are older than a column don't have it: the table's schema goes first.
    return f"{empty} UNION ALL BY NAME {select}"


def _without_replaced(source: str, newest: Newest, names: str) -> str:
    """Leave out rows whose key came again: in a later batch, with a later cursor, or further on.

    They are looked for among keys alone and taken out of the rest, which streams: a window over
    whole rows would hold all of them.
    """
    keys = ", ".join(map(quoted, newest.key))
    nameless = " OR ".join(f"{quoted(name)} IS NULL" for name in newest.key)
    itself = f"CASE WHEN {nameless} THEN filename || ' ' || file_row_number END"
    file = f"CAST(filename AS {names})"
    order = [f"{file} DESC"]
    order += [f"{quoted(newest.cursor)} DESC NULLS LAST"] if newest.cursor else []
    ordered = ", ".join([*order, "file_row_number DESC"])
    window = f"PARTITION BY {keys}, {itself} ORDER BY {ordered}"
    return (
        f" ANTI JOIN (SELECT {file} AS _late_file, file_row_number AS _late_row FROM {source} "
        f"QUALIFY ROW_NUMBER() OVER ({window}) > 1) AS _replaced "
        f"ON {file} = _late_file AND file_row_number = _late_row"
    )


def _empty(schema: "pa.Schema", names: str | None, further: Mapping[str, str]) -> str:
    """A relation without rows: partitions that exist have a file, so this is none of them."""
    types = {field.name: duckdb_type(field.type) for field in schema} | dict(further)
    if names is not None:
        types |= {PARTITION: "VARCHAR", FILE: names, ROW: "BIGINT"}
    columns = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in types.items())
    return f"SELECT {columns} WHERE FALSE"


@functools.cache
def duckdb_type(arrow: "pa.DataType") -> str:
    """DuckDB's name of an Arrow type."""
    import pyarrow as pa  # noqa: PLC0415 -- files are looked at where definitions load

    with duckdb.connect() as connection:
        connection.register("one", pa.table({"c": pa.array([], arrow)}))
        row = connection.execute("SELECT column_type FROM (DESCRIBE one)").fetchone()
    return str(row[0]) if row else "VARCHAR"
