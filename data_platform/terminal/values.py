"""Values of the lake as text, JSON and CSV, without loss: a decimal keeps every digit.

Called by `cli` and `terminal.tables`. JSON writes decimals as numbers, which a float couldn't hold.
"""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from data_platform.engine.answers import Answer
from data_platform.engine.texts import flat_text, json_text, printable


def as_text(value: Any) -> str:
    """A value in a table; NULL is NULL."""
    match value:
        case None:
            return "NULL"
        case list() if all(isinstance(item, str) for item in value):
            return printable("; ".join(value))
        case _:
            return printable(flat_text(value))


def json_lines(answer: Answer) -> Iterator[str]:
    """A JSON array with an object a line."""
    names = [json.dumps(name, ensure_ascii=False) for name in answer.columns]
    yield "["
    for number, row in enumerate(answer.rows, start=1):
        pairs = (f"{name}: {json_text(value)}" for name, value in zip(names, row, strict=True))
        yield f"  {{{', '.join(pairs)}}}{',' if number < len(answer.rows) else ''}"
    yield "]"


def csv_text(answer: Answer) -> str:
    """A header and a line a row; NULL is empty."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow(["" if value is None else flat_text(value) for value in row])
    return target.getvalue()
