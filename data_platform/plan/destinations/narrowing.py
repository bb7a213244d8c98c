"""Types of integers by what they hold: the smallest that takes a column's values, and wider ones.

Used by `targets.databases` for tables with `narrow: true`, and by what tells whether a column takes
other values. Unsigned types are never chosen: a difference of two of them breaks below zero.
"""

import re
from collections.abc import Mapping

INTEGERS: tuple[str, ...] = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
"""DuckDB's signed types, from the smallest; each has twice the bytes of the one before."""
Range = tuple[int, int] | None
"""The least and the greatest value of a column; None where it has none."""

_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def narrowed(
    kinds: Mapping[str, str], ranges: Mapping[str, Range], there: Mapping[str, str]
) -> dict[str, str]:
    """The types of columns of integers, in the smallest that holds their values.

    A column without any value keeps its type: nothing says what will come. One that is there
    already keeps its own, as long as that holds the values.

    Args:
        kinds: DuckDB's types, by column; others than integers are left out.
        ranges: of the values, by column.
        there: types of columns that the table has.
    """
    return {
        name: _kept(smallest(kind, ranges.get(name)), there.get(name, ""), ranges.get(name))
        for name, kind in kinds.items()
        if kind in INTEGERS
    }


def smallest(kind: str, found: Range) -> str:
    """The smallest type that holds a range, never a wider one than the column has."""
    if found is None:
        return kind
    fitting = (small for small in INTEGERS if _holds(small, found))
    return min(next(fitting, kind), kind, key=INTEGERS.index)


def _kept(small: str, there: str, found: Range) -> str:
    """The type of a column that is there, if it holds what is found."""
    kept = there.upper()
    return kept if kept in INTEGERS and (found is None or widens(small, kept)) else small


def widens(kind: str, declared: str) -> bool:
    """Whether each value of a type is one of another, wider one of the same sort."""
    if kind in INTEGERS and declared in (*INTEGERS, "HUGEINT"):
        return declared == "HUGEINT" or INTEGERS.index(kind) <= INTEGERS.index(declared)
    if kind == "FLOAT":
        return declared == "DOUBLE"
    rows, column = _DECIMAL.fullmatch(kind), _DECIMAL.fullmatch(declared)
    if rows is None or column is None:
        return False
    whole, behind = int(rows[1]) - int(rows[2]), int(rows[2])
    return int(column[1]) - int(column[2]) >= whole and int(column[2]) >= behind


def _holds(kind: str, found: tuple[int, int]) -> bool:
    bits = 8 << INTEGERS.index(kind)
    low, high = found
    return -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1)
