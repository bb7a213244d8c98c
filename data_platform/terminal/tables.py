"""Tables that hold at the console's width: what doesn't fit is folded, never cut.

Called by `cli` and the other modules of this package.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from data_platform.engine.answers import Answer
from data_platform.terminal.values import as_text

GOOD, POOR, BAD, QUIET = "green", "yellow", "bold red", "dim"
_FOLDED = 2
"""So few columns stay a table whose cells are folded, however wide they are."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: above it.
        right: whether it is of numbers.
    """

    title: str
    right: bool = False


def make_table(columns: Sequence[Column]) -> Table:
    """An empty table in the command's style; cells are `Text` or str."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        justify = "right" if column.right else "left"
        table.add_column(column.title, justify=justify, overflow="fold")
    return table


def print_answer(console: Console, answer: Answer) -> None:
    """Rows as a table, or one below the other where they are too wide for one."""
    if not answer.rows:
        return
    cells = [[as_text(value) for value in row] for row in answer.rows]
    if _fits(console, answer.columns, cells):
        numbers = [_are_numbers(answer, index) for index in range(len(answer.columns))]
        table = make_table(
            [Column(name, right) for name, right in zip(answer.columns, numbers, strict=True)]
        )
        for row in cells:
            table.add_row(*map(Text, row))
        console.print(table)
        return
    for number, row in enumerate(cells, start=1):
        console.print(Text(f"row {number}", style="bold"))
        table = make_table([Column(""), Column("")])
        table.show_header = False
        for name, value in zip(answer.columns, row, strict=True):
            table.add_row(Text(f"  {name}", style=QUIET), Text(value))
        console.print(table)


def closing_line(answer: Answer) -> str:
    """How many rows there are, and how many of them aren't shown."""
    if not answer.total:
        return "no rows"
    rows = f"{answer.total:,} row{'s'[: answer.total != 1]}"
    if not answer.more:
        return rows
    return f"{len(answer.rows):,} of {rows} shown, {answer.more:,} more: --limit 0 shows all"


def _fits(console: Console, names: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
    widths = [
        max([len(name), *(len(row[index]) for row in cells)]) for index, name in enumerate(names)
    ]
    return len(widths) <= _FOLDED or sum(widths) + len(widths) - 1 <= console.width


def _are_numbers(answer: Answer, index: int) -> bool:
    values = [row[index] for row in answer.rows if row[index] is not None]
    return bool(values) and all(isinstance(value, int | float | Decimal) for value in values)
