"""Tables that hold at the terminal's width, whatever is in them.

Called by `cli` and the other modules of this package. What is least important is left out where it
is narrow, and named below; keys are cut in their middle, words are folded. Widths are of what is
seen: a Chinese character or an emoji takes two columns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data_platform.engine.answers import Answer
from data_platform.terminal.console import room, say, within
from data_platform.terminal.values import as_text

GOOD, POOR, BAD, QUIET = "green", "yellow", "bold red", "dim"
MAX_VALUE = 500
"""Characters of a value; JSON and CSV have the rest."""

_FOLDED = 2
"""So few columns stay a table whose cells are folded, however wide they are."""
_LEAST = 10
"""Columns that a key or words keep, however narrow it is."""
_WHOLE = 30
"""Columns up to which a key is rather kept whole than a spare column beside it."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: above it.
        right: whether it is of numbers.
        folds: whether it is of words, which are folded where they don't fit; else it is cut.
        spare: whether it is left out where there is no room, the greatest first; 0 is never.
    """

    title: str
    right: bool = False
    folds: bool = False
    spare: int = 0


Row = Sequence[Text | str]


def print_table(console: Console, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Print a table within the terminal's width; in a pipe all of it.

    Args:
        console: where to.
        columns: their titles, if they have any, and what becomes of them where it is narrow.
        rows: a cell for each column; missing ones at the end are empty.
    """
    limit = room(console)
    widths = [_width(column, index, rows) for index, column in enumerate(columns)]
    kept = _kept(columns, widths, limit)
    table = _empty_table([columns[index] for index in kept])
    table.show_header = any(columns[index].title for index in kept)
    if limit is not None:
        _shrink(columns, widths, kept, limit)
    for row in rows:
        table.add_row(*(_cell(columns[i], row[i], widths[i]) for i in kept if i < len(row)))
    within(console, _sum(widths, kept) if limit is None else limit).print(table)
    left_out = [" ".join(c.title.split()) for i, c in enumerate(columns) if i not in kept]
    if left_out:
        say(console, f"too narrow for {', '.join(left_out)}", QUIET)


def print_answer(console: Console, answer: Answer) -> None:
    """Rows as a table, or one below the other where they are too wide for one."""
    if not answer.rows:
        return
    cells = [[shortened(as_text(value)) for value in row] for row in answer.rows]
    if _fits(console, answer.columns, cells):
        table = _empty_table(
            [
                Column(name, right=_are_numbers(answer, index), folds=True)
                for index, name in enumerate(answer.columns)
            ]
        )
        for row in cells:
            table.add_row(*map(Text, row))
        console.print(table)
        return
    for number, row in enumerate(cells, start=1):
        console.print(Text(f"row {number}", style="bold"))
        table = _empty_table([Column(""), Column("", folds=True)])
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


def shortened(value: str) -> str:
    """A value, or its beginning and how long it is."""
    if len(value) <= MAX_VALUE:
        return value
    return f"{value[:MAX_VALUE]}… ({len(value):,} characters)"


def cut(text: str, width: int) -> str:
    """Text in so many columns: its beginning and its end, which tells more than the middle."""
    if cell_len(text) <= width:
        return text
    tail = (width - 1) // 2
    head = set_cell_size(text, width - 1 - tail).rstrip()
    end = text
    while cell_len(end) > tail:
        end = end[1:]
    return f"{head}…{end}"


def _empty_table(columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        justify = "right" if column.right else "left"
        table.add_column(column.title, justify=justify, overflow="fold")
    return table


def _cell(column: Column, cell: Text | str, width: int) -> Text:
    cell = Text(cell) if isinstance(cell, str) else cell
    if column.folds or cell_len(cell.plain) <= width:
        return cell
    return Text(cut(cell.plain, width), style=cell.style)


def _kept(columns: Sequence[Column], widths: Sequence[int], limit: int | None) -> list[int]:
    """The columns that there is room for; those that may shrink count with the least they keep."""
    least = [
        width if column.right or column.spare else min(width, _WHOLE)
        for column, width in zip(columns, widths, strict=True)
    ]
    kept = list(range(len(columns)))
    by_need = sorted((i for i in kept if columns[i].spare), key=lambda i: -columns[i].spare)
    for index in by_need:
        if limit is None or _sum(least, kept) <= limit:
            break
        kept.remove(index)
    return kept


def _shrink(columns: Sequence[Column], widths: list[int], kept: Sequence[int], limit: int) -> None:
    """Take from the widest columns of text what there is too much."""
    texts = [index for index in kept if not columns[index].right]
    while texts and _sum(widths, kept) > limit:
        widest = max(texts, key=lambda index: widths[index])
        if widths[widest] <= _LEAST:
            return
        widths[widest] -= 1


def _sum(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[index] for index in kept) + len(kept) - 1


def _width(column: Column, index: int, rows: Sequence[Row]) -> int:
    texts = [column.title, *(str(row[index]) for row in rows if index < len(row))]
    return max(_text_widths(texts))


def _text_widths(texts: Iterable[str]) -> Iterable[int]:
    return (cell_len(line) for text in texts for line in text.splitlines() or [""])


def _fits(console: Console, names: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
    widths = [
        max(_text_widths([name, *(row[index] for row in cells)]))
        for index, name in enumerate(names)
    ]
    return len(widths) <= _FOLDED or sum(widths) + len(widths) - 1 <= console.width


def _are_numbers(answer: Answer, index: int) -> bool:
    values = [row[index] for row in answer.rows if row[index] is not None]
    return bool(values) and all(isinstance(value, int | float | Decimal) for value in values)
