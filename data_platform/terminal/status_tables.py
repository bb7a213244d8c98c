"""How assets stand, as a table a pipeline with what is wrong in words below it.

Called by `cli`.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from rich.console import Console
from rich.text import Text

from data_platform.observability.failures import Cause
from data_platform.observability.late_files import late_words
from data_platform.observability.status import AssetStatus
from data_platform.terminal.console import say
from data_platform.terminal.tables import BAD, GOOD, POOR, QUIET, Column, Row, print_table

_COLUMNS = (
    Column("asset"),
    Column("last good", spare=2),
    Column("published", right=True),
    Column("rows", right=True, spare=3),
    Column("age", right=True, spare=4),
    Column("fresh"),
    Column("checks", spare=1),  # the lines below the table name those that didn't pass
    Column("held\nback", right=True),
)
_STYLES = {"pass": GOOD, "warn": POOR, "fail": BAD, "none": QUIET}
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


_FEW = 5
"""So many assets that wait for one are told one by one."""


def print_status(
    console: Console,
    statuses: Sequence[AssetStatus],
    outages: Sequence[str] = (),
    *,
    every: bool = False,
) -> None:
    """Print what is wrong, then how assets stand, in the order of their pipelines and layers.

    Args:
        console: where to.
        statuses: of the assets.
        outages: systems that are down, in words.
        every: whether each of many that wait for one asset is shown.
    """
    causes = {status.cause.key: status.cause for status in statuses if status.cause}
    for line in outages:
        say(console, line, BAD)
    _print_causes(console, list(causes.values()), every=every)
    if causes or outages:
        console.print()
    for pipeline, group in groupby(statuses, key=lambda status: status.key.pipeline):
        members = [one for one in group if every or not _is_one_of_many(one)]
        console.print(Text(pipeline, style="bold underline"))
        rows: list[Row] = []
        order = ("raw", "staging", "analytics", "destinations")
        for layer in order:
            found = [status for status in members if status.key.layer == layer]
            if found:
                rows.append((Text(layer, style="bold"),))
            rows += [tuple(_cells(status)) for status in found]
        print_table(console, _COLUMNS, rows)
        for line, style in (entry for status in members for entry in _remarks(status)):
            say(console, line, style)
        console.print()


def _is_one_of_many(status: AssetStatus) -> bool:
    return status.cause is not None and status.waits and len(status.cause.waiting) > _FEW


def _print_causes(console: Console, causes: Sequence[Cause], *, every: bool) -> None:
    """A line for each cause, with the number of assets that it holds up."""
    for cause in sorted(causes, key=lambda one: -len(one.waiting)):
        run = f"; run {cause.run_id[:8]}" if cause.run_id else ""
        waiting = len(cause.waiting)
        before = (
            f"{waiting:,} asset{'s wait' if waiting != 1 else ' waits'} for " if waiting else ""
        )
        say(console, f"{before}{cause.key}: {cause.text}{run}", BAD)
        if waiting and not every and waiting <= _FEW:
            say(console, f"  {', '.join(map(str, cause.waiting))}", QUIET)
    if not every and any(len(cause.waiting) > _FEW for cause in causes):
        say(console, "--all shows each asset that waits", QUIET)


def age_words(age: timedelta | None) -> str:
    """An age in its greatest unit, such as `3h`."""
    if age is None:
        return "-"
    seconds = max(0, int(age.total_seconds()))
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return "0s"


def _cells(status: AssetStatus) -> Iterator[Text]:
    whole = status.published == status.due
    state = status.freshness.state
    yield Text(f"  {status.key.name}")
    yield Text(status.newest or "-")
    if status.facts.unknown:
        yield from (Text("?", style=POOR), Text("?"), Text("?"))
    else:
        yield Text(f"{status.published:,}/{status.due:,}", style=GOOD if whole else POOR)
        yield Text(f"{status.rows:,}")
        yield Text(age_words(status.age))
    yield Text("-" if state == "none" else state, style=_STYLES[state])
    yield _checks(status)
    held = status.facts.quarantined
    yield Text(f"{held:,}" if held else "-", style=POOR if held else QUIET)


def _checks(status: AssetStatus) -> Text:
    failed, warned = len(status.facts.failed_checks), len(status.facts.warned_checks)
    text = Text()
    if failed:
        text.append(f"{failed} failed", style=BAD)
    if warned:
        text.append(" " if failed else "")
        text.append(f"{warned} warned", style=POOR)
    return text or Text("-", style=QUIET)


def _remarks(status: AssetStatus) -> Iterator[tuple[str, str]]:
    key, facts = status.key, status.facts
    if not status.enabled:
        yield f"{key}: disabled, nothing starts it", QUIET
    if facts.unknown:
        if status.cause is None:
            yield f"{key}: {facts.unknown}", POOR
    elif status.freshness.state in {"warn", "fail"} and not status.waits:
        yield f"{key}: {status.freshness.reason}", _STYLES[status.freshness.state]
    late = late_words(status.late, status.late_since)
    if late and status.cause is None:
        yield f"{key}: {late}", POOR
    if facts.failed_checks:
        yield f"{key}: failed {', '.join(facts.failed_checks)}", BAD
    if facts.warned_checks:
        yield f"{key}: warned {', '.join(facts.warned_checks)}", POOR
