"""A database looked at for somebody who writes a pipeline: a source for one of its tables.

Called by the command `discover`. Writes nothing but text.
"""

import re
from collections.abc import Sequence
from typing import Any

import yaml

from data_platform.plan.conversions import stored_type
from data_platform.plan.naming import RESERVED_COLUMNS
from data_platform.sources.database.catalogue import FoundColumn, FoundTable, found_columns
from data_platform.sources.database.columns import TIMES

TELLING = (
    "updated_at",
    "modified_at",
    "last_modified",
    "changed_at",
    "created_at",
    "inserted_at",
    "occurred_at",
    "ordered_at",
    "event_time",
    "timestamp",
    "created",
    "date",
)
"""Names of columns that say when a row was made or changed, the likeliest first."""
_SUFFIXES = ("_at", "_timestamp", "_time", "_date", "_on")


def source_block(url: str, connection: str, table: str) -> str:
    """A source for a table, as YAML that stands below `sources:`.

    Args:
        url: of the database.
        connection: its name in platform.yaml.
        table: with or without its schema.

    Raises:
        SourceError: there is no such table, or the database refuses.
        SourceUnavailable: it can't be reached.
    """
    found, columns = found_columns(url, table)
    written = {asset_name(found.name): _source(found, connection, columns)}
    text = yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=100)
    return "".join(f"  {line}" for line in text.splitlines(keepends=True))


def asset_name(table: str) -> str:
    """A name for an asset, made of a table's."""
    name = re.sub(r"[^a-z0-9]+", "_", table.rpartition(".")[2].lower()).strip("_")
    return name if name[:1].isalpha() else f"table_{name}".rstrip("_")


def guessed_cursor(columns: Sequence[FoundColumn]) -> str | None:
    """The column that tells when a row was made or changed, where one looks like it.

    That is a date or timestamp with an index or a telling name; names count first.
    """
    times = [found for found in columns if found.column.type in TIMES]
    by_name = {found.column.name.lower(): found.column.name for found in times}
    for name in TELLING:
        if name in by_name:
            return by_name[name]
    likely = [found for found in times if found.column.name.lower().endswith(_SUFFIXES)]
    indexed = [found for found in times if found.indexed]
    both = [found for found in likely if found.indexed]
    return next((found.column.name for found in (*both, *indexed, *likely)), None)


def _source(table: FoundTable, connection: str, columns: Sequence[FoundColumn]) -> dict[str, Any]:
    cursor = guessed_cursor(columns)
    source: dict[str, Any] = {"type": "database", "connection": connection}
    if table.comment:
        source["description"] = table.comment
    source["table"] = table.name
    source |= {"partitions": "none"} if cursor is None else {"cursor": cursor}
    source["columns"] = {
        found.column.name: _promise(found)
        for found in columns
        if found.column.name.lower() not in RESERVED_COLUMNS
    }
    return source


def _promise(found: FoundColumn) -> dict[str, str]:
    promise = {"type": written_type(found.column.type)}
    if found.comment:
        promise["description"] = found.comment
    return promise


def written_type(kind: str) -> str:
    """A type of DuckDB in the words that a pipeline is written in."""
    stored = stored_type(kind) or kind
    return stored.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ").lower()
