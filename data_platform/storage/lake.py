"""The lake: one Delta table an asset, and what "current" means.

Called by `storage.publish` to commit and by the stages, the command and the IO manager to read.
A reader holds one snapshot; a commit makes a whole range of partitions current at once.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow and deltalake come without types.

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, create_table_with_add_actions

from data_platform.engine.session import LakeFiles
from data_platform.errors import ContractError, StorageError, StorageUnavailable
from data_platform.plan.keys import Key
from data_platform.plan.naming import BATCH_FIELD, PARTITION_FIELD, WHOLE
from data_platform.storage.batches import Batches, batches_of, folder_of

COMMIT_TRIES = 20
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BINARIES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a table.

    Attributes:
        path: where it is.
        rows: in it.
        bytes: of it.
        nulls: in each column, where it was written just now; a table doesn't keep them.
    """

    path: str
    rows: int
    bytes: int
    nulls: Mapping[str, int] = field(default_factory=dict[str, int], repr=False, compare=False)


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
        paths = [file.path for version in found for file in version.files]
        own = columns_hash(self.schema)
        uniform = all(version.columns == own for version in found)
        return LakeFiles(paths, self.schema, self.partitioned, uniform=uniform)


class Lake:
    """All tables under one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def table(self, key: Key) -> "LakeTable":
        """The table of an asset, there or not."""
        return LakeTable(self.root / key.layer / key.pipeline / key.name)

    def bad_files(self, key: Key) -> Path:
        """Where files of a source are kept that can't be read."""
        return self.root / "quarantine" / "files" / key.pipeline / key.name

    @property
    def scratch_root(self) -> Path:
        """Where files are written unseen: on the lake's own file system, so a move is atomic."""
        return self.root / "_scratch"


class LakeTable:
    """One asset's table."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def uri(self) -> str:
        """Its address for other readers of Delta."""
        return self.path.as_uri()

    def snapshot(self) -> Snapshot | None:
        """What is current, or None where nothing was ever published."""
        table = self._open()
        return _snapshot_of(table, self.path) if table else None

    def publish(
        self,
        versions: Mapping[str, PartitionVersion],
        schema: pa.Schema,
        metadata: Mapping[str, str],
    ) -> int:
        """Make new versions of partitions current, all in one commit.

        Args:
            versions: by partition; their files are in scratch and are moved under the table.
            schema: of the files, the partition column not included.
            metadata: kept with the commit.

        Returns:
            The table's version after the commit.

        Raises:
            ContractError: a column changed its type.
            StorageUnavailable: others kept committing to the same partitions.
        """
        partitioned = WHOLE not in versions
        columns = columns_hash(schema)
        self.path.mkdir(parents=True, exist_ok=True)
        actions = [
            self._adopted(file, PARTITION_FIELD if partitioned else None, key, version, columns)
            for key, version in versions.items()
            for file in version.files
        ]
        properties = CommitProperties(custom_metadata=dict(metadata))
        return self._insisting(
            lambda: self._commit(
                actions, list(versions), schema, properties, partitioned=partitioned
            )
        )

    def append(
        self,
        version: PartitionVersion,
        schema: pa.Schema,
        batches: Batches,
        metadata: Mapping[str, str],
    ) -> int:
        """Add a batch, unless another one was added since the one before it.

        Args:
            version: of the batch; its files are in scratch and are moved under the table.
            schema: of the files.
            batches: the state of the table with the batch.
            metadata: kept with the commit.

        Returns:
            The table's version after the commit.

        Raises:
            ContractError: a column changed its type, or the table doesn't grow by batches.
            StorageUnavailable: another run added a batch in the meantime.
        """
        columns = columns_hash(schema)
        self.path.mkdir(parents=True, exist_ok=True)
        actions = [
            self._adopted(file, BATCH_FIELD, f"{batches.number}", version, columns)
            for file in version.files
        ]
        said = {"batch": f"{batches.number}", "position": json.dumps(batches.position)}
        properties = CommitProperties(
            custom_metadata={**metadata, **said},
            # A commit that goes on top of one that it hasn't seen might add rows twice.
            max_commit_retries=0,
        )
        return self._insisting(lambda: self._commit_batch(actions, schema, batches, properties))

    def _insisting(self, commit: Callable[[], int]) -> int:
        """Commit anew as long as others commit at the same moment."""
        for attempt in range(COMMIT_TRIES):
            try:
                return commit()
            except CommitFailedError:
                time.sleep(0.01 * 2 ** min(attempt, 6))
            except DeltaError as error:
                if "already exists" not in str(error).lower():
                    raise StorageError(f"{self.path}: {error}") from error
        raise StorageUnavailable(
            f"{self.path}: other writers kept committing; {COMMIT_TRIES} tries"
        )

    def history(self, limit: int | None = None) -> list[dict[str, object]]:
        """The commits, newest first."""
        table = self._open()
        return table.history(limit) if table else []

    def _open(self) -> DeltaTable | None:
        if not (self.path / "_delta_log").is_dir():
            return None
        try:
            return DeltaTable(str(self.path))
        except TableNotFoundError:
            return None

    def _commit(
        self,
        actions: list[AddAction],
        keys: Sequence[str],
        schema: pa.Schema,
        properties: CommitProperties,
        *,
        partitioned: bool,
    ) -> int:
        fields = [PARTITION_FIELD] if partitioned else None
        table = self._open()
        if table is None:
            create_table_with_add_actions(
                str(self.path), _delta_schema(schema, partitioned=partitioned), actions, "error",
                partition_by=fields, commit_properties=properties,
            )  # fmt: skip
            return 0
        current = _snapshot_of(table, self.path)
        if current.batches is not None:
            raise self._other_layout("in batches", "whole")
        merged = merged_schema(current.schema, schema, self.path)
        table.create_write_transaction(
            [*actions], "overwrite", _delta_schema(merged, partitioned=partitioned), fields,
            partition_filters=[(PARTITION_FIELD, "in", list(keys))] if partitioned else None,
            commit_properties=properties,
        )  # fmt: skip
        return DeltaTable(str(self.path)).version()

    def _commit_batch(
        self,
        actions: list[AddAction],
        schema: pa.Schema,
        batches: Batches,
        properties: CommitProperties,
    ) -> int:
        table = self._open()
        current = _snapshot_of(table, self.path) if table else None
        if current is not None and current.batches is None:
            raise self.not_in_batches()
        before = current.batches.number if current and current.batches else 0
        if before != batches.number - 1:
            raise StorageUnavailable(
                f"{self.path}: another run added a batch in the meantime; "
                "this one would add its rows twice: run it again"
            )
        merged = merged_schema(current.schema, schema, self.path) if current else schema
        grown = _with_batches(merged, batches)
        if table is None:
            create_table_with_add_actions(
                str(self.path), grown, actions, "error",
                partition_by=[BATCH_FIELD], commit_properties=properties,
            )  # fmt: skip
            return 0
        # To append wouldn't change the schema; nothing is of this number yet.
        table.create_write_transaction(
            [*actions], "overwrite", grown, [BATCH_FIELD],
            partition_filters=[(BATCH_FIELD, "=", f"{batches.number}")],
            commit_properties=properties,
        )  # fmt: skip
        return DeltaTable(str(self.path)).version()

    def not_in_batches(self) -> ContractError:
        """That rows can't be added to what is there."""
        return self._other_layout("whole", "in batches")

    def _other_layout(self, landed: str, wanted: str) -> ContractError:
        return ContractError(
            f"{self.path}: its rows were landed {landed}, and `incremental` "
            f"{'is gone' if wanted == 'whole' else 'wants batches'} now: undo that, "
            "or remove the table and run it again, which reads from the beginning"
        )

    def _adopted(
        self, file: DataFile, field: str | None, key: str, version: PartitionVersion, columns: str
    ) -> AddAction:
        """Move a scratch file to its name under the table.

        A single file is named after its rows alone, so what an interrupted run left there is the
        same content and is kept: an older version of the table may point to it.
        """
        single = len(version.files) == 1
        stem = f"{version.data_version}-{columns}"
        name = f"{stem}.parquet" if single else f"{stem}-{os.urandom(4).hex()}.parquet"
        folder = folder_of(int(key)) if field == BATCH_FIELD else f"{field}={key}"
        relative = f"{folder}/{name}" if field else name
        target = self.path / relative
        if not (single and _moved_with_folder(Path(file.path), target)):
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                Path(file.path).rename(target)
        values: dict[str, str | None] = {field: key} if field else {}
        stats = json.dumps({"numRecords": file.rows})
        return AddAction(
            relative,
            target.stat().st_size,
            values,
            int(time.time() * 1000),
            True,  # noqa: FBT003 -- deltalake's signature
            stats,
        )


def _moved_with_folder(source: Path, target: Path) -> bool:
    """Move a partition's folder in scratch as it is, where the table has none for the partition.

    On ext4 making and removing folders costs more than writing the small file in them.
    """
    if source.parent.name != target.parent.name or target.parent.exists():
        return False
    named = source.with_name(target.name)
    source.rename(named)
    try:
        source.parent.rename(target.parent)
    except OSError:  # somebody else made it in between, with files in it
        named.rename(source)
        return False
    return True


def columns_hash(schema: pa.Schema) -> str:
    """Names and types of columns in order, in short: files with the same one are read alike."""
    text = "|".join(f"{field.name} {_stored_name(field.type)}" for field in schema)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _stored_name(arrow: pa.DataType) -> str:
    """A type's name, the same for all that Arrow calls one stored type."""
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return f"{_stored_name(arrow.value_type)}[]"
    if any(test(arrow) for test in _TEXTS):
        return "string"
    return "binary" if any(test(arrow) for test in _BINARIES) else str(arrow)


def _snapshot_of(table: DeltaTable, path: Path) -> Snapshot:
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
    for key, relative, size, rows in zip(
        keys,
        actions.column("path").to_pylist(),
        actions.column("size_bytes").to_pylist(),
        actions.column("num_records").to_pylist(),
        strict=True,
    ):
        version, columns = _named(relative)
        file = DataFile(f"{path}/{relative}", rows, size)
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
        # A batch without rows changes nothing for readers.
        parts = [f"{file.path.rpartition('/')[0]} {own}" for own, _, file in files if file.rows]
        text = "|".join([str(batches.newest), *(part.rpartition("/")[2] for part in parts)])
        version = hashlib.sha256(text.encode()).hexdigest()[:20]
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


def _delta_schema(schema: pa.Schema, *, partitioned: bool) -> DeltaSchema:
    if partitioned:
        schema = schema.append(pa.field(PARTITION_FIELD, pa.string()))
    return DeltaSchema.from_arrow(schema)


def _with_batches(schema: pa.Schema, batches: Batches) -> DeltaSchema:
    said = pa.field(BATCH_FIELD, pa.int64(), metadata=batches.to_metadata())
    return DeltaSchema.from_arrow(schema.append(said))


def merged_schema(current: pa.Schema, new: pa.Schema, path: Path | str) -> pa.Schema:
    """The columns of the table and the new ones.

    Raises:
        ContractError: a column changed its type.
    """
    fields = {column.name: column for column in current}
    for column in new:
        known = fields.setdefault(column.name, column)
        if known.type != column.type and not _same_stored(known.type, column.type):
            raise ContractError(
                f"{path}: column {column.name} is {known.type} in the table and {column.type} now; "
                "convert it back, or rename it, or remove the table and run its partitions again"
            )
    return pa.schema([column.with_nullable(True) for column in fields.values()])  # noqa: FBT003


def _same_stored(known: pa.DataType, new: pa.DataType) -> bool:
    """Arrow has several names for one stored type, such as string and large_string."""
    return _stored_name(known) == _stored_name(new)
