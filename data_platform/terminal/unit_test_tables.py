"""How unit tests of pipelines came out: a line a test, and what differs as a table.

Called by the command's `test`, and by the plugin of pytest for the text of a failure.
"""

import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from data_platform.engine.texts import flat_text
from data_platform.terminal.console import say
from data_platform.terminal.tables import BAD, GOOD, POOR, QUIET, Column, Row, cut, print_table
from data_platform.terminal.values import as_text
from data_platform.unit_tests.comparing import RowDifference, TableDifference
from data_platform.unit_tests.finding import FoundTest
from data_platform.unit_tests.judging import Judgement
from data_platform.unit_tests.planning import REASONS, WRITTEN_REASONS

MOST_ROWS = 20
"""Of a table; how many more there are is told."""
_NAME = 50
"""Columns of a test's name; a longer one is cut."""
_MARKS = {"missing": ("-", BAD), "surplus": ("+", POOR), "differs": ("≠", "")}
_WHAT = {"rows": "published", "quarantined": "held back"}


def print_test(
    console: Console, test: FoundTest, judgement: Judgement, seconds: float, width: int
) -> None:
    """A line, and where it failed what is wrong.

    Args:
        console: where to.
        test: that ran.
        judgement: how it came out.
        seconds: that it took.
        width: of the names of all tests, so that figures are below one another.
    """
    mark, style = ("✓", GOOD) if judgement.passed else ("✗", BAD)
    width = min(width, _NAME)
    label = cut(test.label, width)
    line = Text(f"{mark} ", style=style)
    line.append(f"{label:<{width}} {1000 * seconds:>5.0f} ms  ")
    line.append(test.spec.asset, style=QUIET)
    console.print(line, soft_wrap=True)
    if not judgement.passed:
        print_judgement(console, judgement)
        say(console, f"  {test.file.locate('tests', test.number)}", QUIET)


def print_judgement(console: Console, judgement: Judgement) -> None:
    """What is wrong, in words and as tables."""
    for message in judgement.messages:
        say(console, f"  {message}")
    for difference in judgement.tables:
        print_difference(console, difference)
    for note in judgement.notes:
        say(console, f"  {note}", QUIET)


def print_difference(console: Console, difference: TableDifference) -> None:
    """Rows that are missing, surplus, or differ; the cells that do say both values."""
    about = f"{difference.about}: {difference.expected:,} expected, {difference.found:,} "
    kinds = {row.kind for row in difference.rows}
    legend = [
        text
        for kind, text in (
            ("missing", "- is missing"),
            ("surplus", "+ wasn't expected"),
            ("differs", "≠ expected ≠ found"),
        )
        if kind in kinds
    ]
    say(console, f"  {about}{_WHAT[difference.about]} ({', '.join(legend)})")
    shown = difference.rows[:MOST_ROWS]
    print_table(
        console,
        [Column(" "), *_columns(_named(difference), shown)],
        [_row(row, len(difference.columns)) for row in shown],
    )
    if len(difference.rows) > MOST_ROWS:
        say(console, f"  and {len(difference.rows) - MOST_ROWS:,} more rows differ", QUIET)


def failure_text(judgement: Judgement, width: int) -> str:
    """The same as text without colours, within so many columns."""
    screen = _Screen()
    console = Console(
        file=screen, width=width, color_system=None, highlight=False, markup=False, emoji=False
    )
    print_judgement(console, judgement)
    return "\n".join(line.rstrip() for line in screen.getvalue().splitlines())


def ran_json(
    test: FoundTest, judgement: Judgement, seconds: float, sql: str | None
) -> dict[str, Any]:
    """A test for programs."""
    said = {"sql": sql} if sql is not None else {}
    return {
        "pipeline": test.pipeline,
        "test": test.spec.name,
        "asset": test.spec.asset,
        "passed": judgement.passed,
        "seconds": round(seconds, 4),
        "declared": str(test.file.locate("tests", test.number)),
        "messages": list(judgement.messages),
        "notes": list(judgement.notes),
        "differences": [_difference_json(difference) for difference in judgement.tables],
        **said,
    }


class _Screen(io.StringIO):
    """A terminal of a given width, so that tables hold at it."""

    def isatty(self) -> bool:
        return True


def _named(difference: TableDifference) -> list[str]:
    """The columns as tests write them."""
    return [WRITTEN_REASONS if name == REASONS else name for name in difference.columns]


def _columns(names: Sequence[str], rows: Sequence[RowDifference]) -> list[Column]:
    """What differs is never left out; of the rest the last columns are first."""
    wrong = {number for row in rows for number in row.wrong}
    return [
        Column(
            name,
            right=number not in wrong and _are_numbers(number, rows),
            spare=0 if number in wrong or number == 0 else number,
        )
        for number, name in enumerate(names)
    ]


def _row(row: RowDifference, width: int) -> Row:
    mark, style = _MARKS[row.kind]
    cells = [_cell(row, number, style) for number in range(width)]
    return [Text(mark, style=style or BAD), *cells]


def _cell(row: RowDifference, number: int, style: str) -> Text:
    if number in row.wrong:
        both = f"{as_text(row.expected[number])} ≠ {as_text(row.found[number])}"
        return Text(both, style=BAD)
    value = (row.found if row.kind == "surplus" else row.expected)[number]
    return Text(as_text(value), style=style)


def _are_numbers(number: int, rows: Sequence[RowDifference]) -> bool:
    values = [(row.expected or row.found)[number] for row in rows]
    return all(isinstance(v, int | float | Decimal) for v in values if v is not None)


def _difference_json(difference: TableDifference) -> dict[str, Any]:
    def cells(row: Sequence[Any]) -> dict[str, str | None]:
        return {
            name: None if value is None else flat_text(value)
            for name, value in zip(difference.columns, row, strict=bool(row))
        }

    return {
        "about": difference.about,
        "expected": difference.expected,
        "found": difference.found,
        "rows": [
            {
                "kind": row.kind,
                "expected": cells(row.expected) if row.expected else None,
                "found": cells(row.found) if row.found else None,
                "wrong": [difference.columns[number] for number in row.wrong],
            }
            for row in difference.rows
        ],
    }
