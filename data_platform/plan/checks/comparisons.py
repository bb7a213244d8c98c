"""Whether a value of SQL compares with what a person wrote in YAML.

Asked by `plan.checks.sql_checks` with a value of the type that a statement gives, before anything
runs, and by `quality.sql_rules` with the value.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from operator import eq, ge, gt, le, lt
from typing import Any
from uuid import UUID

from data_platform.spec.sql_rule import Operator
from data_platform.spec.wording import show

_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}
_SAMPLES: Mapping[str, object] = {
    "BOOLEAN": False,
    "VARCHAR": "",
    "FLOAT": 0.0,
    "DOUBLE": 0.0,
    "DATE": date(2000, 1, 1),
    "TIME": time(),
}
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")


class Incomparable(Exception):
    """A value is of a kind that can't be compared with what was written."""


def compares(value: object, operator: Operator, expected: Sequence[object]) -> bool:
    """Whether `value operator expected` holds.

    NULL equals NULL alone and comes before or after nothing; NaN equals NaN. Numbers are compared
    by their decimal digits, dates and times with text.

    Args:
        value: of SQL, as DuckDB gives it.
        operator: how.
        expected: one value, two for `between`, some for `in`.

    Raises:
        Incomparable: the kinds don't go together.
    """
    # All of them are looked at, so that one that can't be compared is told whatever others say.
    if operator == "between":
        low, high = expected
        found = [_ordered(value, ">=", low), _ordered(value, "<=", high)]
        return all(found)
    if operator in _ORDERED:
        return _ordered(value, operator, expected[0])
    equal = [_equal(value, one) for one in expected]
    return any(equal) != (operator == "!=")


def sample_of(kind: str) -> object | None:
    """A value of one of DuckDB's types, or None where nothing is known of it."""
    if kind.startswith(("DECIMAL", *_INTEGERS, *(f"U{name}" for name in _INTEGERS))):
        return Decimal(0)
    if kind.startswith("TIMESTAMP"):
        return datetime(2000, 1, 1, tzinfo=UTC if "ZONE" in kind else None)
    return _SAMPLES.get(kind)


def in_words(operator: Operator, expected: Sequence[object]) -> str:
    """What is wanted of a value, such as `> 0`."""
    shown = [_text(one) for one in expected]
    if operator == "between":
        return f"between {' and '.join(shown)}"
    return f"in {', '.join(shown)}" if operator == "in" else f"{operator} {shown[0]}"


def _equal(value: object, expected: object) -> bool:
    if value is None or expected is None:
        return value is expected
    left, right = _pair(value, expected)
    return (_is_nan(left) and _is_nan(right)) or eq(left, right)


def _ordered(value: object, operator: str, expected: object) -> bool:
    if value is None or expected is None:
        return False
    if isinstance(value, str) and not isinstance(expected, str):
        raise Incomparable(f"text comes before or after text alone: quote {_text(expected)}")
    left, right = _pair(value, expected)
    return not _is_nan(left) and not _is_nan(right) and _ORDERED[operator](left, right)


def _pair(value: object, expected: object) -> tuple[Any, Any]:
    """Both sides in a form in which Python compares them as a person means it."""
    match value:
        case bool():
            if isinstance(expected, bool):
                return value, expected
            raise _misfit("true or false", expected)
        case int() | float() | Decimal():
            return Decimal(str(value)), _number(expected)
        case str():
            return value, str(expected).lower() if isinstance(expected, bool) else str(expected)
        case datetime() | date() | time():
            return _moments(value, expected)
        case UUID():
            return str(value), str(expected).lower()
        case _:
            raise Incomparable(f"a value of type {type(value).__name__} can't be compared: cast it")


def _number(expected: object) -> Decimal:
    if isinstance(expected, bool):
        raise _misfit("a number", expected)
    try:
        return Decimal(str(expected))
    except InvalidOperation:
        raise _misfit("a number", expected) from None


def _moments(value: date | time, expected: object) -> tuple[Any, Any]:
    if not isinstance(expected, str):
        raise _misfit("a date or time", expected)
    try:
        if isinstance(value, time):
            return value, time.fromisoformat(expected)
        other = datetime.fromisoformat(expected)
    except ValueError:
        raise _misfit("a date or time", expected) from None
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    if other.tzinfo is None:
        return moment, other.replace(tzinfo=moment.tzinfo)
    if moment.tzinfo is None:
        raise Incomparable(f"a time without a zone can't be compared with {_text(expected)}")
    return moment, other


def _misfit(kind: str, expected: object) -> Incomparable:
    return Incomparable(f"the SQL gives {kind}, which can't be compared with {_text(expected)}")


def _is_nan(value: object) -> bool:
    return isinstance(value, Decimal | float) and math.isnan(value)


def _text(value: object) -> str:
    return "NULL" if value is None else show(value)
