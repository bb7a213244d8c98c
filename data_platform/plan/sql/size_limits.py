"""Limits on what an expression makes of nothing: `repeat('x', 1000000000)`, `range(1e12)`.

Called by `plan.sql.expressions` once a tree is allowed. DuckDB's memory limit doesn't hold texts
that one value is made of, and lists grow within a row; so numbers that a person wrote are held to
limits when definitions load. What comes from columns is the data's business.
"""

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
from sqlglot import exp

from data_platform.plan.sql.allow_list import Place, refuse, shortened

MAX_TEXT = 100_000
"""Characters that `repeat`, `lpad` and `rpad` may make of one value, also within one another."""
MAX_SERIES = 10_000_000
"""Values that `range` and `generate_series` may give, all of an expression multiplied: one may
stand within another's lambda."""
MAX_WIDTH = 1_000
"""Characters to which `format` and `printf` may fill a value up."""
UNKNOWN_SERIES = 1_000
"""For how many values a series counts whose length hangs on data."""
_WIDTH = re.compile(r"\{[^{}]*:[^{}]*?(\d+)[^{}]*\}|%[^a-zA-Z%]*?(\d+)")
_DYNAMIC = re.compile(r"\{[^{}]*\{|%[^a-zA-Z%]*\*")
_COUNTED = frozenset({"repeat", "lpad", "rpad"})
_SIZED = _COUNTED | {"range", "generate_series", "format", "printf"}
_MENTIONED = re.compile(rf"\b({'|'.join(_SIZED)}|recursive)\b", re.IGNORECASE)


def require_bounded(tree: exp.Expr, text: str, place: Place) -> None:
    """Refuse what makes more of nothing than any pipeline needs.

    Args:
        tree: allowed already.
        text: that it was read from.
        place: of its parts.

    Raises:
        ConfigurationError: with the first part that does.
    """
    if not _MENTIONED.search(text):
        return
    shown = shortened(text)
    _require_short_series(tree, shown, place)
    for name, call in _calls(tree, *_COUNTED):
        if _text_length(call) > MAX_TEXT:
            message = f"{shown}: {name} would make a text of more than {MAX_TEXT:,} characters"
            refuse(place(call), message)
    for name, call in _calls(tree, "format", "printf"):
        if wrong := _wrong_format(_arguments(call)):
            refuse(place(call), f"{shown}: {name} {wrong}")
    for recursive in tree.find_all(exp.With):
        if recursive.recursive:
            _require_end(recursive, place)


def _require_short_series(tree: exp.Expr, shown: str, place: Place) -> None:
    total: float = 1
    for name, call in _calls(tree, "range", "generate_series"):
        count = _series_length(_arguments(call))
        if count is not None and count > MAX_SERIES:
            message = f"{shown}: {name} would give more than {MAX_SERIES:,} values"
            refuse(place(call), message)
        total *= max(1, count) if count is not None else UNKNOWN_SERIES
        if total > MAX_SERIES and not isinstance(tree, exp.Query):
            message = f"{shown}: the series of an expression give more than {MAX_SERIES:,} values"
            refuse(place(call), message)


def _calls(tree: exp.Expr, *names: str) -> Iterator[tuple[str, exp.Func]]:
    for call in tree.find_all(exp.Func):
        name = _name_of(call)
        if name in names:
            yield name, call


def _name_of(call: exp.Expr) -> str:
    if isinstance(call, exp.Anonymous):
        return call.name.lower()
    sized = isinstance(call, exp.Repeat | exp.Pad | exp.GenerateSeries | exp.Format)
    return call.sql("duckdb").partition("(")[0].lower() if sized else ""


def _arguments(call: exp.Func) -> list[exp.Expr]:
    """The arguments in the order in which DuckDB gets them."""
    if isinstance(call, exp.Anonymous):
        return call.expressions
    named = ("this", "start", "end", "step", "expression", "times")
    given = [call.args.get(name) for name in named]
    return [one for one in given if isinstance(one, exp.Expr)]


def _text_length(call: exp.Func) -> float:
    """Characters that a call makes of one value, as far as the text says."""
    length = 1.0
    outer: exp.Expr | None = call
    while outer is not None:
        if _name_of(outer) in _COUNTED:
            arguments = _arguments(outer)  # type: ignore[arg-type]
            count = _constant(arguments[1]) if len(arguments) > 1 else None
            length *= max(1, float(count)) if isinstance(count, int | float | Decimal) else 1
        outer = outer.parent
    inner = _arguments(call)[:1]
    own = inner[0].name if inner and isinstance(inner[0], exp.Literal) else ""
    return length * max(1, len(own))


def _series_length(arguments: list[exp.Expr]) -> int | float | None:
    """How many values a series has; None where that hangs on data."""
    values = [_constant(argument) for argument in arguments]
    if not values or any(value is None for value in values):
        return None
    if math.inf in values:
        return math.inf
    start, stop, step = [*([0] if len(values) == 1 else []), *values, 1][:3]
    try:
        return max(0, math.ceil((stop - start) / step)) if step else None
    except (TypeError, ArithmeticError):
        return None


def _constant(argument: exp.Expr) -> Any:
    """What an argument without columns is, computed by DuckDB; None where it hangs on data.

    It isn't computed where it may take long: nobody writes a number so.
    """
    if argument.find(exp.Column, exp.Placeholder, exp.Parameter, exp.Query, exp.Lambda):
        return None
    if any(_name_of(call) in _SIZED for call in argument.find_all(exp.Func)):
        return math.inf
    # The binder's macros are written with `plan.sql.expressions`, which asks this module.
    from data_platform.plan.sql.binder import binder  # noqa: PLC0415

    try:
        with binder() as cursor:
            row = cursor.execute(f"SELECT {argument.sql('duckdb')}").fetchone()
    except duckdb.Error:
        return None
    return row[0] if row else None


def _wrong_format(arguments: list[exp.Expr]) -> str | None:
    if not arguments or not isinstance(arguments[0], exp.Literal):
        return "takes a text that is written out as its first argument, not one from data"
    text = arguments[0].name
    if _DYNAMIC.search(text):
        return "takes widths that are written out, not from another argument"
    widths = [int(width) for found in _WIDTH.findall(text) for width in found if width]
    if widths and max(widths) > MAX_WIDTH:
        return f"fills up to {max(widths):,} characters; at most {MAX_WIDTH:,}"
    return None


def _require_end(recursive: exp.With, place: Place) -> None:
    """A recursive WITH whose second part has no condition goes on for ever."""
    for cte in recursive.expressions:
        body = cte.this
        if not isinstance(body, exp.Union) or body.args.get("distinct"):
            continue
        second = body.expression
        reads = {table.name.lower() for table in second.find_all(exp.Table)}
        if cte.alias.lower() not in reads:
            continue
        ends = (exp.Where, exp.Join, exp.Having, exp.Limit, exp.Qualify)
        if not any(second.find(kind) for kind in ends):
            message = f"WITH RECURSIVE {cte.alias} never ends: its second part needs a WHERE"
            refuse(place(cte), message)
