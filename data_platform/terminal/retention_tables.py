"""What went because it was old, or would go, on the terminal.

Called by `commands.retention`. The same as plain values is for programs.
"""

from datetime import datetime
from typing import Any

from rich.console import Console

from data_platform.observability.retention.sweeping import Swept
from data_platform.terminal.console import say
from data_platform.terminal.lake_tables import bytes_text
from data_platform.terminal.tables import BAD, Column, print_table


def print_swept(console: Console, swept: Swept, *, dry_run: bool) -> None:
    """Print how much of what went.

    Args:
        console: where to.
        swept: what came of it.
        dry_run: whether nothing went.
    """
    rows = [
        (
            name,
            f"{gone.count:,}",
            bytes_text(gone.bytes) if gone.bytes else "",
            _day(gone.oldest),
            _day(gone.newest),
        )
        for name, gone in swept.gone.items()
        if gone.count
    ]
    if rows:
        columns = [
            Column("what"),
            Column("would go" if dry_run else "gone", right=True),
            Column("bytes", right=True, spare=1),
            Column("oldest", spare=2),
            Column("newest", spare=2),
        ]
        print_table(console, columns, rows)
    else:
        console.print("nothing is old")
    for name, why in swept.trouble.items():
        say(console, f"{name} gave way, run it again: {why}", BAD)
    if dry_run and rows:
        console.print("nothing is removed: run it without --dry-run")


def swept_json(swept: Swept, *, dry_run: bool) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "dry_run": dry_run,
        "ended": swept.ended,
        "gone": [
            {
                "kind": name,
                "count": gone.count,
                "bytes": gone.bytes,
                "oldest": gone.oldest.isoformat() if gone.oldest else None,
                "newest": gone.newest.isoformat() if gone.newest else None,
            }
            for name, gone in swept.gone.items()
        ],
        "trouble": [{"kind": name, "why": why} for name, why in swept.trouble.items()],
    }


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else ""
