"""Rows of files: which files a path names, and how DuckDB reads them.

Called by `raw.extraction`, and when definitions load to know the columns of files that are there.
"""

import glob
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

from data_platform.errors import SourceError
from data_platform.plan.conversions import stored_type
from data_platform.plan.expressions import literal
from data_platform.plan.naming import BAD_FILES, PARTITION
from data_platform.plan.schemas import Column, Schema
from data_platform.plan.sources import Files
from data_platform.sources.arrivals import Arrival, Notice, Question
from data_platform.sources.translated import translated


@contextmanager
def arriving(question: Question, source: Files) -> Generator[Arrival]:
    """The rows of the files of each partition; one without files fails by itself.

    Raises:
        SourceError: a file can't be read as the pipeline says.
    """
    found: dict[str, list[Path]] = {}
    failed: dict[str, str] = {}
    for key in question.keys:
        try:
            found[key] = matching(source, key)
        except SourceError as error:
            failed[key] = str(error)
    if not found:
        yield Arrival(None, failed)
        return
    with translated(source.path):
        everything = reading(source, [path for paths in found.values() for path in paths])
        there = question.session.columns(everything)
        types = {name: kind for name, kind in question.types.items() if name in there}
        parts = [
            f"SELECT *, {literal(key)} AS {PARTITION} FROM ({reading(source, paths, types)})"
            for key, paths in found.items()
        ]
        notice = Notice(BAD_FILES, question.keys[-1], 0, "")
        yield Arrival(" UNION ALL BY NAME ".join(parts), failed, notices=[notice])


def folder_of(path: str) -> Path:
    """The deepest folder of a glob that has no wildcard in it."""
    fixed = Path(path).parent
    while any(sign in str(fixed) for sign in "*?[{"):
        fixed = fixed.parent
    return fixed


def matching(source: Files, partition: str) -> list[Path]:
    """The files that the path names, in order.

    Args:
        source: with its path or glob.
        partition: the key that stands in for `{partition_key}`.

    Raises:
        SourceError: there is none, or one without a single byte.
    """
    pattern = source.path.replace("{partition_key}", glob.escape(partition))
    found = sorted(
        Path(path)
        for path in glob.glob(pattern, recursive=True)  # noqa: PTH207 -- a pattern may be absolute
        if Path(path).is_file()
    )
    if not found:
        raise SourceError(f"no file matches {pattern}")
    empty = [path for path in found if path.stat().st_size == 0]
    if empty:
        raise SourceError(f"{empty[0]} is empty: not even columns are named there")
    return found


def reading(source: Files, paths: list[Path], types: Mapping[str, str] | None = None) -> str:
    """A SELECT over files, columns matched by name.

    Args:
        source: with its format.
        paths: of the files.
        types: of columns whose type isn't to be guessed, where the format has none of its own.
    """
    listed = ", ".join(literal(str(path)) for path in paths)
    if source.format == "parquet":
        options = "union_by_name = true, hive_partitioning = false"
        return f"SELECT * FROM read_parquet([{listed}], {options})"
    csv = source.csv
    nulls = ", ".join(literal(value) for value in csv.null_values)
    options = (
        f"delim = {literal(csv.delimiter)}, header = {str(csv.header).lower()}, "
        f"nullstr = [{nulls}], "
        f"encoding = {literal(csv.encoding)}, sample_size = -1, union_by_name = true, "
        "hive_partitioning = false"
    )
    if types:
        named = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types.items())
        options = f"{options}, types = {{{named}}}"
    return f"SELECT * FROM read_csv([{listed}], {options})"


def files_schema(source: Files) -> Schema | None:
    """The columns of the files that are there now; None if there are none or they can't be read."""
    if "{partition_key}" in source.path:
        return None
    try:
        query = reading(source, matching(source, ""))
        with duckdb.connect() as connection:
            rows = connection.execute(f"DESCRIBE {query}").fetchall()
    except (SourceError, duckdb.Error):
        return None
    return Schema(tuple(Column(str(row[0]), stored_type(str(row[1]))) for row in rows), closed=True)
