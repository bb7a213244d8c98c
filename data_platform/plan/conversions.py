"""Exact conversion of a column: the value, and whether anything was lost on the way.

Called by `plan.staging.steps` for `convert_types` and for the types of a contract. The texts hold
for any type that the column turns out to have, because what a source holds isn't known before it is
read.
"""

import functools
import re
from dataclasses import dataclass

import duckdb

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.sql.binder import binder
from data_platform.plan.sql.expressions import literal, quoted

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
    "UHUGEINT": "VARCHAR",
    "UUID": "VARCHAR",
    "JSON": "VARCHAR",
    "TIME": "VARCHAR",
    "TIME WITH TIME ZONE": "VARCHAR",
    "INTERVAL": "VARCHAR",
    "BIT": "VARCHAR",
}
_OTHERS = {
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "TIMESTAMP_NS": "TIMESTAMP",
    '"NULL"': "VARCHAR",
}
NANOSECONDS = "TIMESTAMP_NS"
"""Kept in microseconds; whoever writes makes sure that nothing is lost."""
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
    return _OTHERS.get(name)


@dataclass(frozen=True)
class Conversion:
    """To what a column is converted.

    Attributes:
        named: the type that a person named, in DuckDB's words: `UUID`.
        target: as the lake keeps it: `VARCHAR`.
        time_format: how text is read as a time, in strptime's notation; None means ISO 8601.
    """

    named: str
    target: str
    time_format: str | None = None


def named_type(text: str, location: Location) -> str:
    """The type that a person named, in DuckDB's words and as the lake keeps it.

    Raises:
        ConfigurationError: as `conversion_to` does.
    """
    return conversion_to(text, location).target


def conversion_to(text: str, location: Location, time_format: str | None = None) -> Conversion:
    """The conversion to a type that a person named.

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
    if time_format is not None and kept not in _TIMES:
        message = f"a format belongs to a date or timestamp, not to {text!r}"
        raise ConfigurationError([Problem(location, message)])
    return Conversion(named, kept, time_format)


@functools.cache
def _asked(written: str) -> str | None:
    """DuckDB's own name of a type; None where it knows none."""
    try:
        with binder() as cursor:
            row = cursor.execute(f"SELECT typeof(CAST(NULL AS {written}))").fetchone()
    except duckdb.Error:
        return None
    return str(row[0]) if row else None


def converted(column: str, how: Conversion) -> str:
    """The column as `how` says, NULL where that fails."""
    name, target = quoted(column), how.target
    if target in _TIMES and how.time_format is not None:
        return f"TRY_CAST({_parsed(name, how.time_format)} AS {target})"
    if target == "TIMESTAMP":
        other = f"TRY_CAST({name} AS TIMESTAMP)"
        return f"CASE TYPEOF({name}) WHEN 'VARCHAR' THEN {_moment(name)} ELSE {other} END"
    if how.named != target:
        return f"CAST(TRY_CAST({name} AS {how.named}) AS {target})"
    return f"TRY_CAST({name} AS {target})"


def inexact(column: str, how: Conversion) -> str:
    """A condition that is true where `converted` fails or loses something."""
    name, value = quoted(column), converted(column, how)
    lost = f"{name} IS NOT NULL AND {value} IS NULL"
    loses = _loses(name, value, how)
    return f"({lost}) OR COALESCE({loses}, FALSE)" if loses else f"({lost})"


def _loses(name: str, value: str, how: Conversion) -> str | None:
    """What says that a value which converted isn't the one that was there.

    Text is looked at as text. A number or a moment must come back when it is converted to what it
    was: only doubles may be off the decimal that stands for them, by `ROUNDING`.
    """
    target = how.target
    back = f"TRY(CAST_TO_TYPE({value}, {name})) IS DISTINCT FROM {name}"
    decimal = _DECIMAL.fullmatch(target)
    if decimal or target in _INTEGERS:
        text = _digits_lost(name, value, int(decimal[2]) if decimal else 0)
        off = f"ABS(CAST({value} AS DOUBLE) - TRY_CAST({name} AS DOUBLE)) > {ROUNDING}"
        return (
            f"CASE TYPEOF({name}) WHEN 'VARCHAR' THEN {text} "
            f"WHEN 'DOUBLE' THEN {off} ELSE {back} END"
        )
    if target in _FLOATS:
        text = f"COALESCE({_differ(name, value, 9)}, {_differ(name, value, 0)})"
        return f"CASE TYPEOF({name}) WHEN 'VARCHAR' THEN {text} ELSE {back} END"
    if target == "DATE":
        format_ = how.time_format
        moment = _parsed(name, format_) if format_ is not None else _moment(name)
        text = f"{moment} <> CAST({value} AS TIMESTAMP)"
        return f"CASE TYPEOF({name}) WHEN 'VARCHAR' THEN {text} ELSE {back} END"
    if target in _TIMES:
        text = f"REGEXP_MATCHES(CAST({name} AS VARCHAR), '\\.[0-9]{{6}}[0-9]*[1-9]')"
        return (
            f"CASE TYPEOF({name}) WHEN 'VARCHAR' THEN {text} "
            f"WHEN '{NANOSECONDS}' THEN {back} ELSE FALSE END"
        )
    if target == "BOOLEAN":
        return f"CASE TYPEOF({name}) WHEN 'VARCHAR' THEN FALSE ELSE {back} END"
    return back if target.endswith("[]") else None


def _moment(name: str) -> str:
    """Text as a moment in UTC: an offset that it names counts, none means UTC."""
    return f"TRY_CAST(TRY_CAST({name} AS TIMESTAMP WITH TIME ZONE) AS TIMESTAMP)"


def _parsed(name: str, time_format: str) -> str:
    return f"TRY_STRPTIME(CAST({name} AS VARCHAR), {literal(time_format)})"


def _digits_lost(name: str, value: str, scale: int) -> str:
    """Whether a number in text has more digits behind the point than are kept."""
    text = f"REPLACE(CAST({name} AS VARCHAR), '_', '')"
    beyond = f"REGEXP_MATCHES({text}, '\\.[0-9]{{{scale}}}[0-9]*[1-9]')"
    power = f"CAST({value} AS DOUBLE) <> TRY_CAST({text} AS DOUBLE)"
    return f"CASE WHEN REGEXP_MATCHES({text}, '[eE]') THEN {power} ELSE {beyond} END"


def _differ(name: str, value: str, scale: int) -> str:
    """Whether a number in text is off its double's shortest text by more than `ROUNDING`."""
    wide = f"DECIMAL(38,{scale})"
    own = f"TRY_CAST(CAST({value} AS VARCHAR) AS {wide})"
    return f"ABS({own} - TRY_CAST({name} AS {wide})) > {ROUNDING}"


def assignable(source: str, target: str) -> bool:
    """Whether a column of one type may be declared as another without an explicit conversion.

    Numbers go into numbers and times into times (whatever a value loses is then a violation);
    text becomes a number or a time only where a pipeline says so.
    """
    if source in {target, '"NULL"'}:
        return True
    numbers = _INTEGERS | _FLOATS
    both_numbers = all(
        name in numbers or bool(_DECIMAL.fullmatch(name)) for name in (source, target)
    )
    return both_numbers or (source in _TIMES and target in _TIMES)
