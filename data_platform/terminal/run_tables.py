"""A run on the terminal: a line for each step as it goes, and a closing table.

Called by `cli` for `run` and `demo`. On a terminal a spinner says what is being worked on; in a
pipe there are the lines alone.
"""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.status import Status
from rich.text import Text

from data_platform.plan.nodes import Key
from data_platform.running import AssetReport, RunReport
from data_platform.terminal.tables import BAD, GOOD, POOR, QUIET, Column, make_table

if TYPE_CHECKING:
    from data_platform.demo import Reconciliation

_MARKS = {"success": ("✓", GOOD), "failed": ("✗", BAD), "skipped": ("-", QUIET)}
_WORTH_A_RATE = 0.05
"""Seconds below which rows a second say nothing."""


class Ticker:
    """Shows each step while it runs and when it has ended.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    def started(self, key: Key, partitions: int) -> None:
        """A step has begun."""
        if self._console.is_terminal:
            about = f"{_name(key)}  {_partitions(partitions)}"
            self._status = self._console.status(Text(about))
            self._status.start()

    def finished(self, report: AssetReport) -> None:
        """A step has ended."""
        self.stop()
        mark, style = _MARKS[report.state]
        parts = [f"{_name(report.key):<32}", f"{report.seconds:>6.1f} s"]
        if report.partitions:
            parts.append(f"{report.rows_out:>11,} rows")
            if report.seconds > _WORTH_A_RATE:
                parts.append(f"{report.rows_out / report.seconds:>9,.0f}/s")
        if report.failed and report.failed != ("",):
            parts.append(f"{len(report.failed)} partitions failed")
        elif report.partitions and not report.changed:
            parts.append("unchanged")
        self._console.print(Text(f"{mark} ", style=style) + Text(" ".join(parts)), soft_wrap=True)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self._status is not None:
            self._status.stop()
            self._status = None


def print_report(console: Console, report: RunReport) -> None:
    """The closing table, and why what failed has failed."""
    titles = ("", "partitions", "rows in", "rows out", "quarantined", "checks", "seconds")
    table = make_table([Column(title, right=bool(title)) for title in titles])
    layer = None
    for asset in report.assets:
        if asset.key.layer != layer:
            layer = asset.key.layer
            table.add_row(Text(layer, style="bold"))
        checks = f"{asset.passed}/{asset.checks}" if asset.checks else ""
        style = "" if asset.state == "success" else _MARKS[asset.state][1]
        table.add_row(
            Text(f"  {asset.key.name}", style=style),
            _count(asset.partitions),
            _count(asset.rows_in),
            _count(asset.rows_out),
            Text(_count(asset.quarantined), style=POOR),
            Text(checks, style="" if asset.passed == asset.checks else POOR),
            f"{asset.seconds:.1f}",
        )
    console.print()
    console.print(table)
    for asset in report.assets:
        if asset.state == "failed":
            console.print(Text(f"\n{asset.message}", style=BAD), soft_wrap=True)
        elif asset.state == "skipped":
            console.print(
                Text(f"\n{_name(asset.key)} was not run: something above it failed.", style=QUIET)
            )
    verdict = "succeeded" if report.succeeded else "failed"
    runs = f"run {report.run_ids[0][:8]}" + (
        f" and {len(report.run_ids) - 1} more" if len(report.run_ids) > 1 else ""
    )
    console.print(
        Text(
            f"\n{runs} {verdict} in {report.seconds:.1f} s", style=GOOD if report.succeeded else BAD
        )
    )


def print_reconciliation(console: Console, found: "Reconciliation") -> None:
    """Whether every cent of the source is in the warehouse or in quarantine."""
    sign = "=" if found.agrees else "≠"
    line = (
        f"source {found.source:,.2f} {sign} warehouse {found.published:,.2f}"
        f" + quarantined {found.quarantined:,.2f}"
        f"  ({found.source_rows:,} lines, {found.quarantined_rows:,} of them quarantined)"
    )
    console.print(Text(line, style=GOOD if found.agrees else BAD), soft_wrap=True)


def _name(key: Key) -> str:
    return f"{key.layer}/{key.name}"


def _partitions(count: int) -> str:
    return f"{count:,} partition{'s'[: count != 1]}"


def _count(number: int) -> str:
    return f"{number:,}" if number else ""
