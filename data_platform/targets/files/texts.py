"""How a value of each type stands in a file of text, and how it is read back: in pairs.

Used by `writing` and `reading` beside it. Nothing is lost on the way: what comes back is the value
of the type that it had. Times are ISO 8601, bytes base64, lists JSON; a decimal of more than 15
digits is a text in JSON, since most readers make a double of a number.
"""

import re

from data_platform.plan.sql.expressions import literal, quoted

EXACT_DIGITS = 15
"""Digits that a double keeps, so that every reader of JSON gets the number that was written."""
_DECIMAL = re.compile(r"DECIMAL\((\d+),\d+\)")
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_DAYS = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
_NATIVE = frozenset({"VARCHAR", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"})
"""Types that JSON has, as DuckDB writes them."""


def field(name: str, kind: str) -> str:
    """The text of a column's value in a field of CSV; NULL stays NULL.

    Args:
        name: of the column.
        kind: DuckDB's type, one that the lake keeps.
    """
    value = quoted(name)
    if not kind.endswith("[]"):
        return _text(value, kind, name)
    json = f"CAST(TO_JSON({_json(value, kind, name)}) AS VARCHAR)"
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE {json} END"


def json_value(name: str, kind: str) -> str:
    """The value of a column as COPY writes it into a line of JSON."""
    return _json(quoted(name), kind, name)


def from_field(name: str, kind: str) -> str:
    """The value of a column from its text, as `field` gave it."""
    value = quoted(name)
    if kind.endswith("[]"):
        return _from_json(f"CAST({value} AS JSON)", kind)
    return _from_text(value, kind)


def from_json_value(name: str, kind: str) -> str:
    """The value of a column of type JSON, as `json_value` gave it."""
    return _from_json(quoted(name), kind)


def _text(value: str, kind: str, name: str) -> str:
    if kind == "VARCHAR":
        return value
    if kind == "BLOB":
        return f"BASE64({value})"
    plain = f"CAST({value} AS VARCHAR)"
    if kind in _FLOATS:
        sign = f"CASE WHEN {value} > 0 THEN 'Infinity' ELSE '-Infinity' END"
        return (
            f"CASE WHEN ISNAN({value}) THEN 'NaN' WHEN ISINF({value}) THEN {sign} ELSE {plain} END"
        )
    if kind not in _DAYS:
        return plain
    moment = f"TIMEZONE('UTC', {value})" if kind == "TIMESTAMP WITH TIME ZONE" else value
    text = f"REPLACE(CAST({moment} AS VARCHAR), ' ', 'T')"
    zone = " || 'Z'" if kind == "TIMESTAMP WITH TIME ZONE" else ""
    about = literal(f"column {name} has a time before the year 1, which has no ISO 8601")
    return (
        f"CASE WHEN ISINF({value}) THEN {plain} "
        f"WHEN {moment} < DATE '0001-01-01' THEN ERROR({about}) ELSE {text}{zone} END"
    )


def _json(value: str, kind: str, name: str) -> str:
    if kind.endswith("[]"):
        item = _json("item", kind[:-2], name)
        return value if item == "item" else f"LIST_TRANSFORM({value}, LAMBDA item: {item})"
    if kind in _NATIVE or _is_short(kind):
        return value
    text = _text(value, kind, name)
    if kind not in _FLOATS:
        return text
    # By its own digits: those of a FLOAT as a double are others.
    number = f"TO_JSON(CAST(CAST({value} AS VARCHAR) AS DOUBLE))"
    return (
        f"CASE WHEN {value} IS NULL THEN NULL WHEN ISFINITE({value}) THEN {number} "
        f"ELSE TO_JSON({text}) END"
    )


def _is_short(kind: str) -> bool:
    found = _DECIMAL.fullmatch(kind)
    return found is not None and int(found[1]) <= EXACT_DIGITS


def _from_text(value: str, kind: str) -> str:
    if kind == "VARCHAR":
        return value
    return f"FROM_BASE64({value})" if kind == "BLOB" else f"CAST({value} AS {kind})"


def _from_json(value: str, kind: str) -> str:
    if not kind.endswith("[]"):
        return _from_text(f"({value} ->> '$')", kind)
    items = f"FROM_JSON({value}, '[\"JSON\"]')"
    return f"LIST_TRANSFORM({items}, LAMBDA item: {_from_json('item', kind[:-2])})"
