"""The platform's own names in data: hidden columns of a step, the partition column of a table.

Used by the plan's statements, by the engine that runs them and by the storage that keeps the rows.
"""

from collections.abc import Mapping
from urllib.parse import quote

PARTITION, FILE, ROW = "_partition", "_file", "_row"
"""Columns beside an asset's own while it is computed: partition's key, file and row of origin."""

HIDDEN_TYPES: Mapping[str, str] = {PARTITION: "VARCHAR", FILE: "VARCHAR", ROW: "BIGINT"}

WHOLE = ""
"""The partition of an asset that has none."""

PARTITION_FIELD = "partition"
"""The partition column of every partitioned table of the lake."""

PROVENANCE: Mapping[str, str] = {
    "_source_file": "VARCHAR",
    "_source_checksum": "VARCHAR",
    "_source_bytes": "BIGINT",
    "_source_modified": "TIMESTAMP",
}
"""Columns of raw rows that came from files, which its Parquet files hold beside the asset's own:
the file, its SHA-256, its size and when it was changed, in UTC. No schema has them; only who names
them sees them."""

BATCH_FIELD = "_batch"
"""The partition column of a table that grows by batches: a number that rises."""

SOURCE_FILES = "source_files"
"""Metadata of a materialization: the first files of a partition."""

REASON_ENDING = ".reason.json"
"""Of the file that says why the file beside it is in quarantine."""

RESERVED_COLUMNS = frozenset({*HIDDEN_TYPES, *PROVENANCE, PARTITION_FIELD, BATCH_FIELD})
"""Names that no column of an asset may have."""

NEW_COLUMNS, OUTSIDE, BAD_FILES = "new_columns", "outside_partitions", "bad_files"
"""Checks of raw that warn: columns that the table didn't have or has no more, rows of no
partition, files that can't be read."""

WITHOUT_CURSOR, LOOKBACK = "without_cursor", "lookback"
"""Checks of raw that warn: rows of an incremental source that have no position in it, partitions
before a run's own that were read again and couldn't be published."""

LAST_GOOD = "last_good"
"""The check of a raw asset whose last good version may stand: it was read."""

LOST = "lost_messages"
"""The check of raw that warns of messages which were deleted before they were read."""

CORRECTIONS = "corrections"
"""The check of staging that warns of decisions about rows of quarantine that have no effect."""

BUDGET = "budget"
"""The check of an asset whose steps may take only so much time and memory."""

NOT_EMPTY = "not_empty"
"""The check behind `on_empty` of a source: rows came."""


LONGEST_FOLDER = 200
"""Characters of a partition's folder: a name of 255 bytes is the most that file systems take, and
files are named after it with more around."""


def names_folder(key: str) -> bool:
    """Whether a folder can be called by a partition's key."""
    return len(partition_folder(key)) <= LONGEST_FOLDER


def partition_folder(key: str) -> str:
    """The folder of a partition in a table of the lake, and in scratch.

    Letters, digits and `-_.~` stand for themselves, all else is percent-encoded: so DuckDB writes
    folders of partitions, and so it reads their keys back.
    """
    return f"{PARTITION_FIELD}={quote(key, safe='')}"
