"""How everything stands that the platform leans on: a block an area, and what to do below it.

Called by the command's `doctor`.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from data_platform.doctor.findings import Finding, Level
from data_platform.terminal.console import room
from data_platform.terminal.tables import BAD, GOOD, POOR, QUIET, Column, Row, print_table

FORMAT_VERSION = 1
"""Of the JSON as a whole."""
_COLUMNS = (Column(""), Column(""), Column("", folds=True))
_STYLES: dict[Level, str] = {"ok": GOOD, "warn": POOR, "fail": BAD}
_INDENT = 7
_WIDEST = 24
"""Columns to which all that was looked at is aligned; a longer one stands out."""


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print what was found, in the order of areas, and a closing line."""
    width = max((min(len(f.what), _WIDEST) for f in findings), default=0)
    for area, group in groupby(findings, key=lambda finding: finding.area):
        members = list(group)
        console.print(Text(area, style="bold"), soft_wrap=True)
        print_table(console, _COLUMNS, [_row(finding, width) for finding in members])
        advised = [finding for finding in members if finding.advice]
        for finding in advised:
            about = f"{finding.what}: " if len(advised) > 1 else ""
            _advise(console, f"{about}{finding.advice}")
    console.print()
    console.print(Text(closing_line(findings)), soft_wrap=True)


def closing_line(findings: Sequence[Finding]) -> str:
    """How many of each."""
    counts = {level: sum(f.level == level for f in findings) for level in _STYLES}
    parts = [
        f"{counts['ok']} ok",
        f"{counts['warn']} warning{'s'[: counts['warn'] != 1]}" if counts["warn"] else "",
        f"{counts['fail']} failure{'s'[: counts['fail'] != 1]}" if counts["fail"] else "",
    ]
    return ", ".join(part for part in parts if part)


def findings_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "format": FORMAT_VERSION,
        "ok": all(finding.level != "fail" for finding in findings),
        "findings": [
            {
                "area": finding.area,
                "what": finding.what,
                "level": finding.level,
                "found": finding.found,
                "advice": finding.advice or None,
                "figures": dict(finding.figures),
            }
            for finding in findings
        ],
    }


def _row(finding: Finding, width: int) -> Row:
    style = _STYLES[finding.level]
    return (
        Text(f"  {finding.level:<4}", style=style),
        Text(finding.what.ljust(width)),
        Text(finding.found, style="" if finding.level == "ok" else style),
    )


def _advise(console: Console, text: str) -> None:
    line = Text(f"-> {text}", style=QUIET)
    if room(console) is None:
        console.print(Text(" " * _INDENT).append_text(line), soft_wrap=True)
    else:
        console.print(Padding(line, (0, 0, 0, _INDENT)))
