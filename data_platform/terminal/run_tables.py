"""A run on the terminal: a line for each step as it goes, and a closing table.

Called by `cli` for `run` and `demo`. On a terminal a spinner says what is being worked on; in a
pipe there are the lines alone.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from data_platform.engine.work import Moved
from data_platform.plan.keys import Key
from data_platform.reporting.progress import in_words
from data_platform.run_reports import AssetReport, RunReport
from data_platform.terminal.console import is_watched, room, say
from data_platform.terminal.tables import BAD, GOOD, POOR, QUIET, Column, Row, cut, print_table

if TYPE_CHECKING:
    from data_platform.demo.year import Reconciliation

_MARKS = {"success": ("✓", GOOD), "failed": ("✗", BAD), "skipped": ("-", QUIET)}
_COLUMNS = (
    Column(""),
    Column("partitions", right=True, spare=3),
    Column("rows in", right=True, spare=2),
    Column("rows out", right=True),
    Column("quarantined", right=True),
    Column("checks", right=True, spare=1),
    Column("seconds", right=True, spare=4),
)
_MARK = 2
"""Columns of a step's mark, with the blank after it."""
_NAME = 32
"""Columns of a step's name, so that figures are below one another."""
_WORTH_A_RATE = 0.05
"""Seconds below which rows a second say nothing."""


class Ticker:
    """Shows each step while it runs and when it has ended.

    Args:
        console: where to; steady, since steps run in this process.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._spinner: Spinner | None = None
        self._about = ""

    def started(self, key: Key, partitions: int) -> None:
        """A step has begun."""
        if is_watched(self._console):
            self._show(f"{_name(key)}  {_partitions(partitions)}")

    def _show(self, about: str) -> None:
        """A spinner, until the step has something to say."""
        self._about = about
        self._spinner = Spinner("dots", self._line(about))
        # What steps print goes to Dagster's compute logs, as without a spinner.
        self._live = Live(
            self._spinner,
            console=self._console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def moved(self, key: Key, moved: Moved) -> None:
        """A step has moved rows: the spinner says how many; a thread may call it late."""
        spinner = self._spinner
        if spinner is not None and self._about.startswith(f"{_name(key)} "):
            spinner.update(text=self._line(f"{self._about}  {in_words(moved)}"))

    def will_retry(self, key: Key, why: str) -> None:
        """A try has failed, and after a while there is another."""
        self.stop()
        told = ". ".join(why.removeprefix(f"{key}: ").splitlines())
        say(self._console, f"↻ {_name(key)}: {told}", POOR)
        if is_watched(self._console):
            self._show(f"{_name(key)}  waits for the next try")

    def _line(self, text: str) -> Text:
        return Text(cut(text, self._console.width - 4))

    def finished(self, report: AssetReport) -> None:
        """A step has ended."""
        self.stop()
        mark, style = _MARKS[report.state]
        figures = _figures(report)
        name, width = _name(report.key), _NAME
        limit = room(self._console)
        if limit is not None:
            # What is beyond the edge is told by the closing table.
            while len(figures) > 1 and _MARK + _NAME + sum(map(len, figures)) > limit:
                figures.pop()
            left = limit - _MARK - sum(map(len, figures))
            name, width = cut(name, left), min(_NAME, left)
        padded = name + " " * (width - cell_len(name))
        line = Text(f"{mark} ", style=style) + Text(padded + "".join(figures))
        line.rstrip()
        self._console.print(line, soft_wrap=True)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._spinner = None
        if self._live is not None:
            self._live.stop()
            self._live = None


def print_report(console: Console, report: RunReport) -> None:
    """The closing table, and why what failed has failed."""
    console.print()
    print_table(console, _COLUMNS, list(_rows(report)))
    for asset in report.assets:
        if asset.state == "failed":
            say(console, f"\n{asset.message}", BAD)
        elif asset.state == "skipped":
            say(console, f"\n{_name(asset.key)} was not run: something above it failed.", QUIET)
    for key in report.disabled:
        say(console, f"\n{_name(key)} was left out: it is disabled.", QUIET)
    verdict = "succeeded" if report.succeeded else "failed"
    runs = f"run {report.run_ids[0][:8]}" + (
        f" and {len(report.run_ids) - 1} more" if len(report.run_ids) > 1 else ""
    )
    style = GOOD if report.succeeded else BAD
    say(console, f"\n{runs} {verdict} in {report.seconds:.1f} s", style)


def print_reconciliation(console: Console, found: "Reconciliation") -> None:
    """Whether every cent of the source is in the warehouse or in quarantine."""
    sign = "=" if found.agrees else "≠"
    line = (
        f"source {found.source:,.2f} {sign} warehouse {found.published:,.2f}"
        f" + quarantined {found.quarantined:,.2f}"
    )
    say(console, line, GOOD if found.agrees else BAD)
    rows = (
        f"{found.source_rows:,} lines of receipts, {found.quarantined_rows:,} of them quarantined"
    )
    say(console, rows)


def _rows(report: RunReport) -> Iterator[Row]:
    layer = None
    for asset in report.assets:
        if asset.key.layer != layer:
            layer = asset.key.layer
            yield (Text(layer, style="bold"),)
        checks = f"{asset.passed}/{asset.checks}" if asset.checks else ""
        yield (
            Text(f"  {asset.key.name}", style="" if asset.state == "success" else _style(asset)),
            _count(asset.partitions),
            _count(asset.rows_in),
            _count(asset.rows_out),
            Text(_count(asset.quarantined), style=POOR),
            Text(checks, style="" if asset.passed == asset.checks else POOR),
            f"{asset.seconds:.1f}",
        )


def _figures(report: AssetReport) -> list[str]:
    """What is told of a step beside its name; what matters least is last."""
    parts = [f" {report.seconds:>6.1f} s"]
    if report.failed and report.failed != ("",):
        parts.append(f" {len(report.failed):,} partition{'s'[: len(report.failed) != 1]} failed")
    if report.partitions:
        parts.append(f" {report.rows_out:>11,} rows")
        if report.seconds > _WORTH_A_RATE:
            parts.append(f" {report.rows_out / report.seconds:>9,.0f}/s")
        if not report.changed and not report.failed:
            parts.append(" unchanged")
    if report.kept:
        parts.append(f" {_count(report.kept)} not read, last good stands")
    if report.skipped:
        parts.append(" not read, no need yet")
    return parts


def _style(asset: AssetReport) -> str:
    return _MARKS[asset.state][1]


def _name(key: Key) -> str:
    return f"{key.layer}/{key.name}"


def _partitions(count: int) -> str:
    return f"{count:,} partition{'s'[: count != 1]}"


def _count(number: int) -> str:
    return f"{number:,}" if number else ""
