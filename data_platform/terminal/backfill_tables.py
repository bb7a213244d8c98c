"""Backfills on the terminal: what one will do, how it goes on, which there are.

Called by `commands.backfill`. Steps of runs in this process are shown as `run` shows them.
"""

from collections.abc import Iterable, Mapping

import dagster as dg
from rich.console import Console
from rich.text import Text

from data_platform.backfills.commanding import Planned, Result
from data_platform.backfills.records import Recorded
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.range_runs.outcomes import Outcome
from data_platform.range_runs.parts import Part
from data_platform.terminal.console import say
from data_platform.terminal.run_tables import Ticker, print_report
from data_platform.terminal.tables import BAD, GOOD, POOR, QUIET, Column, print_table

_PLANNED = (
    Column("asset"),
    Column("partitions", right=True),
    Column("from"),
    Column("to", spare=1),
    Column("rows", right=True),
    Column("seconds", right=True),
)
_LISTED = (
    Column("backfill"),
    Column("pipeline"),
    Column("status"),
    Column("partitions", right=True),
    Column("began"),
    Column("ended", spare=1),
)
_STYLES = {"succeeded": GOOD, "failed": BAD, "cancelled": QUIET, "open": POOR}


def print_plan(console: Console, planned: Planned) -> None:
    """What it will do, by the figures of what ran last."""
    rows = [
        (
            f"{one.key.layer}/{one.key.name}",
            "" if one.last == WHOLE else f"{one.partitions:,}",
            one.first,
            one.last,
            "?" if one.rows is None else f"{one.rows:,}",
            "?" if one.seconds is None else f"{one.seconds:,.1f}",
        )
        for one in planned.estimates
    ]
    print_table(console, _PLANNED, rows)
    console.print()
    say(console, f"{_runs(planned)}, {_costs(planned)}")


def _runs(planned: Planned) -> str:
    count, backfill = len(planned.parts), planned.backfill
    text = f"{count:,} run{'s'[: count != 1]}"
    if backfill.size is not None and count > 1:
        text += f" of at most {backfill.size:,} partition{'s'[: backfill.size != 1]}"
    if backfill.at_once is not None:
        return f"{text}, {backfill.at_once:,} at once through Dagster's queue"
    return f"{text}, one after the other" if count > 1 else text


def _costs(planned: Planned) -> str:
    rows = [one.rows for one in planned.estimates if one.rows is not None]
    seconds = [one.seconds for one in planned.estimates if one.seconds is not None]
    if not rows and not seconds:
        return "nothing of it ever ran, so nobody knows how long it takes"
    unknown = sum(one.rows is None for one in planned.estimates)
    about = f"about {sum(rows):,} rows and {_duration(sum(seconds))} of work by the last figures"
    return f"{about}; {unknown} never ran" if unknown else about


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes)]
    told = " ".join(part for part in parts if part)
    return told or f"{rest} s"


def print_recorded(console: Console, found: Iterable[Recorded]) -> None:
    """Which backfills there are."""
    rows = [
        (
            one.backfill.backfill_id,
            one.backfill.pipeline,
            Text(one.status, style=_STYLES[one.status]),
            f"{max(map(len, one.backfill.wanted.values())):,}",
            f"{one.backfill.started:%Y-%m-%d %H:%M}",
            f"{one.ended:%Y-%m-%d %H:%M}" if one.ended else "",
        )
        for one in found
    ]
    if rows:
        print_table(console, _LISTED, rows)
    else:
        say(console, "no command has started a backfill")


def print_result(console: Console, result: Result, backfill_id: str) -> None:
    """The closing table, and how to go on where it didn't succeed."""
    if result.report.run_ids:
        print_report(console, result.report)
    if result.stopped:
        say(console, f"\n{result.stopped}", BAD)
    if result.succeeded:
        say(console, f"backfill {backfill_id} succeeded", GOOD)
    else:
        say(console, f"go on: data-platform backfill --resume {backfill_id}", POOR)


class BackfillTicker(Ticker):
    """A heading for each run, with its steps where they run in this process.

    Args:
        console: where to.
        queued: whether runs are elsewhere, so that only their ends are told.
    """

    def __init__(self, console: Console, *, queued: bool) -> None:
        super().__init__(console)
        self._to = console
        self._queued = queued

    def began(self, part: Part, left: int) -> None:
        """A run is about to begin."""
        if not self._queued:
            after = f", {left:,} more" if left else ""
            say(self._to, f"{_about(part)}{after}", QUIET)

    def ended(self, part: Part, run: dg.DagsterRun, outcomes: Mapping[Key, Outcome]) -> None:
        """A run is over."""
        if not self._queued:
            return
        undone = {key for key, one in outcomes.items() if set(one.partitions) - one.done}
        mark, style = ("✗", BAD) if undone else ("✓", GOOD)
        rows = sum(one.report.rows_out for one in outcomes.values())
        say(self._to, f"{mark} {_about(part)}  {rows:,} rows  run {run.run_id[:8]}", style)


def _about(part: Part) -> str:
    """Which partitions and assets a run is of."""
    assets = f"{len(part.nodes)} asset{'s'[: len(part.nodes) != 1]}"
    if part.partitions is None:
        return assets
    if len(part.keys) == 1:
        return f"{part.keys[0]}: {assets}"
    return f"{part.keys[0]} to {part.keys[-1]}: {len(part.keys):,} partitions of {assets}"
