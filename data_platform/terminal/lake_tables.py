"""What keeping the lake's tables in order changes, on the terminal: compaction, vacuum, erasure.

Called by `commands.lake` and `commands.lake_rows`. The same as plain values is for programs.
"""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from data_platform.keeping.beyond import Beyond
from data_platform.keeping.compaction import Compaction
from data_platform.keeping.erasure import Found
from data_platform.keeping.history import spans
from data_platform.keeping.vacuum import Vacuum
from data_platform.terminal.console import say
from data_platform.terminal.tables import BAD, GOOD, POOR, Column, print_table

_UNITS = (("GB", 1024**3), ("MB", 1024**2), ("kB", 1024))


def print_compactions(
    console: Console, done: Sequence[tuple[Compaction, int | None]], *, dry_run: bool
) -> None:
    """Print which tables have fewer files.

    Args:
        console: where to.
        done: what was planned, and the bytes after it; None where nothing was done.
        dry_run: whether nothing was done at all.
    """
    changed = [(one, size) for one, size in done if one.groups]
    if not changed:
        console.print("nothing to do: no table has small files that could be one")
        return
    columns = [
        Column("table"),
        Column("files", right=True),
        Column("then", right=True),
        Column("bytes", right=True, spare=1),
        Column("then", right=True, spare=1),
    ]
    rows = [
        (
            str(one.key),
            f"{one.files:,}",
            f"{one.files_after:,}",
            bytes_text(one.bytes),
            bytes_text(size) if size is not None else "?",
        )
        for one, size in changed
    ]
    print_table(console, columns, rows)
    if dry_run:
        console.print("nothing is changed: run it without --dry-run")
    else:
        console.print("older files stay until `data-platform lake vacuum --apply` removes them")


def compaction_json(planned: Compaction, size: int | None) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "table": str(planned.key),
        "files": planned.files,
        "files_after": planned.files_after,
        "bytes": planned.bytes,
        "bytes_after": size,
    }


def print_vacuums(console: Console, found: Sequence[Vacuum], *, applied: bool) -> None:
    """Print what goes of tables."""
    some = [one for one in found if one.files or one.log]
    if not some:
        console.print("nothing to remove")
    else:
        columns = [
            Column("table"),
            Column("versions kept"),
            Column("files", right=True),
            Column("bytes", right=True),
            Column("of no\nversion", right=True, spare=2),
            Column("log", right=True, spare=1),
        ]
        print_table(console, columns, [_vacuum_cells(one) for one in some])
        files, size = sum(len(one.files) for one in some), sum(one.bytes for one in some)
        done = "removed" if applied else "would be removed"
        logged = sum(len(one.log) for one in some)
        log = f", and {logged:,} files of logs" if logged else ""
        console.print(f"{files:,} files, {bytes_text(size)}{log}: {done}")
    young = sum(one.young for one in found)
    if young:
        console.print(f"{young:,} files are left, since they aren't a day old")
    if some and not applied:
        console.print("nothing is removed: --apply removes it")


def _vacuum_cells(one: Vacuum) -> tuple[str, ...]:
    kept = f"{one.kept_from} to {one.version}" if one.kept_from < one.version else f"{one.version}"
    pinned = f", {spans(one.pinned)} pinned" if one.pinned else ""
    return (
        str(one.key),
        f"{kept}{pinned}",
        f"{len(one.files):,}",
        bytes_text(one.bytes),
        f"{one.unnamed:,}",
        f"{len(one.log):,}",
    )


def vacuum_json(one: Vacuum) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "table": str(one.key),
        "version": one.version,
        "kept_from": one.kept_from,
        "pinned": list(one.pinned),
        "files": dict(one.files),
        "files_of_no_version": one.unnamed,
        "files_too_young": one.young,
        "log": list(one.log),
    }


def print_erasure(
    console: Console, found: Sequence[Found], besides: Sequence[Beyond], *, applied: bool
) -> None:
    """Print which rows go, and what is left to do elsewhere."""
    columns = [
        Column("table"),
        Column("rows now", right=True),
        Column("in versions", folds=True),
        Column("files", right=True),
        Column("partitions", folds=True, spare=1),
    ]
    rows = [_erasure_cells(one) for one in found if one.any]
    if rows:
        print_table(console, columns, rows)
    for one in found:
        if one.erased is not None and one.erased.back:
            count = len(one.erased.back)
            text = f"{one.part.key}: {count:,} files were written again meanwhile: erase again"
            say(console, text, BAD)
    if not rows:
        console.print("no row matches, in any version")
    elif applied:
        done = "erased; versions that held them can be read in part, or not any more"
        say(console, f"{_rows(sum(one.rows for one in found))} {done}", GOOD)
    else:
        console.print("nothing is changed: --apply erases them; it can't be undone")
    if besides:
        say(console, "not reached:" if rows else "not looked at:", POOR)
        table = [(one.what, one.where, one.advice) for one in besides]
        headed = [Column("what"), Column("where", folds=True), Column("what to do", folds=True)]
        print_table(console, headed, table)


def _erasure_cells(found: Found) -> tuple[str, ...]:
    search = found.search
    if search is None:
        return (str(found.part.key), "0", "-", "0", "-")
    versions = search.versions
    keys = [] if search.snapshot.batches is not None else search.partitions
    return (
        str(found.part.key),
        f"{found.rows:,}",
        spans(sorted(versions)) or "none",
        f"{len(search.files):,}",
        partitions_text([key for key in keys if key]),
    )


def erasure_json(
    found: Sequence[Found], besides: Sequence[Beyond], *, applied: bool
) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "applied": applied,
        "tables": [_found_json(one) for one in found],
        "not_reached": [
            {"what": one.what, "where": one.where, "advice": one.advice} for one in besides
        ],
    }


def _found_json(one: Found) -> dict[str, Any]:
    search, erased = one.search, one.erased
    return {
        "table": str(one.part.key),
        "kind": one.part.kind,
        "searched": not one.unknown,
        "rows": one.rows,
        "rows_by_version": search.versions if search else {},
        "files": len(search.files) if search else 0,
        "runs": list(search.runs) if search else [],
        "version": erased.version if erased else None,
        "files_removed": erased.removed if erased else 0,
        "files_written_again": list(erased.back) if erased else [],
    }


def partitions_text(keys: Sequence[str]) -> str:
    """Partitions in a cell."""
    if not keys:
        return "-"
    if len(keys) <= 2:  # noqa: PLR2004 -- the first and the last
        return ", ".join(keys)
    return f"{len(keys):,}: {keys[0]} to {keys[-1]}"


def bytes_text(size: int) -> str:
    """Bytes in their greatest unit."""
    for unit, length in _UNITS:
        if size >= length:
            return f"{size / length:,.1f} {unit}"
    return f"{size:,} B"


def _rows(count: int) -> str:
    return f"{count:,} row{'s'[: count != 1]}"
