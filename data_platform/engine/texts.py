"""Values of the lake as text, without loss: a decimal keeps every digit.

Used by `terminal.values` for the command and by `previews` for Dagster's UI, so that a value looks
the same in both.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# What a list or struct holds isn't known.

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any


def flat_text(value: Any) -> str:
    """A value that isn't NULL as text; lists and structs as JSON."""
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
            return json_text(value)
        case _:
            return str(value)


def json_text(value: Any) -> str:
    """A value as JSON; decimals as numbers, which a float couldn't hold."""
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
            return f"[{', '.join(map(json_text, value))}]"
        case Mapping():
            pairs = (f"{json.dumps(str(name))}: {json_text(item)}" for name, item in value.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            return json.dumps(flat_text(value), ensure_ascii=False)


def printable(text: str) -> str:
    """Line ends and control characters escaped: data must not steer what shows it."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )
