"""The first page: a line that says how things stand, the platform's own troubles, then the causes.

Called by the command's `status`, with the tables of `status_tables` below it.
"""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from data_platform.observability.alerts.titles import span_words
from data_platform.observability.failures import Cause, Level
from data_platform.observability.overview import Overview, grouped, next_commands
from data_platform.plan.keys import Key
from data_platform.terminal.console import room, say
from data_platform.terminal.freshness_words import limit_words
from data_platform.terminal.status_tables import print_pipelines
from data_platform.terminal.tables import BAD, GOOD, POOR, QUIET

STYLES: dict[Level, str] = {"red": BAD, "yellow": POOR, "green": GOOD, "off": QUIET}
_NAMED = 3
"""Assets that wait for one and are named with it."""
_FEW = 5
"""Causes that are yellow."""
_MANY = 10
"""Causes that are red and are told whole."""


def print_overview(
    console: Console, overview: Overview, *, every: bool = False, named: bool = False
) -> None:
    """Print the page.

    Args:
        console: where to.
        overview: how everything stands.
        every: whether nothing is left out or folded.
        named: whether a pipeline was asked for, which is shown whole.
    """
    console.print(_head(overview))
    for trouble in overview.troubles:
        advice = f"  -> {trouble.advice}" if trouble.advice else ""
        say(console, f"{trouble.area}: {trouble.found}{advice}", STYLES[trouble.level])
    red = grouped((one for one in overview.causes if one.level == "red"), overview)
    whole = red if every else red[:_MANY]
    for group in whole:
        console.print()
        _print_causes(console, group, overview, every=every)
    told = {cause.key for group in whole for cause in group}
    rest = [one for one in overview.causes if one.key not in told and one.level != "off"]
    _print_rest(console, rest, overview, every=every)
    console.print()
    print_pipelines(console, overview.statuses, every=every, named=named)


def _head(overview: Overview) -> Text:
    """`3 red · 12 yellow · 185 green of 200 assets`, in their colours."""
    counts = overview.counts
    head = Text(overflow="fold")
    told: Sequence[Level] = [level for level in STYLES if counts[level] or level == "red"]
    for level in told:
        words = "disabled" if level == "off" else level
        style = STYLES[level] if counts[level] else QUIET
        head.append(f"{counts[level]:,} {words}", style=f"bold {style}")
        head.append(" · " if level != told[-1] else " of ")
    head.append(f"{len(overview.statuses):,} assets")
    if overview.waiting:
        head.append(f" · {overview.waiting:,} wait")
    head.append(f" · {overview.at:%Y-%m-%d %H:%M %Z}", style=QUIET)
    return head


def _print_causes(
    console: Console, causes: Sequence[Cause], overview: Overview, *, every: bool
) -> None:
    """A block: what is wrong, whose it is, what is behind it, what to type.

    Args:
        console: where to.
        causes: those of one system that is down, the worst first; mostly it is one.
        overview: how everything stands.
        every: whether all names are told.
    """
    cause, *others = causes
    node = overview.plan.get(cause.key)
    critical = f"  {node.criticality}" if node and node.criticality in {"high", "critical"} else ""
    title = Text("RED ", style=f"bold {BAD}", overflow="fold")
    title.append(str(cause.key), style="bold")
    title.append(critical, style=BAD)
    console.print(title)
    _say_below(console, cause.text, BAD)
    if facts := " · ".join(_facts(cause, overview)):
        _say_below(console, facts)
    if cause.waiting:
        _say_below(console, _waiting_words(cause.waiting, overview, every=every))
    if others:
        _say_below(console, _others_words(others, every=every))
    if node is not None and node.runbook:
        _say_below(console, f"runbook {node.runbook}")
    for command in next_commands(cause, overview):
        _say_below(console, f"-> {command}", QUIET)


def _say_below(console: Console, text: str, style: str = "") -> None:
    """A line of a block, and what of it is folded, below its title."""
    line = Text(text, style=style)
    if room(console) is None:
        console.print(Text("  ").append(line), soft_wrap=True)
    else:
        console.print(Padding(line, (0, 0, 0, 2), expand=False))


def _facts(cause: Cause, overview: Overview) -> Iterator[str]:
    node = overview.plan.get(cause.key)
    if cause.since is not None:
        span = span_words(overview.at - cause.since)
        yield f"since {cause.since:%Y-%m-%d %H:%M %Z} ({span})"
    if node is not None:
        yield f"owner {node.owner}"
    if cause.run_id is not None:
        yield f"run {cause.run_id[:8]}"


def _waiting_words(waiting: Sequence[Key], overview: Overview, *, every: bool) -> str:
    few = waiting if every else waiting[:_NAMED]
    names = ", ".join(f"{key}{_promised(key, overview)}" for key in few)
    more = f" and {len(waiting) - len(few):,} more" if len(waiting) > len(few) else ""
    return f"{len(waiting):,} {'waits' if len(waiting) == 1 else 'wait'} for it: {names}{more}"


def _others_words(others: Sequence[Cause], *, every: bool) -> str:
    """Assets that fail since the same system is down."""
    few = others if every else others[:_NAMED]
    names = ", ".join(str(one.key) for one in few)
    more = f" and {len(others) - len(few):,} more" if len(others) > len(few) else ""
    waiting = sum(len(one.waiting) for one in others)
    behind = f"; {waiting:,} wait for them" if waiting else ""
    return f"for the same reason: {names}{more}{behind}"


def _promised(key: Key, overview: Overview) -> str:
    limit = limit_words(overview.plan.get(key))
    return f" ({limit})" if limit else ""


def _print_rest(
    console: Console, rest: Sequence[Cause], overview: Overview, *, every: bool
) -> None:
    """A line for each cause that has no block: yellow ones, and red ones beyond the first."""
    if rest:
        console.print()
    shown = rest if every else rest[:_FEW]
    for cause in shown:
        node = overview.plan.get(cause.key)
        behind = f"; {len(cause.waiting):,} wait for it" if cause.waiting else ""
        owner = f"  {node.owner}" if node else ""
        say(console, f"{cause.key}: {cause.text}{behind}{owner}", STYLES[cause.level])
    if len(rest) > len(shown):
        say(console, f"and {len(rest) - len(shown):,} more: --all shows each", QUIET)
