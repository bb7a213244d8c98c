"""Small pieces of SQL that the steps of staging are put together from.

Used by `plan.staging.steps`. Columns are named as they come, quoted; what they hold isn't known.
"""

from collections.abc import Iterable, Mapping, Sequence

from data_platform.plan.naming import PARTITION
from data_platform.plan.sql.expressions import literal, quoted


def listed(names: Sequence[str]) -> str:
    """Columns in order."""
    return ", ".join(quoted(name) for name in names)


def aliased(named: Mapping[str, str]) -> str:
    """Expressions under names."""
    return ",\n  ".join(f"{expression} AS {quoted(name)}" for name, expression in named.items())


def all_but(names: Iterable[str]) -> str:
    """All columns but these, which may be there or not."""
    listed = ", ".join(literal(name.lower()) for name in names)
    return f"COLUMNS(lambda c: LOWER(c) NOT IN ({listed}))"


def any_flag(flags: Iterable[str], qualifier: str = "") -> str:
    """Whether any of these flags is up."""
    listed = " OR ".join(f"COALESCE({qualifier}{quoted(flag)}, FALSE)" for flag in flags)
    return f"({listed})"


def filling(column: str, value: object) -> str:
    """A value that a column without one gets, in the column's type where it surely fits."""
    exact = isinstance(value, bool | int) or (isinstance(value, float) and value.is_integer())
    return f"CAST_TO_TYPE({literal(value)}, {quoted(column)})" if exact else literal(value)


def lower(names: Iterable[str]) -> set[str]:
    """Names in lower case."""
    return {name.lower() for name in names}


def count(relation: str, tail: str, qualifier: str = "") -> str:
    """A SELECT `(_partition, rows)` of some rows of a relation."""
    key = f"{qualifier}{PARTITION}"
    return f"SELECT {key}, COUNT(*) AS rows FROM {relation} {tail} GROUP BY {key}"
