"""The lake: one Delta table an asset, and how what was written becomes current.

Called by `storage.publish` to commit and by the stages, the command and the IO manager to read.
A reader holds one snapshot; a commit makes a whole range of partitions current at once. Where the
files are is a matter of the lake's place: a folder, or a prefix of a bucket.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow and deltalake come without types.

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties
from deltalake.transaction import AddAction

from data_platform.errors import ContractError
from data_platform.plan.keys import Key
from data_platform.plan.naming import BATCH_FIELD, PARTITION_FIELD, WHOLE, partition_folder
from data_platform.spec.platform import S3Connection
from data_platform.storage.batches import Batches, folder_of
from data_platform.storage.delta import DeltaLog, Overtaken
from data_platform.storage.places.folder import Folder
from data_platform.storage.places.opening import place_of
from data_platform.storage.places.place import Place
from data_platform.storage.prints import Prints
from data_platform.storage.schemas import columns_hash, delta_schema, merged_schema, with_batches
from data_platform.storage.versions import PartitionVersion, Snapshot, snapshot_of


class Lake:
    """All tables at one place.

    Args:
        place: of the tables; a path is a folder of this machine.
        scratch: a folder of this machine, where files are written unseen; None means below the
            lake's own folder, where a file comes to its name by a move.
        pinned: versions of tables that are read, whatever is current; of one step.
        prints: of what the partitions of a table are built from; of one step.
    """

    def __init__(
        self,
        place: Place | Path,
        scratch: Path | None = None,
        pinned: Mapping[Key, Snapshot] | None = None,
        prints: Mapping[Key, Prints] | None = None,
    ) -> None:
        self.place = Folder(place) if isinstance(place, Path) else place
        beside = scratch or (
            self.place.root / "_scratch" if isinstance(self.place, Folder) else None
        )
        if beside is None:
            raise ValueError(f"{self.place} needs a folder for scratch")
        self._scratch = beside
        self._pinned = pinned or {}
        self._prints = prints or {}

    @property
    def root(self) -> str:
        """Where it is, as platform.yaml would name it."""
        return self.place.path_of("")

    def table(self, key: Key) -> "LakeTable":
        """The table of an asset, there or not."""
        relative = f"{key.layer}/{key.pipeline}/{key.name}"
        return LakeTable(self.place, relative, self._pinned.get(key), self._prints.get(key))

    def for_step(self, key: Key, inputs: Mapping[Key, Snapshot], prints: Prints) -> "Lake":
        """The lake as one step sees it.

        Args:
            key: of the asset that the step makes.
            inputs: what it reads, as it was found; whatever is published meanwhile.
            prints: of what it is built from, which commits to its table keep.
        """
        pinned, kept = {**self._pinned, **inputs}, {**self._prints, key: prints}
        return Lake(self.place, self._scratch, pinned, kept)

    @staticmethod
    def bad_files(key: Key) -> str:
        """Where files of a source are kept that can't be read, from the lake's root."""
        return f"quarantine/files/{key.pipeline}/{key.name}"

    @property
    def scratch_root(self) -> Path:
        """Of all that is written unseen."""
        return self._scratch


def lake_at(root: str, home: Path, data_dir: Path, connection: S3Connection | None = None) -> Lake:
    """The lake that platform.yaml names, there or not.

    Args:
        root: a folder, or `s3://bucket/prefix`; its variables have values.
        home: at which a relative folder starts.
        data_dir: of the platform on this machine: a lake on S3 has its scratch there.
        connection: with its secrets in place; None means the usual chain.

    Raises:
        PermanentError: no lake can be there.
    """
    place = place_of(root, home, connection)
    return Lake(place, None if isinstance(place, Folder) else data_dir / "_scratch")


class LakeTable:
    """One asset's table.

    Args:
        place: of the lake.
        relative: its folder there.
        pinned: the version that is read, whatever is current; None means that.
        prints: of what its partitions are built from, where a step makes them.
    """

    def __init__(
        self,
        place: Place,
        relative: str,
        pinned: Snapshot | None = None,
        prints: Prints | None = None,
    ) -> None:
        self.place = place
        self.relative = relative
        self.delta = DeltaLog(place, relative)
        self.prints = prints or Prints()
        self._pinned = pinned

    @property
    def path(self) -> str:
        """Of its folder, for people and for files' paths."""
        return self.place.path_of(self.relative)

    @property
    def uri(self) -> str:
        """Its address for other readers of Delta."""
        return self.place.table_uri(self.relative)

    def snapshot(self) -> Snapshot | None:
        """What is current, or None where nothing was ever published."""
        if self._pinned is not None:
            return self._pinned
        table = self.delta.opened()
        return snapshot_of(table, self.path) if table else None

    def history(self, snapshot: Snapshot | None = None) -> Iterator[dict[str, Any]]:
        """What commits say of themselves, newest first; they are read as they are asked for.

        Args:
            snapshot: with whose commit it begins; None means with what is current.
        """
        begin = snapshot or self.snapshot()
        return self.delta.commits_from(begin.version if begin else -1)

    def publish(
        self,
        versions: Mapping[str, PartitionVersion],
        schema: pa.Schema,
        metadata: Mapping[str, str],
    ) -> int:
        """Make new versions of partitions current, all in one commit.

        Args:
            versions: by partition; their files are in scratch and are brought under the table.
            schema: of the files, the partition column not included.
            metadata: kept with the commit.

        Returns:
            The table's version after the commit.

        Raises:
            ContractError: a column changed its type.
            StorageUnavailable: others kept committing to the same partitions.
        """
        partitioned = WHOLE not in versions
        field = PARTITION_FIELD if partitioned else None
        actions = self._adopted(field, versions, columns_hash(schema))
        properties = CommitProperties(custom_metadata=dict(metadata))
        return self.delta.insist(
            lambda: self._commit(
                actions, list(versions), schema, properties, partitioned=partitioned
            ),
            lambda: self._standing(actions, versions),
        )

    def note(self, metadata: Mapping[str, str]) -> int:
        """Say more of what is current, in a commit without files; gives the table's version."""
        properties = CommitProperties(custom_metadata=dict(metadata))
        return self.delta.insist(lambda: self.delta.note(properties))

    def append(
        self,
        version: PartitionVersion,
        schema: pa.Schema,
        batches: Batches,
        metadata: Mapping[str, str],
    ) -> int:
        """Add a batch, unless another one was added since the one before it.

        Args:
            version: of the batch; its files are in scratch and are brought under the table.
            schema: of the files.
            batches: the state of the table with the batch.
            metadata: kept with the commit.

        Returns:
            The table's version after the commit.

        Raises:
            ContractError: a column changed its type, or the table doesn't grow by batches.
            StorageUnavailable: another run added a batch in the meantime.
        """
        actions = self._adopted(BATCH_FIELD, {f"{batches.number}": version}, columns_hash(schema))
        said = {"batch": f"{batches.number}", "position": json.dumps(batches.position)}
        properties = CommitProperties(
            custom_metadata={**metadata, **said},
            # A commit that goes on top of one that it hasn't seen might add rows twice.
            max_commit_retries=0,
        )
        return self.delta.insist(
            lambda: self._commit_batch(actions, schema, batches, properties),
            lambda: self._standing(actions, [WHOLE], alone=False),
        )

    def _standing(
        self, actions: Sequence[AddAction], keys: Iterable[str], *, alone: bool = True
    ) -> int | None:
        """The table's version, where these files are what is current."""
        snapshot = self.snapshot()
        if snapshot is None:
            return None
        versions = [snapshot.partitions[key] for key in keys if key in snapshot.partitions]
        current = {file.path for version in versions for file in version.files}
        wanted = {f"{self.path}/{action.path}" for action in actions}
        return snapshot.version if wanted == current or (not alone and wanted < current) else None

    def _commit(
        self,
        actions: list[AddAction],
        keys: Sequence[str],
        schema: pa.Schema,
        properties: CommitProperties,
        *,
        partitioned: bool,
    ) -> int:
        table = self.delta.opened()
        if table is None:
            fields = [PARTITION_FIELD] if partitioned else None
            wanted = delta_schema(schema, partitioned=partitioned)
            return self.delta.create(wanted, actions, fields, properties)
        current = snapshot_of(table, self.path)
        if current.batches is not None:
            raise self._other_layout("in batches", "whole")
        merged = merged_schema(current.schema, schema, self.path)
        return self.delta.overwrite(
            table,
            actions,
            delta_schema(merged, partitioned=partitioned),
            (PARTITION_FIELD, "in", list(keys)) if partitioned else None,
            properties,
        )

    def _commit_batch(
        self,
        actions: list[AddAction],
        schema: pa.Schema,
        batches: Batches,
        properties: CommitProperties,
    ) -> int:
        table = self.delta.opened()
        current = snapshot_of(table, self.path) if table else None
        if current is not None and current.batches is None:
            raise self.not_in_batches()
        standing = current.batches if current else None
        before = standing.number if standing else 0
        if before != batches.number - 1:
            raise Overtaken(
                f"{self.path}: another run added a batch in the meantime; "
                "this one would add its rows twice: run it again"
            )
        merged = merged_schema(current.schema, schema, self.path) if current else schema
        carried = standing.carried if standing else None
        grown = with_batches(merged, replace(batches, carried=carried))
        if table is None:
            return self.delta.create(grown, actions, [BATCH_FIELD], properties)
        # To append wouldn't change the schema; nothing is of this number yet.
        return self.delta.overwrite(
            table, actions, grown, (BATCH_FIELD, "=", f"{batches.number}"), properties
        )

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
        self, field: str | None, versions: Mapping[str, PartitionVersion], columns: str
    ) -> list[AddAction]:
        """Bring scratch files to their names under the table: all of them before any is committed.

        A single file is named after its rows alone, so what an interrupted run left there is the
        same content and is kept: an older version of the table may point to it.
        """
        named = [
            (key, file, _name(field, key, version, columns))
            for key, version in versions.items()
            for file in version.files
        ]
        sizes = self.place.adopt_all(
            [(Path(file.path), f"{self.relative}/{name}") for _, file, name in named]
        )
        now = int(time.time() * 1000)
        return [
            AddAction(
                name,
                size,
                {field: key} if field else {},
                now,
                True,  # noqa: FBT003 -- deltalake's signature
                json.dumps({"numRecords": file.rows}),
            )
            for (key, file, name), size in zip(named, sizes, strict=True)
        ]


def _name(field: str | None, key: str, version: PartitionVersion, columns: str) -> str:
    stem = f"{version.data_version}-{columns}"
    single = len(version.files) == 1
    name = f"{stem}.parquet" if single else f"{stem}-{os.urandom(4).hex()}.parquet"
    folder = folder_of(int(key)) if field == BATCH_FIELD else partition_folder(key)
    return f"{folder}/{name}" if field else name
