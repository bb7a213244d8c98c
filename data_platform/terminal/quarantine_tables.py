"""Quarantine as a table: which partitions have rows in it, and for which reasons.

Called by `cli`.
"""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from data_platform.observability.quarantine import Held
from data_platform.terminal.tables import Column, make_table


def print_held(console: Console, held: Sequence[Held]) -> None:
    """Print what is held back, a line a partition."""
    if not held:
        console.print("nothing is in quarantine")
        return
    columns = (Column("asset"), Column("partition"), Column("rows", right=True), Column("reasons"))
    table = make_table(columns)
    for found in held:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in found.reasons.items())
        cells = (str(found.asset), found.partition or "-", f"{found.rows:,}", reasons)
        table.add_row(*map(Text, cells))
    console.print(table)
    total = sum(found.rows for found in held)
    console.print(f"{total:,} row{'s'[: total != 1]} held back")


def held_json(held: Sequence[Held]) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [
        {
            "asset": str(found.asset),
            "partition": found.partition or None,
            "rows": found.rows,
            "reasons": dict(found.reasons),
        }
        for found in held
    ]
