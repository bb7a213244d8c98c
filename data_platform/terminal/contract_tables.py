"""What changed in contracts: a table an asset, breaking changes first, and the same for programs.

Called by the command's `contract diff`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from data_platform.contract_diff import Compared
from data_platform.errors import Location
from data_platform.plan.contracts.changes import AssetChanges, Change, Verdict
from data_platform.revisions import Revision
from data_platform.terminal.console import say
from data_platform.terminal.tables import BAD, GOOD, POOR, QUIET, Column, Row, print_table

FORMAT_VERSION = 1
"""Of the JSON as a whole."""

_COLUMNS = (
    Column("breaks", folds=True),
    Column("column"),
    Column("change", folds=True),
    Column("was\nline", right=True),
    Column("is\nline", right=True),
)
_STYLES: dict[Verdict, str] = {"breaking": BAD, "allowed": POOR, "compatible": GOOD}
_NONE = "-"


def print_compared(console: Console, compared: Compared, home: Path) -> None:
    """Print what changed.

    Args:
        console: where to.
        compared: what came of the comparison.
        home: the folder from which paths of files start.
    """
    for changes in compared.changes:
        _print_asset(console, compared, changes, home)
    for revision, problem in compared.unread:
        place = revision.place(problem.location, home)
        say(console, f"not compared: {place}: {problem.message}", BAD)
    for revision, problem in compared.computed:
        say(console, f"{revision.place(problem.location, home)}: {problem.message}", QUIET)
    say(console, closing_line(compared))


def closing_line(compared: Compared) -> str:
    """How many contracts changed, and how."""
    verdicts = [changes.verdict for changes in compared.changes]
    sides = f"{compared.old.label} -> {compared.new.label}"
    counts = [
        _counted(verdicts.count("breaking"), "breaking"),
        _counted(verdicts.count("allowed"), "breaking with a new major version"),
        _counted(verdicts.count("compatible"), "not breaking"),
        _counted(len(compared.unread), "not compared"),
    ]
    told = ", ".join(filter(None, counts)) or "no contract changed"
    return f"{sides}, {compared.contracts} contract{'s'[: compared.contracts != 1]}: {told}"


def compared_json(compared: Compared, home: Path) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "format": FORMAT_VERSION,
        "old": compared.old.label,
        "new": compared.new.label,
        "contracts": compared.contracts,
        "exit_code": compared.exit_code,
        "assets": [_asset(compared, changes, home) for changes in compared.changes],
        "not_compared": [
            {"declared": revision.place(problem.location, home), "message": problem.message}
            for revision, problem in compared.unread
        ],
        "computed": [
            {"declared": revision.place(problem.location, home), "message": problem.message}
            for revision, problem in compared.computed
        ],
    }


def _print_asset(console: Console, compared: Compared, changes: AssetChanges, home: Path) -> None:
    title = Text("/".join(changes.asset), style="bold")
    title.append(f"  {_versions(changes)}", style="not bold")
    title.append(f"  {_verdict(changes)}", style=_STYLES[changes.verdict])
    console.print(title, soft_wrap=True)
    for word, revision, place in (
        ("was", compared.old, _place_of(changes, "old")),
        ("is", compared.new, _place_of(changes, "new")),
    ):
        shown = _shown(revision, place, home)
        if shown:
            say(console, f"  {word:<3} {shown}", QUIET)
    print_table(console, _COLUMNS, [_row(change) for change in changes.changes])
    for line in _readers(compared, changes):
        say(console, line)
    for warning in changes.warnings:
        say(console, f"warning: {warning}", POOR)
    if changes.allowing_version:
        say(console, f'contract_version: "{changes.allowing_version}" would allow it', QUIET)
    console.print()


def _row(change: Change) -> Row:
    style = BAD if change.breaking else ""
    return (
        Text(", ".join(sorted(change.breaks)) or _NONE, style=style),
        change.column or "",
        change.text,
        str(change.old.line) if change.old else _NONE,
        str(change.new.line) if change.new else _NONE,
    )


def _versions(changes: AssetChanges) -> str:
    old, new = changes.old_version, changes.new_version
    if old is None and new is None:
        return "no version"
    return f"{old or 'no version'} -> {new or 'no version'}" if old != new else f"{new}"


def _verdict(changes: AssetChanges) -> str:
    match changes.verdict:
        case "breaking":
            return "BREAKING"
        case "allowed":
            return f"breaking, allowed by {changes.new_version}"
        case "compatible":
            return "not breaking"


def _readers(compared: Compared, changes: AssetChanges) -> Iterator[str]:
    """Who reads what breaks them: a line for each column."""
    seen: set[str | None] = set()
    for change in changes.changes:
        found = compared.readers.get((changes.asset, change.column), ())
        if "readers" in change.breaks and found and change.column not in seen:
            seen.add(change.column)
            yield f"{change.column or 'it'} is read by {', '.join(map(str, found))}"


def _place_of(changes: AssetChanges, side: str) -> Location | None:
    """Where the asset stands on one side: with the first of its changes that has a place there."""
    places = [getattr(change, side) for change in changes.changes]
    return min((place for place in places if place is not None), default=None)


def _shown(revision: Revision, place: Location | None, home: Path) -> str | None:
    return revision.place(place, home) if place else None


def _asset(compared: Compared, changes: AssetChanges, home: Path) -> dict[str, Any]:
    return {
        "asset": "/".join(changes.asset),
        "verdict": changes.verdict,
        "old_version": changes.old_version,
        "new_version": changes.new_version,
        "allowing_version": changes.allowing_version,
        "warnings": list(changes.warnings),
        "changes": [_change(compared, changes, change, home) for change in changes.changes],
    }


def _change(
    compared: Compared, changes: AssetChanges, change: Change, home: Path
) -> dict[str, Any]:
    readers = (
        compared.readers.get((changes.asset, change.column), ())
        if "readers" in change.breaks
        else ()
    )
    return {
        "kind": change.kind,
        "column": change.column,
        "text": change.text,
        "breaking": change.breaking,
        "breaks": sorted(change.breaks),
        "old": _shown(compared.old, change.old, home),
        "new": _shown(compared.new, change.new, home),
        "readers": [str(key) for key in readers],
    }


def _counted(number: int, words: str) -> str:
    return f"{number} {words}" if number else ""
