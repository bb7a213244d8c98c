"""Exact conversion of a column: the value, and whether anything was lost on the way.

Called by `plan.steps` for `convert_types` and for the types of a contract. The texts hold for any
type that the column turns out to have, because what a source holds isn't known before it is read.
"""

import functools
import re

import duckdb

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.binder import binder
from data_platform.plan.expressions import literal, quoted

_SYNONYMS = {"datetime": "TIMESTAMP", "numeric": "DOUBLE", "string": "VARCHAR", "text": "VARCHAR"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DECIMAL(38,0)"})
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_TIMES = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
_PLAIN = frozenset({"VARCHAR", "BOOLEAN", "BLOB"})
_WIDENED = {
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INTEGER",
    "UINTEGER": "BIGINT",
    "UBIGINT": "DECIMAL(20,0)",
    "HUGEINT": "DECIMAL(38,0)",
    "UUID": "VARCHAR",
    "JSON": "VARCHAR",
}
ROUNDING = "1e-9"
"""By how much a double may be off the decimal that it stands for."""


def stored_type(duckdb_type: str) -> str | None:
    """The type in which the lake keeps a column, without loss; None where it can't.

    Args:
        duckdb_type: the type's name as DuckDB's DESCRIBE gives it.
    """
    name = _WIDENED.get(duckdb_type, duckdb_type)
    if name.startswith("ENUM"):
        return "VARCHAR"
    if name in _INTEGERS | _FLOATS | _TIMES | _PLAIN or _DECIMAL.fullmatch(name):
        return name
    if name.endswith("[]"):
        inner = stored_type(name[:-2])
        return f"{inner}[]" if inner else None
    return {"TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP", '"NULL"': "VARCHAR"}.get(name)


def named_type(text: str, location: Location) -> str:
    """The type that a person named, in DuckDB's words and as the lake keeps it.

    Raises:
        ConfigurationError: there is no such type, or no column of the lake can have it.
    """
    written = _SYNONYMS.get(text.strip().lower(), text.strip())
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ ]*(\(\s*\d+\s*(,\s*\d+\s*)?\))?(\[\])?", written):
        raise ConfigurationError(
            [Problem(location, f"{text!r} is no type of SQL, such as bigint or decimal(12,2)")]
        )
    named = _asked(written)
    if named is None:
        message = f"{text!r} is no type; such as bigint, decimal(12,2), double, varchar, date"
        raise ConfigurationError([Problem(location, message)])
    kept = stored_type(named)
    if kept is None:
        message = f"the lake has no type {text!r}; convert to varchar, or to a number"
        raise ConfigurationError([Problem(location, message)])
    return kept


@functools.cache
def _asked(written: str) -> str | None:
    """DuckDB's own name of a type; None where it knows none."""
    try:
        with binder() as cursor:
            row = cursor.execute(f"SELECT typeof(CAST(NULL AS {written}))").fetchone()
    except duckdb.Error:
        return None
    return str(row[0]) if row else None


def converted(column: str, target: str, time_format: str | None = None) -> str:
    """The column as `target`, NULL where that fails."""
    name = quoted(column)
    if time_format is not None and target in _TIMES:
        return (
            f"TRY_CAST(TRY_STRPTIME(CAST({name} AS VARCHAR), {literal(time_format)}) AS {target})"
        )
    if target in _TIMES:
        return f"TRY_CAST(CAST({name} AS VARCHAR) AS {target})"
    return f"TRY_CAST({name} AS {target})"


def inexact(column: str, target: str, time_format: str | None = None) -> str:
    """A condition that is true where `converted` fails or loses something."""
    name, value = quoted(column), converted(column, target, time_format)
    lost = f"{name} IS NOT NULL AND {value} IS NULL"
    loses = _loses(name, value, target) if time_format is None else None
    return f"({lost}) OR COALESCE({loses}, FALSE)" if loses else f"({lost})"


def _loses(name: str, value: str, target: str) -> str | None:
    if match := _DECIMAL.fullmatch(target):
        precision, scale = int(match[1]), int(match[2])
        return _numbers_differ(name, value, max(scale, min(38 - (precision - scale), 12)))
    if target in _INTEGERS:
        return _numbers_differ(name, value, 12)
    if target in _FLOATS:
        return f"TRY_CAST({value} AS DECIMAL(38,9)) <> TRY_CAST({name} AS DECIMAL(38,9))"
    if target == "DATE":
        return f"TRY_CAST(CAST({name} AS VARCHAR) AS TIMESTAMP) <> CAST({value} AS TIMESTAMP)"
    if target == "BOOLEAN":
        return f"TRY_CAST(CAST({name} AS VARCHAR) AS DOUBLE) NOT IN (0, 1)"
    return None


def _numbers_differ(name: str, value: str, scale: int) -> str:
    """Compared as decimals of a scale that shows the loss; only doubles may be off, by `ROUNDING`."""
    wide = f"TRY_CAST({name} AS DECIMAL(38,{scale}))"
    tolerance = f"CASE WHEN TYPEOF({name}) IN ('FLOAT', 'DOUBLE') THEN {ROUNDING} ELSE 0 END"
    return f"ABS({wide} - {value}) > {tolerance}"


def assignable(source: str, target: str) -> bool:
    """Whether a column of one type may be declared as another without an explicit conversion.

    Numbers go into numbers and times into times (whatever a value loses is then a violation);
    text becomes a number or a time only where a pipeline says so.
    """
    if source == target or source == '"NULL"':
        return True
    numbers = _INTEGERS | _FLOATS
    both_numbers = all(
        name in numbers or bool(_DECIMAL.fullmatch(name)) for name in (source, target)
    )
    return both_numbers or (source in _TIMES and target in _TIMES)
