"""What is current in a table, or was: files of partitions, as one version of the table names them.

Made by `storage.lake` from a table of Delta; handed to whoever reads.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow and deltalake come without types.

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from data_platform.engine.lake_files import LakeFiles
from data_platform.plan.naming import BATCH_FIELD, PARTITION_FIELD, WHOLE
from data_platform.storage.batches import Batches, batches_of, version_of_batches
from data_platform.storage.schemas import columns_hash


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a table.

    Attributes:
        path: where it is.
        rows: in it.
        bytes: of it.
        nulls: in each column, where it was written just now; a table doesn't keep them.
        committed: when it was, in milliseconds since 1970; 0 before that.
    """

    path: str
    rows: int
    bytes: int
    nulls: Mapping[str, int] = field(default_factory=dict[str, int], repr=False, compare=False)
    committed: int = field(default=0, repr=False, compare=False)


@dataclass(frozen=True)
class PartitionVersion:
    """What a partition holds.

    Attributes:
        data_version: a hash of its rows, independent of order.
        files: in which they are; an empty partition has one file without rows.
        columns: a hash of the files' columns, "" where it isn't known.
        seen: how many of the files' rows readers see; None means all.
    """

    data_version: str
    files: tuple[DataFile, ...]
    columns: str = ""
    seen: int | None = None

    @property
    def rows(self) -> int:
        """How many there are for readers."""
        return sum(file.rows for file in self.files) if self.seen is None else self.seen

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def nulls(self) -> Mapping[str, int]:
        """In each column, where all files were written just now; else none are told."""
        names = self.files[0].nulls if self.files else {}
        return {
            name: sum(file.nulls[name] for file in self.files)
            for name in names
            if all(name in file.nulls for file in self.files)
        }


@dataclass(frozen=True)
class Snapshot:
    """One version of a table, as a reader sees it.

    Attributes:
        version: Delta's number.
        schema: the columns, the partition column not included.
        partitioned: whether the table has partitions.
        partitions: what is published, by key.
        batches: how it grows, where each run adds a batch.
    """

    version: int
    schema: pa.Schema
    partitioned: bool
    partitions: Mapping[str, PartitionVersion]
    batches: Batches | None = None

    def files(self, keys: Iterable[str]) -> LakeFiles:
        """The files of these partitions; those that aren't published have none."""
        newest = self.batches.newest if self.batches else None
        return replace(self.all_rows(keys), newest=newest)

    def all_rows(self, keys: Iterable[str]) -> LakeFiles:
        """The same, with rows of batches that readers don't see because newer ones came."""
        found = [self.partitions[key] for key in keys if key in self.partitions]
        files = [file for version in found for file in version.files]
        own = columns_hash(self.schema)
        uniform = all(version.columns == own for version in found)
        return LakeFiles(
            [file.path for file in files],
            self.schema,
            self.partitioned,
            uniform=uniform,
            sizes=[file.bytes for file in files],
        )


@dataclass(frozen=True)
class TableFiles:
    """The files of a table for an engine that reads Parquet: Spark, Trino, Polars.

    Attributes:
        root: of the table: a folder, or `s3://bucket/prefix`.
        paths: of the files, below it; folders `partition=<key>` name partitions.
        columns: of the table; a file that is older than a column doesn't have it.
    """

    root: str
    paths: tuple[str, ...]
    columns: tuple[str, ...]


def named(files: LakeFiles, root: str) -> TableFiles:
    """Files as others take them.

    Args:
        files: all of whose rows are seen.
        root: of their table.
    """
    return TableFiles(root, tuple(files.paths), tuple(files.schema.names))


def snapshot_of(table: DeltaTable, path: str) -> Snapshot:
    """What a table holds in the version in which it was opened.

    Args:
        table: opened.
        path: of it, as its files' paths begin.
    """
    fields = pa.schema(table.schema().to_arrow())
    partitioned = PARTITION_FIELD in table.metadata().partition_columns
    batches = _batches_in(table)
    actions = pa.table(table.get_add_actions(flatten=True))
    keys = (
        actions.column(f"partition.{PARTITION_FIELD}").to_pylist()
        if partitioned
        else [WHOLE] * len(actions)
    )
    found: dict[str, list[tuple[str, str, DataFile]]] = {}
    for key, relative, size, rows, committed in zip(
        keys,
        # As the log has them: addresses, in which what is percent-encoded is so once more.
        map(unquote, actions.column("path").to_pylist()),
        actions.column("size_bytes").to_pylist(),
        actions.column("num_records").to_pylist(),
        actions.column("modification_time").to_pylist(),
        strict=True,
    ):
        version, columns = _named(relative)
        file = DataFile(f"{path}/{relative}", rows, size, committed=committed)
        found.setdefault(key, []).append((version, columns, file))
    partitions = {
        key: _version_of(sorted(files, key=lambda item: item[2].path), batches)
        for key, files in sorted(found.items())
    }
    unseen = PARTITION_FIELD if partitioned else BATCH_FIELD if batches else None
    visible = pa.schema([field for field in fields if field.name != unseen])
    return Snapshot(table.version(), visible, partitioned, partitions, batches)


def _batches_in(table: DeltaTable) -> Batches | None:
    if BATCH_FIELD not in table.metadata().partition_columns:
        return None
    return next(batches_of(f.metadata) for f in table.schema().fields if f.name == BATCH_FIELD)


def _version_of(
    files: Sequence[tuple[str, str, DataFile]], batches: Batches | None
) -> PartitionVersion:
    """What the files of a partition are together, each with its data version and columns."""
    version = files[0][0]
    if batches is not None:
        parts = [(file.path.split("/")[-2], own) for own, _, file in files if file.rows]
        version = version_of_batches(batches, parts)
    alike = {columns for _, columns, _ in files}
    return PartitionVersion(
        version,
        tuple(file for *_, file in files),
        files[0][1] if len(alike) == 1 else "",
        batches.rows if batches else None,
    )


def _named(relative: str) -> tuple[str, str]:
    """What a file's name says: its partition's data version, and the hash of its columns."""
    version, _, rest = relative.rpartition("/")[2].removesuffix(".parquet").partition("-")
    return version, rest.partition("-")[0]
