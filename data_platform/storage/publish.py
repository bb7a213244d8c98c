"""Write and publish: rows become files that nobody sees, then one commit makes them current.

Called by the stages between their audit and their report. Writing and committing are apart, so
that whoever calls can look at what was written before it counts.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow comes without types.

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from data_platform.engine.lake_files import LakeFiles
from data_platform.engine.session import Session
from data_platform.errors import StorageError
from data_platform.plan.conversions import NANOSECONDS, stored_type
from data_platform.plan.naming import (
    HIDDEN_TYPES,
    LONGEST_FOLDER,
    PARTITION,
    PARTITION_FIELD,
    PROVENANCE,
    WHOLE,
    names_folder,
)
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.storage.commits import KEEPING, NOTE
from data_platform.storage.lake import LakeTable
from data_platform.storage.versions import DataFile, PartitionVersion

WRITTEN = "_written"
"""The relation of the files that `write` wrote last, with the platform's own columns."""

PARTITIONS_AT_ONCE = 92
"""Of a range, a quarter of a year: COPY holds all rows of a statement before it writes a file."""

SIGNIFICANT_DIGITS = 12
"""Of computed doubles in a data version: their sums depend on the order of the rows."""

_NOWHERE = "__HIVE_DEFAULT_PARTITION__"
"""DuckDB's folder of rows whose partition is NULL."""
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
"""A column as COPY names it; a part of a nested one is `"column"."part"`."""


@dataclass(frozen=True)
class Unwritten:
    """Rows of a session that are in no file yet.

    Attributes:
        select: the columns that are kept, as `stored_select` gives them.
        tail: `FROM ...`, over a relation that has `_partition`; it ends with a condition where
            the rows aren't streamed.
        computed: whether doubles are results of arithmetic, see `SIGNIFICANT_DIGITS`.
        unversioned: columns that don't count for the data version.
        streamed: whether the rows can be read only once. Others are read a part of the partitions
            at a time, which takes less memory.
        stray: whether rows whose `_partition` is NULL are left out and counted.
    """

    select: str
    tail: str
    computed: bool = False
    unversioned: Sequence[str] = ()
    streamed: bool = True
    stray: bool = False


@dataclass(frozen=True)
class Written:
    """Files in scratch, by partition.

    Attributes:
        versions: of every partition that was asked for, empty ones included.
        schema: of the files.
        strays: how many rows belong to no partition, and were left out.
    """

    versions: Mapping[str, PartitionVersion]
    schema: pa.Schema
    strays: int = 0


@dataclass(frozen=True)
class Publication:
    """What a commit did.

    Attributes:
        versions: what is current now, by partition.
        changed: the partitions whose rows are others than before.
        lake_version: of the table after it.
        nulls: in each column, by partition, of unchanged ones too.
    """

    versions: Mapping[str, PartitionVersion]
    changed: frozenset[str]
    lake_version: int
    nulls: Mapping[str, Mapping[str, int]] = field(
        default_factory=dict[str, Mapping[str, int]], repr=False
    )


def stored_select(session: Session, relation: str, hidden: Iterable[str]) -> str:
    """A SELECT of a relation's own columns in the types that the lake keeps, without loss.

    Raises:
        StorageError: a column has a type that the lake can't keep.
    """
    left_out = set(hidden)
    parts: list[str] = []
    for name, kind in session.columns(f"SELECT * FROM {relation}").items():
        if name in left_out:
            continue
        stored = stored_type(kind)
        if stored is None:
            raise StorageError(
                f"column {name} is {kind}, which the lake can't keep: "
                "convert it to varchar or a number"
            )
        parts.append(_kept(name, kind, stored))
    return f"SELECT {', '.join(parts)}"


def _kept(name: str, kind: str, stored: str) -> str:
    if kind == NANOSECONDS:
        message = literal(f"column {name} has nanoseconds, the lake keeps microseconds")
        lost = f"EPOCH_NS({quoted(name)}) % 1000 <> 0"
        kept = f"CAST({quoted(name)} AS {stored})"
        return f"CASE WHEN {lost} THEN ERROR({message}) ELSE {kept} END AS {quoted(name)}"
    if stored != kind:
        return f"CAST({quoted(name)} AS {stored}) AS {quoted(name)}"
    return quoted(name)


def write(session: Session, rows: Unwritten, folder: Path, keys: Sequence[str]) -> Written:
    """Write rows to files in scratch, one folder a partition, and tell their data versions.

    Versions are told from the files.

    Args:
        session: in which the rows are.
        rows: what is written.
        folder: in scratch, not there yet.
        keys: of all partitions that are written; one without rows gets an empty file.

    Raises:
        StorageError: there are rows of partitions that nobody asked for, or no folder can be
            called by a key.
    """
    if long := next((key for key in keys if not names_folder(key)), None):
        raise StorageError(
            f"the partition key {long[:20]}... is too long for the name of a folder: letters other "
            f"than ASCII take 6 to 12 characters of {LONGEST_FOLDER}; name it shorter"
        )
    folder.mkdir(parents=True)
    partitioned = list(keys) != [WHOLE]
    parts = [""] if rows.streamed or not partitioned else _parts(keys)
    files: dict[str, tuple[DataFile, ...]] = {}
    for number, part in enumerate(parts):
        target = folder / f"{number}" if len(parts) > 1 else folder
        files |= _copy(session, rows.select, f"{rows.tail}{part}", target, partitioned=partitioned)
    strays = sum(file.rows for file in files.pop(_NOWHERE, ())) if rows.stray else 0
    strangers = sorted(files.keys() - set(keys))
    if strangers:
        message = f"rows of partitions that nobody asked for: {', '.join(strangers[:3])}"
        raise StorageError(f"{message}; asked for {keys[0]} to {keys[-1]}")
    for key in keys:
        if key not in files:
            files[key] = (_empty_file(session, f"{rows.select} {rows.tail}", folder, key),)
    schema = _own(pq.read_schema(files[keys[0]][0].path))
    paths = [file.path for found in files.values() for file in found if file.rows]
    session.show(WRITTEN, LakeFiles(paths, schema, partitioned, uniform=True))
    skip = {*rows.unversioned, *HIDDEN_TYPES}
    columns = {
        name: kind
        for name, kind in session.columns(f"SELECT * FROM {WRITTEN}").items()
        if name not in skip
    }
    hashes = _data_versions(session, columns, computed=rows.computed)
    empty = _version(columns, 0, 0, 0)
    return Written(
        {key: PartitionVersion(hashes.get(key, empty), files[key]) for key in keys}, schema, strays
    )


def _own(schema: pa.Schema) -> pa.Schema:
    """A schema without the columns that tell a row's file: no table has them."""
    return pa.schema([column for column in schema if column.name not in PROVENANCE])


def publish(table: LakeTable, written: Written, metadata: Mapping[str, str]) -> Publication:
    """Make what was written current in one commit; partitions with the same rows are left alone.

    Args:
        table: the asset's.
        written: in scratch.
        metadata: kept with the commit.
    """
    before = table.snapshot()
    standing = before.partitions if before else {}
    changed = {
        key: version
        for key, version in written.versions.items()
        if key not in standing or standing[key].data_version != version.data_version
    }
    nulls = {key: version.nulls for key, version in written.versions.items()}
    built = table.prints.kept(written.versions, standing)
    if not changed:
        version = before.version if before else 0
        if built:
            # The same rows from something else: who asks next needn't compute them.
            version = table.note({**metadata, **built, KEEPING: NOTE})
        versions = {key: standing[key] for key in written.versions}
        return Publication(versions, frozenset(), version, nulls)
    lake_version = table.publish(changed, written.schema, {**metadata, **built})
    versions = {key: changed.get(key) or standing[key] for key in written.versions}
    return Publication(versions, frozenset(changed), lake_version, nulls)


def _parts(keys: Sequence[str]) -> list[str]:
    """Conditions that share all rows out, also those of partitions that nobody asked for."""
    bounds = sorted(keys)[PARTITIONS_AT_ONCE::PARTITIONS_AT_ONCE]
    if not bounds:
        return [""]
    lows = [f" AND {PARTITION} >= {literal(key)}" for key in bounds]
    highs = [f" AND {PARTITION} < {literal(key)}" for key in bounds]
    between = [f"{low}{high}" for low, high in zip(lows[:-1], highs[1:], strict=True)]
    unknown = f" AND ({PARTITION} >= {literal(bounds[-1])} OR {PARTITION} IS NULL)"
    return [highs[0], *between, unknown]


def _copy(
    session: Session, select: str, tail: str, folder: Path, *, partitioned: bool
) -> dict[str, tuple[DataFile, ...]]:
    options = "FORMAT parquet, COMPRESSION zstd, RETURN_STATS true"
    if partitioned:
        query = f"{select}, {PARTITION} AS {PARTITION_FIELD} {tail}"
        target, options = folder, f"{options}, PARTITION_BY ({PARTITION_FIELD})"
    else:
        query, target = f"{select} {tail}", folder / "data.parquet"
    files: dict[str, list[DataFile]] = {}
    for row in session.rows(f"COPY ({query}) TO {literal(str(target))} ({options})"):
        path, count, size = str(row[0]), int(row[1]), int(row[2])
        key = unquote(Path(path).parent.name.partition("=")[2]) if partitioned else WHOLE
        files.setdefault(key, []).append(DataFile(path, count, size, _nulls(row[4])))
    return {key: tuple(sorted(found, key=lambda file: file.path)) for key, found in files.items()}


def _nulls(statistics: Mapping[str, Mapping[str, str]] | None) -> dict[str, int]:
    """NULLs of each column, from what COPY says of a file; parts of nested ones aren't counted."""
    found: dict[str, int] = {}
    for name, about in (statistics or {}).items():
        column = _QUOTED.fullmatch(name)
        if column and "null_count" in about and column[1] not in PROVENANCE:
            found[column[1].replace('""', '"')] = int(about["null_count"])
    return found


def _empty_file(session: Session, query: str, folder: Path, key: str) -> DataFile:
    path = folder / f"empty-{quote(key, safe='') or 'whole'}.parquet"
    session.run(f"COPY ({query} LIMIT 0) TO {literal(str(path))} (FORMAT parquet)")
    return DataFile(str(path), 0, path.stat().st_size)


def _data_versions(
    session: Session, columns: Mapping[str, str], *, computed: bool
) -> dict[str, str]:
    """A hash of each partition's rows: two sums over row hashes, so that order doesn't count."""
    values = ", ".join(_hashed(name, kind, computed=computed) for name, kind in columns.items())
    rows = session.rows(
        f"SELECT {PARTITION}, COUNT(*), SUM(h), SUM(HASH(h, 'second')) "
        f"FROM (SELECT {PARTITION}, HASH({values}) AS h FROM {WRITTEN}) GROUP BY 1"
    )
    return {str(key): _version(columns, count, first, second) for key, count, first, second in rows}


def _hashed(name: str, kind: str, *, computed: bool) -> str:
    if computed and kind in {"DOUBLE", "FLOAT"}:
        return f"FORMAT('{{:.{SIGNIFICANT_DIGITS - 1}e}}', CAST({quoted(name)} AS DOUBLE))"
    if kind.endswith("[]"):
        # No list, a list of nothing and a list of NULL have one hash.
        return f"CAST({quoted(name)} AS VARCHAR)"
    return quoted(name)


def _version(columns: Mapping[str, str], count: int, first: int, second: int) -> str:
    text = f"{sorted(columns.items())}|{count}|{first}|{second}"
    return hashlib.sha256(text.encode()).hexdigest()[:20]
