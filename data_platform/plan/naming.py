"""The platform's own names in data: hidden columns of a step, the partition column of a table.

Used by the plan's statements, by the engine that runs them and by the storage that keeps the rows.
"""

from collections.abc import Mapping

PARTITION, FILE, ROW = "_partition", "_file", "_row"
"""Columns beside an asset's own while it is computed: partition's key, file and row of origin."""

HIDDEN_TYPES: Mapping[str, str] = {PARTITION: "VARCHAR", FILE: "VARCHAR", ROW: "BIGINT"}

WHOLE = ""
"""The partition of an asset that has none."""

PARTITION_FIELD = "partition"
"""The partition column of every partitioned table of the lake."""

RESERVED_COLUMNS = frozenset({*HIDDEN_TYPES, PARTITION_FIELD})
"""Names that no column of an asset may have."""

NEW_COLUMNS, OUTSIDE = "new_columns", "outside_partitions"
"""Checks of raw that warn: columns that the table didn't have or has no more, rows of no
partition."""

NOT_EMPTY = "not_empty"
"""The check behind `on_empty` of a source: rows came."""
