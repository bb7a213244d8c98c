"""The lake's tables on the terminal: their versions, and what keeping them in order changes.

Called by `commands.lake` and `commands.lake_rows`. The same as plain values is for programs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from rich.console import Console
from rich.text import Text

from data_platform.keeping.beyond import Beyond
from data_platform.keeping.compaction import Compaction
from data_platform.keeping.erasure import Found
from data_platform.keeping.history import History, VersionLine, spans
from data_platform.keeping.rollback import Change, Rollback
from data_platform.keeping.vacuum import Vacuum
from data_platform.terminal.console import say
from data_platform.terminal.tables import BAD, GOOD, POOR, QUIET, Column, print_table

CHANGES = 10
"""Partitions of a rollback that have a line of their own."""
_RUN = 8
"""Characters of a run's id, as Dagster shows it."""
_UNITS = (("GB", 1024**3), ("MB", 1024**2), ("kB", 1024))


def print_history(console: Console, history: History) -> None:
    """Print versions, newest first."""
    columns = [
        Column("version", right=True),
        Column("when (UTC)", spare=1),
        Column("what"),
        Column("partitions", folds=True),
        Column("rows", right=True, spare=4),
        Column("by", spare=3),
        Column("stands", spare=2),
        Column("restore"),
    ]
    print_table(console, columns, [_history_cells(line) for line in history.lines])
    shown = len(history.lines)
    if shown < history.versions:
        console.print(f"{shown:,} of {history.versions:,} versions shown: --limit 0 shows all")
    if history.first > 0:
        say(console, f"the log begins with version {history.first}: older ones were cleared", QUIET)


def history_json(history: History) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "asset": str(history.key),
        "versions": [
            {
                "version": line.version,
                "at": line.at.isoformat(),
                "operation": line.operation,
                "partitions": list(line.partitions),
                "rows_added": line.rows,
                "run": line.run,
                "current": line.current,
                "files_standing": line.standing,
                "files_added": line.added,
                "restored_version": line.to,
                "readable": line.readable,
                "partitions_held": line.held,
                "partitions_lost": list(line.lost),
            }
            for line in history.lines
        ],
    }


def _history_cells(line: VersionLine) -> tuple[Text | str, ...]:
    what = f"back to {line.to}" if line.to is not None else line.operation
    stands = f"{line.standing:,} of {line.added:,}" if line.added else "-"
    return (
        f"{line.version}",
        f"{line.at:%Y-%m-%d %H:%M}",
        what,
        partitions_text(line.partitions).replace(" to ", "\nto "),
        f"{line.rows:,}" if line.added else "-",
        (line.run or "-")[:_RUN],
        Text("all" if line.added and line.standing == line.added else stands),
        _restore(line),
    )


def _restore(line: VersionLine) -> Text:
    if line.current:
        return Text("current", style=GOOD)
    if line.readable:
        return Text("yes")
    left = line.held - len(line.lost)
    return Text(f"{left:,} of {line.held:,}" if left else "no", style=POOR)


def print_rollback(console: Console, planned: Rollback) -> None:
    """Print what a rollback changes."""
    say(console, f"{planned.key}: version {planned.version} back to {planned.to}")
    columns = [
        Column("partition"),
        Column("rows now", right=True),
        Column("then", right=True),
        Column("data version now", spare=2),
        Column("then", spare=1),
    ]
    print_table(console, columns, [_change_cells(one) for one in planned.changes[:CHANGES]])
    if len(planned.changes) > CHANGES:
        console.print(f"and {len(planned.changes) - CHANGES:,} more partitions")
    if planned.gone:
        named = partitions_text(planned.gone)
        say(console, f"no longer published, since they weren't then: {named}", POOR)
    if planned.lost_columns:
        say(console, f"columns that go, since they came later: {', '.join(planned.lost_columns)}")
    if planned.position is not None and planned.position[0] != planned.position[1]:
        then, now = planned.position
        words = f"the next run reads from {_position(then)}, not from {_position(now)}"
        say(console, words)


def rollback_json(planned: Rollback, *, version: int | None) -> dict[str, Any]:
    """The same as plain values.

    Args:
        planned: what changes.
        version: of the table after it; None where it isn't done.
    """
    return {
        "asset": str(planned.key),
        "to": planned.to,
        "from": planned.version,
        "version": version,
        "restored": {
            key: {"rows": one.rows, "data_version": one.data_version}
            for key, one in planned.restored.items()
        },
        "no_longer_published": list(planned.gone),
        "columns_gone": list(planned.lost_columns),
        "position": planned.position[0] if planned.position else None,
    }


def _position(position: object) -> str:
    """How far a source was read, in words."""
    if not position:
        return "the beginning"
    if isinstance(position, Mapping):
        known = cast("Mapping[str, object]", position)
        return ", ".join(f"{name} {value}" for name, value in known.items())
    return f"{position}"


def _change_cells(change: Change) -> tuple[str, ...]:
    before, after = change.before, change.after
    return (
        change.partition or "-",
        f"{before.rows:,}" if before else "-",
        f"{after.rows:,}" if after else "-",
        before.data_version if before else "-",
        after.data_version if after else "-",
    )


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
