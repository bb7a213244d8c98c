"""The tables of a database as a table.

Called by `cli`.
"""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from data_platform.sources.database.catalogue import FoundTable
from data_platform.terminal.tables import Column, print_table


def print_found(console: Console, connection: str, tables: Sequence[FoundTable]) -> None:
    """Print what a database has, a line a table."""
    if not tables:
        console.print(f"{connection} has no tables, or none that this user may see")
        return
    columns = (
        Column("table"),
        Column("rows, about", right=True),
        Column("columns", right=True),
        Column("comment", folds=True),
    )
    print_table(console, columns, [_cells(table) for table in tables])
    console.print(f"a source for one: data-platform discover {connection} {tables[0].name}")


def _cells(table: FoundTable) -> tuple[str, ...]:
    rows = "-" if table.rows is None else f"{table.rows:,}"
    return table.name, rows, f"{table.columns:,}", table.comment or ""


def found_json(tables: Sequence[FoundTable]) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [
        {
            "table": table.name,
            "rows": table.rows,
            "columns": table.columns,
            "comment": table.comment,
        }
        for table in tables
    ]
