"""How rows that are expected and rows that are there differ: missing, surplus, or in some cells.

Called by `unit_tests.judging` with values of one type a column. Rows that aren't equal are paired
with the row that is most like them, so that one wrong cell isn't told as two rows.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

RELATIVE = 1e-9
"""By which share of their value doubles may be off: sums depend on the order of rows."""
MOST_PAIRED = 300
"""Rows of either side that are paired; of more the rest is told as missing and surplus."""
LEAST_ALIKE = 0.5
"""Of the cells that two rows must share to be taken for one."""

Cells = tuple[Any, ...]


@dataclass(frozen=True)
class RowDifference:
    """A row that isn't as expected.

    Attributes:
        kind: `missing` is expected and not there, `surplus` the other way round.
        expected: its cells; empty where it is surplus.
        found: its cells; empty where it is missing.
        wrong: the columns' numbers that differ.
    """

    kind: Literal["missing", "surplus", "differs"]
    expected: Cells = ()
    found: Cells = ()
    wrong: tuple[int, ...] = ()


@dataclass(frozen=True)
class TableDifference:
    """What is wrong with rows.

    Attributes:
        about: which rows: `rows` or `quarantined`.
        columns: that were compared.
        rows: that aren't as expected, in the order in which they are expected.
        expected: how many rows are.
        found: how many rows are there.
    """

    about: str
    columns: tuple[str, ...]
    rows: tuple[RowDifference, ...]
    expected: int
    found: int


def differences(
    expected: Sequence[Cells], found: Sequence[Cells], *, ordered: bool, tolerance: float
) -> list[RowDifference]:
    """The rows that differ.

    Args:
        expected: rows of the same columns as `found`.
        found: what is there.
        ordered: whether the rows must be in the same order.
        tolerance: by which doubles may be off, besides `RELATIVE`.
    """
    if ordered:
        return _one_by_one(expected, found, tolerance)
    missing, surplus = _without_equal(expected, found, tolerance)
    told: dict[int, RowDifference] = {}
    for number, wanted in list(missing.items()):
        near = _nearest(wanted, surplus, tolerance)
        if near is not None:
            there = surplus.pop(near)
            told[number] = RowDifference("differs", wanted, there, _wrong(wanted, there, tolerance))
        else:
            told[number] = RowDifference("missing", wanted)
    return [*told.values(), *(RowDifference("surplus", found=row) for row in surplus.values())]


def _one_by_one(
    expected: Sequence[Cells], found: Sequence[Cells], tolerance: float
) -> list[RowDifference]:
    told: list[RowDifference] = []
    for wanted, there in zip(expected, found, strict=False):
        if wrong := _wrong(wanted, there, tolerance):
            told.append(RowDifference("differs", wanted, there, wrong))
    told += [RowDifference("missing", row) for row in expected[len(found) :]]
    told += [RowDifference("surplus", found=row) for row in found[len(expected) :]]
    return told


def _without_equal(
    expected: Sequence[Cells], found: Sequence[Cells], tolerance: float
) -> tuple[dict[int, Cells], dict[int, Cells]]:
    """Rows of each side that the other doesn't have, by their number."""
    there = Counter(map(_hashable, found))
    missing: dict[int, Cells] = {}
    for number, row in enumerate(expected):
        key = _hashable(row)
        if there[key]:
            there[key] -= 1
        else:
            missing[number] = row
    surplus: dict[int, Cells] = {}
    for number, row in enumerate(found):
        key = _hashable(row)
        if there[key]:
            there[key] -= 1
            surplus[number] = row
    for number, row in list(missing.items())[:MOST_PAIRED]:
        equal = (n for n, other in surplus.items() if not _wrong(row, other, tolerance))
        same = next(equal, None)
        if same is not None:
            del missing[number], surplus[same]
    return missing, surplus


def _nearest(wanted: Cells, rows: dict[int, Cells], tolerance: float) -> int | None:
    """The row that shares most cells with another one, if it shares enough."""
    best, most = None, LEAST_ALIKE * len(wanted)
    for number, row in list(rows.items())[:MOST_PAIRED]:
        alike = len(wanted) - len(_wrong(wanted, row, tolerance))
        if alike >= most and (best is None or alike > most):
            best, most = number, alike
    return best


def _wrong(expected: Cells, found: Cells, tolerance: float) -> tuple[int, ...]:
    pairs = enumerate(zip(expected, found, strict=True))
    return tuple(n for n, (wanted, there) in pairs if not _agree(wanted, there, tolerance))


def _agree(expected: Any, found: Any, tolerance: float) -> bool:
    """NULL equals NULL and NaN equals NaN; doubles may be off a little."""
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(
            _agree(one, other, tolerance) for one, other in zip(expected, found, strict=True)
        )
    if isinstance(expected, float) and isinstance(found, float):
        if math.isnan(expected) or math.isnan(found):
            return math.isnan(expected) and math.isnan(found)
        return math.isclose(expected, found, rel_tol=RELATIVE, abs_tol=tolerance)
    return bool(expected == found)


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    return "NaN" if isinstance(value, float) and math.isnan(value) else value
