"""Which types hold all values of another, exactly.

Called by `plan.contracts.column_changes`. In DuckDB's words; what a reader could tell apart only by
the name of the type, such as a date and the timestamp of its midnight, isn't among them.
"""

import re

_INTEGERS = {
    "TINYINT": (-(2**7), 2**7 - 1),
    "SMALLINT": (-(2**15), 2**15 - 1),
    "INTEGER": (-(2**31), 2**31 - 1),
    "BIGINT": (-(2**63), 2**63 - 1),
    "HUGEINT": (-(2**127), 2**127 - 1),
    "UTINYINT": (0, 2**8 - 1),
    "USMALLINT": (0, 2**16 - 1),
    "UINTEGER": (0, 2**32 - 1),
    "UBIGINT": (0, 2**64 - 1),
    "UHUGEINT": (0, 2**128 - 1),
}
_EXACT_IN_FLOATS = {"FLOAT": 2**24, "DOUBLE": 2**53}
"""Up to which whole numbers are exact in a binary floating-point number (IEEE 754)."""
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def widens(old: str, new: str) -> bool:
    """Whether a type holds every value of another one, and more.

    Args:
        old: DuckDB's name of the type that was.
        new: of the type that is.
    """
    if old.endswith("[]") and new.endswith("[]"):
        return widens(old[:-2], new[:-2])
    if old == new:
        return False
    if old == "FLOAT":
        return new == "DOUBLE"
    before, after = _whole_range(old), _whole_range(new)
    if before and after:
        return after[0] <= before[0] and before[1] <= after[1]
    if before and new in _EXACT_IN_FLOATS:
        most = _EXACT_IN_FLOATS[new]
        return -most <= before[0] and before[1] <= most
    return _decimal_widens(old, new)


def _whole_range(kind: str) -> tuple[int, int] | None:
    """The least and the greatest value of a type of whole numbers."""
    digits = _DECIMAL.fullmatch(kind)
    if digits and digits[2] == "0":
        most = 10 ** int(digits[1]) - 1
        return -most, most
    return _INTEGERS.get(kind)


def _decimal_widens(old: str, new: str) -> bool:
    """Whether there are as many digits before the point, and after it, or more."""
    after = _DECIMAL.fullmatch(new)
    before = _DECIMAL.fullmatch(old)
    if not after:
        return False
    scale = int(after[2])
    whole = 10 ** (int(after[1]) - scale) - 1
    if before:
        old_scale = int(before[2])
        return old_scale <= scale and 10 ** (int(before[1]) - old_scale) - 1 <= whole
    bounds = _INTEGERS.get(old)
    return bounds is not None and -whole <= bounds[0] and bounds[1] <= whole
