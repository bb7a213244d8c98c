"""How assets stand: a table a pipeline in trouble, and a line for each that has none.

Called by `status_page`.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from rich.console import Console
from rich.text import Text

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


_FOLDED_COLUMNS = (
    Column("pipeline"),
    Column("assets", right=True),
    Column("last good", spare=2),
    Column("rows", right=True, spare=1),
    Column("age", right=True, spare=3),
    Column("", folds=True),
)
_ORDER = ("raw", "staging", "analytics", "destinations")
_FEW = 5
"""So many assets that wait for one are shown one by one."""
_TABLES = 10
"""Pipelines in trouble that have a table of their own."""
_LINES = 20
"""Pipelines without trouble that have a line of their own; of more their number is told."""


def print_pipelines(
    console: Console,
    statuses: Sequence[AssetStatus],
    *,
    every: bool = False,
    named: bool = False,
) -> None:
    """Print how assets stand, those in trouble in tables and the rest in a line a pipeline.

    Args:
        console: where to.
        statuses: of the assets.
        every: whether each asset is shown, also of many that wait for one.
        named: whether a pipeline was asked for: then all but those are shown.
    """
    groups = [
        _Group(name, tuple(group), every=every, named=named)
        for name, group in groupby(statuses, key=lambda status: status.key.pipeline)
    ]
    whole = [group for group in groups if group.shown]
    if not every:
        whole = sorted(whole, key=lambda group: not group.has_red)[:_TABLES]
    for group in whole:
        _print_group(console, group)
    _print_folded(console, [group for group in groups if group not in whole])


class _Group:
    """A pipeline's assets.

    Args:
        name: of the pipeline.
        members: how its assets stand.
        every: whether all are shown.
        named: whether all are but those of many that wait for one.
    """

    def __init__(
        self, name: str, members: tuple[AssetStatus, ...], *, every: bool, named: bool
    ) -> None:
        self.name = name
        self.members = members
        some = [one for one in members if every or not _is_one_of_many(one)]
        wanted = [one for one in some if every or named or one.level in {"red", "yellow"}]
        self.shown = sorted(wanted, key=lambda one: _ORDER.index(one.key.layer))

    @property
    def has_red(self) -> bool:
        """Whether something of it is to be mended."""
        return any(status.level == "red" for status in self.shown)

    @property
    def note(self) -> Text:
        """How its assets are, in words and their colours."""
        note = Text()
        waiting = sum(one.waits for one in self.members)
        for level, style in (("red", BAD), ("yellow", POOR), ("off", QUIET)):
            number = sum(one.level == level and not one.waits for one in self.members)
            if number:
                note.append(", " if note else "")
                note.append(f"{number:,} {'disabled' if level == 'off' else level}", style=style)
        if waiting:
            note.append(f"{', ' if note else ''}{waiting:,} wait", style=POOR)
        return note or Text("green", style=GOOD)


def _is_one_of_many(status: AssetStatus) -> bool:
    return status.cause is not None and status.waits and len(status.cause.waiting) > _FEW


def _print_group(console: Console, group: _Group) -> None:
    console.print(Text(group.name, style="bold underline"))
    rows: list[Row] = []
    for layer, found in groupby(group.shown, key=lambda status: status.key.layer):
        rows.append((Text(layer, style="bold"),))
        rows += [tuple(_cells(status)) for status in found]
    print_table(console, _COLUMNS, rows)
    left = len(group.members) - len(group.shown)
    if left:
        waiting = sum(_is_one_of_many(one) for one in group.members if one not in group.shown)
        told = [
            f"{left - waiting:,} without trouble" if left > waiting else "",
            f"{waiting:,} that wait" if waiting else "",
        ]
        say(console, f"  and {' and '.join(filter(None, told))}", QUIET)
    for line, style in (entry for status in group.shown for entry in _remarks(status)):
        say(console, line, style)
    console.print()


def _print_folded(console: Console, groups: Sequence[_Group]) -> None:
    """Pipelines in a line each; many that have no trouble in one."""
    green = [group for group in groups if group.note.plain == "green"]
    told = [group for group in groups if group not in green or len(green) <= _LINES]
    if told:
        print_table(console, _FOLDED_COLUMNS, [_folded(group) for group in told])
    if len(green) > _LINES:
        assets = sum(len(group.members) for group in green)
        text = f"{len(green):,} pipelines with {assets:,} assets are green"
        say(console, text, GOOD)
    if groups:
        say(console, "a pipeline's name, or --all, shows each asset", QUIET)


def _folded(group: _Group) -> Row:
    newest = max((one.newest for one in group.members if one.newest), default=None)
    ages = [one.age for one in group.members if one.age is not None]
    rows = sum(one.rows for one in group.members)
    age = age_words(min(ages, default=None))
    return (group.name, f"{len(group.members):,}", newest or "-", f"{rows:,}", age, group.note)


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
    """What is wrong with an asset besides what its cause tells."""
    told = status.cause.text if status.cause and not status.waits else ""
    for text, style in _words(status):
        if text not in told:
            yield f"{status.key}: {text}", style


def _words(status: AssetStatus) -> Iterator[tuple[str, str]]:
    facts = status.facts
    if not status.enabled:
        yield "disabled, nothing starts it", QUIET
    if facts.unknown:
        yield facts.unknown, POOR
    elif status.freshness.reason and not status.waits:
        yield status.freshness.reason, _STYLES[status.freshness.state]
    late = late_words(status.late, status.late_since)
    if late:
        yield late, POOR
    if facts.failed_checks:
        yield f"failed {', '.join(facts.failed_checks)}", BAD
    if facts.warned_checks:
        yield f"warned {', '.join(facts.warned_checks)}", POOR
