"""Quarantine on the terminal: what is in it and why, what a replay will do, and what came of it.

Called by `commands.quarantine`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from data_platform.correcting.replaying import Replay, Replayed
from data_platform.observability.quarantine import Held
from data_platform.plan.keys import Key
from data_platform.terminal.console import say
from data_platform.terminal.tables import BAD, GOOD, POOR, Column, print_table

MAX_PARTITIONS = 3
"""Of an asset, named in one line."""


def print_held(console: Console, held: Sequence[Held], *, discarded: bool = False) -> None:
    """Print what is held back, a line a partition.

    Args:
        console: where to.
        held: by asset and partition.
        discarded: show partitions too whose rows were all given up, and how many were.
    """
    shown = [found for found in held if found.rows or (discarded and found.discarded)]
    given_up = sum(found.discarded for found in held)
    if not shown:
        console.print("nothing is in quarantine")
    else:
        columns = [Column("asset"), Column("partition"), Column("rows", right=True)]
        columns += [Column("discarded", right=True)] if discarded else []
        columns += [Column("reasons", folds=True)]
        print_table(console, columns, [_cells(found, discarded=discarded) for found in shown])
        console.print(f"{_rows(sum(found.rows for found in shown))} held back")
    if given_up and not discarded:
        console.print(f"{_rows(given_up)} discarded: --discarded shows them")


def _cells(found: Held, *, discarded: bool) -> tuple[str, ...]:
    reasons = "\n".join(f"{reason} {count:,}" for reason, count in found.reasons.items())
    own = (str(found.asset), found.partition or "-", f"{found.rows:,}")
    return (*own, f"{found.discarded:,}", reasons) if discarded else (*own, reasons)


def held_json(held: Sequence[Held], *, discarded: bool = False) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [
        {
            "asset": str(found.asset),
            "partition": found.partition or None,
            "rows": found.rows,
            "discarded": found.discarded,
            "reasons": dict(found.reasons),
        }
        for found in held
        if found.rows or (discarded and found.discarded)
    ]


def print_replay(console: Console, replay: Replay) -> None:
    """Print what is going to run."""
    rows = len(replay.rows)
    corrected = f", {replay.corrected:,} of them corrected" if replay.corrected else ""
    console.print(f"{replay.node.key}: {_rows(rows)}{corrected}")
    columns = (Column("runs again"), Column("partitions", folds=True))
    lines = [(str(key), _partitions(keys)) for key, keys in replay.wanted.items()]
    print_table(console, columns, lines)


def print_replayed(console: Console, done: Replayed) -> None:
    """Print what came of it."""
    say(console, f"{_rows(done.published)} taken back in", GOOD if done.published else POOR)
    if done.held:
        say(console, f"{_rows(done.held)} still held back", POOR)
        for reason, count in done.reasons.items():
            console.print(f"  {reason} {count:,}")
    print_failed(console, done.failed)


def print_failed(console: Console, failed: Mapping[Key, Sequence[str]]) -> None:
    """Print what wasn't published."""
    for key, partitions in failed.items():
        say(console, f"not published: {key}: {_partitions(partitions)}", BAD)


def _partitions(keys: Sequence[str]) -> str:
    named = [key for key in keys if key]
    if not named:
        return "-"
    if len(named) <= MAX_PARTITIONS:
        return ", ".join(named)
    return f"{len(named):,}: {named[0]} to {named[-1]}"


def _rows(count: int) -> str:
    return f"{count:,} row{'s'[: count != 1]}"
