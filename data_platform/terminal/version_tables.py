"""Versions of the lake's tables on the terminal, and what going back to one changes.

Called by `commands.lake` and `commands.lake_rows`. The same as plain values is for programs.
"""

from collections.abc import Mapping
from typing import Any, cast

from rich.console import Console
from rich.text import Text

from data_platform.keeping.history import History, VersionLine
from data_platform.keeping.rollback import Change, Rollback
from data_platform.terminal.console import say
from data_platform.terminal.lake_tables import partitions_text
from data_platform.terminal.tables import GOOD, POOR, QUIET, Column, print_table

CHANGES = 10
"""Partitions of a rollback that have a line of their own."""
_RUN = 8
"""Characters of a run's id, as Dagster shows it."""


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
