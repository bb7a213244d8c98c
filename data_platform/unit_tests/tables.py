"""Rows of `tests.yaml` as typed tables: what was written becomes what a column holds, exactly.

Called by `unit_tests.planning` for rows that are given, and by `unit_tests.judging` for those that
are expected: both are read alike. A value that isn't of its column's type is a mistake, never cut.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types.

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pyarrow as pa

from data_platform.errors import ConfigurationError, Problem
from data_platform.plan.conversions import Conversion, converted, inexact, stored_type
from data_platform.plan.sql.expressions import quoted
from data_platform.spec.wording import show
from data_platform.spec.yaml_tree import scalar
from data_platform.unit_tests.database import connected
from data_platform.unit_tests.plain_values import plain_column
from data_platform.unit_tests.rows import Table, as_text

EXACT_DIGITS = 15
"""Of a number that YAML reads as a double; more of them need quotes."""
_DOUBLES = frozenset({"DOUBLE", "FLOAT"})
_NUMBERS = (int, float)
NO_COLUMN = "_nothing"
"""Stands in a table that would have none."""


def told_types(table: Table) -> dict[str, str]:
    """The types of columns of which nobody else knows one, by their values.

    Whole numbers are BIGINT, others DOUBLE, `true` and `false` BOOLEAN, all else is text.
    """
    if table.types is not None:
        return {name: stored_type(kind) or "VARCHAR" for name, kind in table.types.items()}
    found: dict[str, str] = {}
    for name in table.columns:
        values = [row[name] for row in table.rows if row.get(name) is not None]
        if table.plain:
            values = [scalar(str(value)) for value in values]
        found[name] = _told(values)
    return found


def _told(values: Sequence[object]) -> str:
    if not values:
        return "VARCHAR"
    if all(isinstance(value, list) for value in values):
        items = [item for value in cast("Sequence[list[object]]", values) for item in value]
        return f"{_told([item for item in items if item is not None])}[]"
    if all(isinstance(value, bool) for value in values):
        return "BOOLEAN"
    if any(isinstance(value, bool) or not isinstance(value, _NUMBERS) for value in values):
        return "VARCHAR"
    if any(isinstance(value, float) for value in values):
        return "DOUBLE"
    fits = all(-(2**63) <= cast("int", value) < 2**63 for value in values)
    return "BIGINT" if fits else "DECIMAL(38,0)"


def typed(table: Table, types: Mapping[str, str]) -> pa.Table:
    """The rows with all their columns in the types that they have.

    Args:
        table: as written.
        types: of every column.

    Raises:
        ConfigurationError: values aren't of their column's type: all of them.
    """
    problems: list[Problem] = []
    columns: dict[str, pa.Array] = {}
    for name in table.columns:
        kind = types[name]
        texts, wrong = _texts(table, name, kind)
        plain = plain_column(texts, kind)
        if plain is not None and not wrong:
            columns[name] = plain
            continue
        problems += wrong
        columns[name], lost = _converted(name, pa.array(texts, _text_type(kind)), kind)
        for number in lost:
            found = show(table.rows[number].get(name))
            message = f"{name} is {kind.lower()}; {found} can't be one without loss"
            problems.append(Problem(table.places[number], message))
    if problems:
        raise ConfigurationError(problems)
    # Arrow has no table of rows without columns.
    return pa.table(columns or {NO_COLUMN: pa.nulls(len(table.rows), pa.string())})


def _converted(name: str, texts: pa.Array, kind: str) -> tuple[pa.Array, list[int]]:
    """A column as DuckDB reads it, and the rows whose value isn't of the type."""
    how = Conversion(kind, kind)
    with connected() as cursor:
        cursor.register("_texts", pa.table({name: texts}))
        select = f"SELECT {_value(name, how)} AS value, {_is_lost(name, how)} AS lost FROM _texts"
        found = cursor.sql(select).to_arrow_table()
    lost = found.column("lost").to_pylist()
    return found.column("value"), [number for number, bad in enumerate(lost) if bad]


def _value(name: str, how: Conversion) -> str:
    if how.target.endswith("[]") or how.target in {"VARCHAR", "TIMESTAMP WITH TIME ZONE"}:
        return f"TRY_CAST({quoted(name)} AS {how.target})"
    return converted(name, how)


def _is_lost(name: str, how: Conversion) -> str:
    if how.target.endswith("[]"):
        column, wanted = quoted(name), f"TRY_CAST({quoted(name)} AS {how.target})"
        return f"{column} IS NOT NULL AND {wanted} IS NULL"
    return inexact(name, how)


def _texts(table: Table, name: str, kind: str) -> tuple[list[Any], list[Problem]]:
    """The values of a column as text, and those that can't stand for one of its type."""
    texts: list[Any] = []
    problems: list[Problem] = []
    for row, place in zip(table.rows, table.places, strict=True):
        value = row.get(name)
        wrong = None if table.types is not None else _wrong(value, kind)
        if wrong:
            problems.append(
                Problem(place, f"{name} is {kind.lower()}; found {show(value)}: {wrong}")
            )
        texts.append(None if wrong else as_text(value))
    return texts, problems


def _wrong(value: object, kind: str) -> str | None:
    """Why a value can't stand for one of a type, as far as YAML tells."""
    match value:
        case None:
            return None
        case list():
            if not kind.endswith("[]"):
                return "it is no list"
            inner = (_wrong(item, kind[:-2]) for item in cast("list[object]", value))
            return next((wrong for wrong in inner if wrong), None)
        case _ if kind.endswith("[]"):
            return "write a list"
        case bool() | int() | float() if kind in {"VARCHAR", "BLOB"}:
            return "put it in quotes"
        case bool() if kind != "BOOLEAN":
            return "true and false are boolean"
        case float() if kind not in _DOUBLES and _digits(value) > EXACT_DIGITS:
            return "put it in quotes, since YAML keeps no more than 15 digits"
        case _:
            return None


def _digits(value: float) -> int:
    return sum(character.isdigit() for character in f"{value!r}".partition("e")[0].strip("-0."))


def _text_type(kind: str) -> pa.DataType:
    return pa.list_(_text_type(kind[:-2])) if kind.endswith("[]") else pa.string()
