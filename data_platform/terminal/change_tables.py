"""What a change of pipelines means, for people and for programs.

Called by the command's `plan`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from data_platform.changes.meaning import AssetChange, Below, Planned, Stale
from data_platform.changes.parts import ColumnChange
from data_platform.terminal.console import say
from data_platform.terminal.tables import BAD, GOOD, POOR, QUIET, Column, Row, print_table

FORMAT_VERSION = 1
"""Of the JSON as a whole."""
BREAKING = 2
"""The exit code where something breaks somebody."""
_SIGNS = {"added": ("+", GOOD), "changed": ("~", POOR), "removed": ("-", BAD)}
_COLUMNS = (
    Column("below"),
    Column("stale"),
    Column("rows", right=True),
    Column("takes", right=True),
    Column("reads", folds=True, spare=1),
)
_OUTDATED = (Column("newer inputs"), *_COLUMNS[1:4])
_MOST_LINES = 40
"""Of a part's changes; JSON has all."""
_WIDEST = 140
"""Characters of a line of a part."""


def print_planned(console: Console, planned: Planned) -> None:
    """Print what changes, what is below it, and what it comes to."""
    for one in planned.assets:
        _print_asset(console, one)
    if planned.below:
        print_table(console, _COLUMNS, [_row(one) for one in planned.below])
        console.print()
    if planned.outdated:
        print_table(console, _OUTDATED, [_row(one)[:4] for one in planned.outdated])
        console.print()
    for problem in planned.broke:
        say(console, f"BREAKING {problem}", BAD)
    for problem in planned.unread:
        say(console, f"not compared: {problem}", BAD)
    for line, style in _closing(planned):
        say(console, line, style)


def planned_json(planned: Planned) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "format": FORMAT_VERSION,
        "against": planned.against,
        "breaking": planned.breaking,
        "exit_code": exit_code(planned),
        "assets": [_asset(one) for one in planned.assets],
        "below": [
            {"key": str(one.key), **_stale(one.stale), "reads": list(one.reads)}
            for one in planned.below
        ],
        "outdated": [{"key": str(one.key), **_stale(one.stale)} for one in planned.outdated],
        "partitions": sum(len(one.partitions) for one in planned.stale),
        "rows": sum(one.rows for one in planned.stale),
        "seconds": _seconds(planned.stale),
        "broken": [str(problem) for problem in planned.broke],
        "not_compared": [str(problem) for problem in planned.unread],
    }


def exit_code(planned: Planned) -> int:
    """0 where nothing breaks anybody."""
    return BREAKING if planned.breaking else 0


def _print_asset(console: Console, one: AssetChange) -> None:
    sign, style = _SIGNS[one.kind]
    title = Text(f"{sign} {one.key}", style=style)
    names = [part.name for part in one.parts] + (["columns"] if _told(one) else [])
    if names:
        title.append(f"  {', '.join(names)}", style="not bold default")
    console.print(title, soft_wrap=True)
    for breaks in one.breaks:
        say(console, f"    BREAKING {breaks}", BAD)
    for column in _told(one):
        say(console, f"    {_column_words(column)}", BAD if column.breaks else GOOD)
    for part in one.parts:
        _print_lines(console, part.name, part.lines)
    for note in one.notes:
        say(console, f"    {note}", POOR)
    if one.stale:
        say(console, f"    {_stale_words(one.stale)}", POOR)
    if one.table:
        say(
            console,
            f"    its rows stay in {one.table}: keep them, or remove that folder when nobody "
            "reads them any more; in Dagster, wipe the asset",
            POOR,
        )
    console.print()


def _print_lines(console: Console, name: str, lines: Sequence[str]) -> None:
    say(console, f"    {name}", "bold")
    styles = {"+": GOOD, "-": BAD}
    for line in lines[:_MOST_LINES]:
        told = line if len(line) <= _WIDEST else f"{line[:_WIDEST]}…"
        say(console, f"      {told}", styles.get(line[:1], QUIET))
    if len(lines) > _MOST_LINES:
        say(console, f"      and {len(lines) - _MOST_LINES} lines more: --format json", QUIET)


def _told(one: AssetChange) -> tuple[ColumnChange, ...]:
    """The columns of what is new go without saying."""
    return () if one.kind == "added" else one.columns


def _column_words(column: ColumnChange) -> str:
    match column.kind:
        case "added":
            return f"+ {column.name} {column.new or ''}".rstrip()
        case "removed":
            return f"- {column.name} {column.old or ''}".rstrip()
        case "changed":
            return f"~ {column.name} {column.old} -> {column.new}"


def _row(one: Below) -> Row:
    return (
        str(one.key),
        _partitions(one.stale),
        f"{one.stale.rows:,}",
        _takes(one.stale.seconds),
        ", ".join(one.reads) or "-",
    )


def _stale_words(stale: Stale) -> str:
    takes = f", {_takes(stale.seconds)}" if stale.seconds is not None else ""
    return f"stale: {_partitions(stale)}, {stale.rows:,} row{'s'[: stale.rows != 1]}{takes}"


def _partitions(stale: Stale) -> str:
    keys = stale.partitions
    if keys == ("",):
        return "all of it"
    if len(keys) == 1:
        return keys[0]
    return f"{len(keys):,}: {keys[0]} to {keys[-1]}"


def _takes(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"{seconds:.1f} s" if seconds < 60 else _long(seconds)  # noqa: PLR2004


def _long(seconds: float) -> str:
    """Seconds from a minute on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _closing(planned: Planned) -> Iterator[tuple[str, str]]:
    breaking = sum(bool(one.breaks) for one in planned.assets) + len(planned.broke)
    kinds = [one.kind for one in planned.assets]
    counts = [
        f"{kinds.count(kind)} {kind}" for kind in ("added", "changed", "removed") if kind in kinds
    ]
    if counts or breaking:
        told = f"; {breaking} breaking" if breaking else "; nothing breaks"
        what = ", ".join(counts) or "nothing changes"
        yield f"against {planned.against}: {what}{told}", BAD if breaking else GOOD
    else:
        yield f"nothing changes against {planned.against}", GOOD
    if planned.stale:
        yield f"to build anew: {_sum_words(planned.stale)}", ""
    if planned.outdated:
        yield f"stale by newer inputs: {_sum_words([one.stale for one in planned.outdated])}", ""
    if planned.assets or planned.outdated:
        yield "nothing was written", QUIET


def _sum_words(stale: Sequence[Stale]) -> str:
    partitions, rows = sum(len(one.partitions) for one in stale), sum(one.rows for one in stale)
    seconds, assets = _seconds(stale), len(stale)
    takes = f", {_takes(seconds)} by the last runs" if seconds is not None else ""
    what = f"{partitions:,} partition{'s'[: partitions != 1]} of {assets} asset"
    return f"{what}{'s'[: assets != 1]}, {rows:,} rows{takes}"


def _seconds(stale: Sequence[Stale]) -> float | None:
    known = [one.seconds for one in stale if one.seconds is not None]
    return round(sum(known), 3) if known else None


def _stale(stale: Stale | None) -> dict[str, Any]:
    if stale is None:
        return {"partitions": 0, "first": None, "last": None, "rows": 0, "seconds": None}
    keys = stale.partitions
    whole = keys == ("",)
    return {
        "partitions": len(keys),
        "first": None if whole else keys[0],
        "last": None if whole else keys[-1],
        "rows": stale.rows,
        "seconds": None if stale.seconds is None else round(stale.seconds, 3),
    }


def _asset(one: AssetChange) -> dict[str, Any]:
    return {
        "key": str(one.key),
        "change": one.kind,
        "parts": [{"part": part.name, "lines": list(part.lines)} for part in one.parts],
        "columns": [
            {"name": column.name, "change": column.kind, "old": column.old, "new": column.new}
            for column in one.columns
        ],
        "breaks": list(one.breaks),
        "stale": _stale(one.stale),
        "table": one.table,
        "notes": list(one.notes),
    }
