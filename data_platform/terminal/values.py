"""Values of the lake as text, JSON and CSV, without loss: a decimal keeps every digit.

Called by `cli` and `terminal.tables`. JSON writes decimals as numbers, which a float couldn't hold.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any

from data_platform.engine.answers import Answer


def as_text(value: Any) -> str:
    """A value in a table; NULL is NULL."""
    match value:
        case None:
            return "NULL"
        case list() if all(isinstance(item, str) for item in value):
            return _printable("; ".join(value))
        case _:
            return _printable(_flat(value))


def json_lines(answer: Answer) -> Iterator[str]:
    """A JSON array with an object a line."""
    names = [json.dumps(name, ensure_ascii=False) for name in answer.columns]
    yield "["
    for number, row in enumerate(answer.rows, start=1):
        pairs = (f"{name}: {_json(value)}" for name, value in zip(names, row, strict=True))
        yield f"  {{{', '.join(pairs)}}}{',' if number < len(answer.rows) else ''}"
    yield "]"


def csv_text(answer: Answer) -> str:
    """A header and a line a row; NULL is empty."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow(["" if value is None else _flat(value) for value in row])
    return target.getvalue()


def _printable(text: str) -> str:
    """Line ends and control characters escaped: data must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def _flat(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case list() | dict():
            return _json(value)
        case _:
            return str(value)


def _json(value: Any) -> str:
    match value:
        case Decimal() if value.is_finite():
            return f"{value:f}"
        case float() if not isfinite(value):
            return "null"
        case None | bool() | int() | float() | str():
            return json.dumps(value, ensure_ascii=False)
        case datetime():
            return json.dumps(value.isoformat())
        case list():
            return f"[{', '.join(map(_json, value))}]"
        case Mapping():
            pairs = (f"{json.dumps(str(name))}: {_json(item)}" for name, item in value.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            return json.dumps(_flat(value), ensure_ascii=False)
