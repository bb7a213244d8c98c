"""Quarantine as a table: which partitions have rows in it, and for which reasons.

Called by `cli`.
"""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from data_platform.observability.quarantine import Held
from data_platform.terminal.tables import Column, print_table


def print_held(console: Console, held: Sequence[Held]) -> None:
    """Print what is held back, a line a partition."""
    if not held:
        console.print("nothing is in quarantine")
        return
    columns = (
        Column("asset"),
        Column("partition"),
        Column("rows", right=True),
        Column("reasons", folds=True),
    )
    print_table(console, columns, [_cells(found) for found in held])
    total = sum(found.rows for found in held)
    console.print(f"{total:,} row{'s'[: total != 1]} held back")


def _cells(found: Held) -> tuple[str, ...]:
    reasons = "\n".join(f"{reason} {count:,}" for reason, count in found.reasons.items())
    return str(found.asset), found.partition or "-", f"{found.rows:,}", reasons


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
