"""Who did what, on the terminal.

Called by `commands.audit`. The same as plain values is for programs.
"""

from typing import Any

from rich.console import Console

from data_platform.observability.audit.deeds import Deed, keys_text
from data_platform.observability.audit.reading import Deeds
from data_platform.terminal.console import say
from data_platform.terminal.tables import QUIET, Column, print_table

_UNKNOWN = "?"


def print_deeds(console: Console, found: Deeds) -> None:
    """Print deeds, the newest first, by the clock of this machine.

    Args:
        console: where to.
        found: what was asked for.
    """
    if found.deeds:
        columns = [
            Column("when"),
            Column("who"),
            Column("what"),
            Column("of", folds=True),
            Column("result", spare=1),
            Column("detail", folds=True, spare=2),
        ]
        print_table(console, columns, [_row(deed) for deed in found.deeds])
    else:
        console.print("nobody did anything of that kind")
    if found.stopped is not None:
        moment = found.stopped.at.astimezone()
        say(console, f"looked back to {moment:%Y-%m-%d %H:%M}: ask for more by --until", QUIET)
    elif found.more:
        say(console, f"{len(found.deeds):,} shown, there are more: --limit 0 shows all", QUIET)


def deeds_json(found: Deeds) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "deeds": [
            {
                "at": deed.at.isoformat(),
                "who": deed.who or None,
                "account": deed.account,
                "action": deed.action,
                "about": list(deed.about),
                "detail": deed.detail,
                "result": deed.result or None,
                "run": deed.run_id,
            }
            for deed in found.deeds
        ],
        "more": found.more,
        "looked_back_to": found.stopped.at.isoformat() if found.stopped else None,
    }


def _row(deed: Deed) -> tuple[str, ...]:
    run = f"run {deed.run_id[:8]}" if deed.run_id else ""
    return (
        f"{deed.at.astimezone():%Y-%m-%d %H:%M:%S}",
        deed.who or _UNKNOWN,
        deed.action,
        keys_text(deed.about),
        deed.result,
        "; ".join(part for part in (run, deed.detail) if part),
    )
