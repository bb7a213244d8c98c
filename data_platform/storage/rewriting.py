"""Commits on top of exactly the version that somebody looked at.

Called by `keeping`: other files for the same rows, fewer rows, or those of before. Unlike
`LakeTable.publish`, whose rows count whatever was there, such a commit is only right for what it
was made from: where somebody else committed in between it is refused, and nothing is changed.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow and deltalake come without types.

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, PostCommitHookProperties
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction

from data_platform.errors import StorageUnavailable
from data_platform.plan.naming import BATCH_FIELD, PARTITION_FIELD, partition_folder
from data_platform.storage.batches import Batches, folder_of
from data_platform.storage.commits import LoggedFile
from data_platform.storage.lake import LakeTable
from data_platform.storage.schemas import delta_schema, with_batches

_HOOKS = PostCommitHookProperties(cleanup_expired_logs=False)


class MovedOnError(StorageUnavailable):
    """Somebody else committed in between: what was looked at isn't current any more."""


@dataclass(frozen=True)
class Layout:
    """How a table is laid out, which a rewriting keeps.

    Attributes:
        schema: of the table from now on, without the column of partitions.
        partitioned: whether it has partitions.
        batches: its state from now on, where it grows by batches.
    """

    schema: pa.Schema
    partitioned: bool
    batches: Batches | None = None

    @property
    def field(self) -> str | None:
        """The column of partitions."""
        if self.batches is not None:
            return BATCH_FIELD
        return PARTITION_FIELD if self.partitioned else None

    def folder(self, key: str) -> str:
        """Where files of a partition are, with a slash at the end; nothing where there is none."""
        match self.field:
            case None:
                return ""
            case "_batch":
                return f"{folder_of(int(key))}/"
            case _:
                return f"{partition_folder(key)}/"


def adopted(table: LakeTable, files: Sequence[tuple[Path, LoggedFile]]) -> list[LoggedFile]:
    """Bring files of scratch to their names; gives them with their bytes there.

    Args:
        table: under which.
        files: each with what it is to be.
    """
    sizes = table.place.adopt_all(
        [(path, f"{table.relative}/{file.relative}") for path, file in files]
    )
    return [replace(file, bytes=size) for (_, file), size in zip(files, sizes, strict=True)]


def replace_partitions(
    table: LakeTable,
    version: int,
    layout: Layout,
    files: Mapping[str, Iterable[LoggedFile]],
    metadata: Mapping[str, str],
) -> int:
    """Let other files be what partitions consist of.

    Args:
        table: the asset's.
        version: on top of which.
        layout: of the table from now on.
        files: by partition, or by number of batch; none where it is to be no more.
        metadata: kept with the commit.

    Returns:
        The table's version after it.

    Raises:
        MovedOnError: somebody else committed in between.
    """
    now = int(time.time() * 1000)
    field = layout.field
    actions = [
        AddAction(
            file.relative,
            file.bytes,
            {field: key} if field else {},
            file.written or now,
            True,  # noqa: FBT003 -- deltalake's signature
            json.dumps({"numRecords": file.rows}),
        )
        for key, found in files.items()
        for file in found
    ]
    filters = [(field, "in", list(files))] if field else None
    return _committed(table, version, layout, "overwrite", filters, actions, metadata)


def mark(table: LakeTable, version: int, layout: Layout, metadata: Mapping[str, str]) -> int:
    """Commit nothing but words.

    Raises:
        MovedOnError: somebody else committed in between.
    """
    return _committed(table, version, layout, "append", None, [], metadata)


def _committed(
    table: LakeTable,
    version: int,
    layout: Layout,
    mode: str,
    filters: list[tuple[str, str, list[str]]] | None,
    actions: list[AddAction],
    metadata: Mapping[str, str],
) -> int:
    if layout.batches is not None:
        schema = with_batches(layout.schema, layout.batches)
    else:
        schema = delta_schema(layout.schema, partitioned=layout.partitioned)
    opened = table.delta.opened(version)
    if opened is None:
        raise MovedOnError(f"{table.path}: the table is gone")
    properties = CommitProperties(custom_metadata=dict(metadata), max_commit_retries=0)
    try:
        with table.place.in_words(table.relative):
            opened.create_write_transaction(
                [*actions], mode, schema, [layout.field] if layout.field else None,
                partition_filters=filters,
                commit_properties=properties, post_commithook_properties=_HOOKS,
            )  # fmt: skip
    except CommitFailedError as error:
        raise MovedOnError(_moved(table, version)) from error
    except DeltaError as error:
        if "already exists" not in str(error).lower():
            raise
        raise MovedOnError(_moved(table, version)) from error
    return version + 1


def _moved(table: LakeTable, version: int) -> str:
    return f"{table.path}: somebody else committed after version {version}, so nothing was changed"
