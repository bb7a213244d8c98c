"""What rules mean, in plain Python: written from the words of the language, not from the code.

Rows are dicts; None is NULL, and NaN is no NULL, equals NaN and is outside every range. Nothing
here knows SQL or how the platform works: `test_random_rows` holds the one to the other.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from math import fsum
from operator import ge, gt, le, lt
from statistics import stdev
from typing import Any

from data_platform.spec.row_rules import (
    AcceptedValues,
    ExpressionRule,
    ForeignKey,
    Matches,
    NotNull,
    Range,
    RowRule,
)
from data_platform.spec.rules import AnyRule
from data_platform.spec.set_rules import Drift, Freshness, Reconcile, RowCount, Score, Unique
from data_platform.spec.sql_rule import SqlRule

FEWEST = 5
"""Figures of earlier partitions; of fewer nothing is said."""
Row = Mapping[str, object]
Days = Mapping[str, Sequence[Row]]
Truth = bool | None
"""Of SQL: NULL is neither."""

CONDITIONS: Mapping[str, Callable[[Row], Truth]] = {
    "d > 0": lambda row: _above(row["d"], 0),
    "d > 0 and n is not null": lambda row: _and(_above(row["d"], 0), row["n"] is not None),
    "n % 2 = 0 or s is null": lambda row: _or(_even(row["n"]), row["s"] is None),
    "not (s = 'a')": lambda row: _not(_same(row["s"], "a")),
    "m >= n": lambda row: _or(_above(row["m"], row["n"]), _same(row["m"], row["n"])),
    "length(s) < 2": lambda row: None if row["s"] is None else len(str(row["s"])) < 2,
    "b": lambda row: row["b"],  # type: ignore[dict-item,return-value]
}
"""Conditions and what each is for a row."""

AGGREGATES: Mapping[str, Callable[[Sequence[Row]], object]] = {
    "count(*)": len,
    "count(s)": lambda rows: len(_values(rows, "s")),
    "count(distinct n)": lambda rows: len(set(_values(rows, "n"))),
    "sum(n)": lambda rows: _sum(_values(rows, "n")),
    "sum(m)": lambda rows: _sum(_values(rows, "m")),
    "sum(d)": lambda rows: _sum(_values(rows, "d")),
    "max(s)": lambda rows: max(_values(rows, "s"), default=None),  # type: ignore[type-var]
    "min(t)": lambda rows: min(_values(rows, "t"), default=None),  # type: ignore[type-var]
}
"""Aggregates and what each is for rows."""


@dataclass(frozen=True)
class Reading:
    """What rules say of partitions.

    Attributes:
        verdicts: by check and partition.
        offending: the same, of checks that count.
        reasons: of rows that are held back, the checks that each broke, by its `id`.
        failed: partitions that aren't published.
    """

    verdicts: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    offending: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    reasons: dict[object, list[str]] = field(default_factory=dict[object, list[str]])

    @property
    def failed(self) -> set[str]:
        """Partitions of which a check failed."""
        return {
            day for found in self.verdicts.values() for day, verdict in found.items()
            if verdict == "fail"
        }  # fmt: skip

    def set(self, check: str, day: str, verdict: str, offending: int) -> None:
        """Note what a check says of a partition."""
        self.verdicts.setdefault(check, {})[day] = verdict
        self.offending.setdefault(check, {})[day] = offending


def read(
    rules: Sequence[AnyRule],
    on_violation: str,
    days: Days,
    parents: Sequence[Row] = (),
    other: Days | None = None,
    published: Sequence[Row] = (),
) -> Reading:
    """What rules say of an asset.

    Args:
        rules: all of them, each with a name.
        on_violation: of the asset.
        days: its rows by partition, each with an `id` of its own.
        parents: the asset that foreign keys look into.
        other: the asset that is reconciled with, by partition.
        published: rows of partitions that aren't judged, but were published before.
    """
    reading = Reading()
    single = [part for rule in rules for part in _apart(rule)]
    row_rules = [rule for rule in single if isinstance(rule, RowRule)]
    for day, rows in days.items():
        for rule in row_rules:
            _read_rows(reading, rule, rule.on_violation or on_violation, day, rows, parents)
    good = {
        day: [row for row in rows if row["id"] not in reading.reasons] for day, rows in days.items()
    }
    sides = _Sides(days, good, other or {}, published)
    for rule in single:
        effect = _set_effect(rule.on_violation or on_violation)
        match rule:
            case Unique():
                _read_unique(reading, rule, effect, sides)
            case Drift():
                _read_drift(reading, rule, effect, good)
            case Score():
                _read_score(reading, rule, effect, days, row_rules, parents)
            case RowCount() | Reconcile() | SqlRule() | Freshness():
                for day in days:
                    verdict = "pass" if _holds(rule, day, sides) else effect
                    empty = isinstance(rule, Freshness) and not good[day]
                    reading.set(str(rule.name), day, rule.on_empty if empty else verdict, 0)
            case _:
                pass
    return reading


def offends(rule: RowRule, row: Row, parents: Sequence[Row] = ()) -> bool:
    """Whether a row breaks a rule."""
    match rule:
        case NotNull():
            return any(row[name] is None for name in rule.columns)
        case Range():
            return _outside(rule, row[rule.column])
        case AcceptedValues():
            value = row[rule.column]
            return value is not None and not any(_accepts(one, value) for one in rule.values)
        case Matches():
            value = row[rule.column]
            return value is not None and not re.fullmatch(rule.pattern, str(value), re.ASCII)
        case ExpressionRule():
            return CONDITIONS[rule.condition](row) is not True
        case ForeignKey():
            key = [row[name] for name in rule.own_columns]
            known = {_key([one[name] for name in rule.referenced_columns]) for one in parents}
            return None not in key and _key(key) not in known


@dataclass(frozen=True)
class _Sides:
    """All rows, those that would be published, the other asset's, and what stands besides."""

    days: Days
    good: Days
    other: Days
    published: Sequence[Row]


def _holds(rule: RowCount | Reconcile | SqlRule | Freshness, day: str, sides: _Sides) -> bool:
    rows = sides.good[day]
    match rule:
        case RowCount():
            low = rule.min_rows is not None and len(rows) < int(rule.min_rows)
            high = rule.max_rows is not None and len(rows) > int(rule.max_rows)
            return not low and not high
        case Reconcile():
            own = sides.days[day] if rule.including_quarantine else rows
            left = AGGREGATES[rule.expression](own)
            right = AGGREGATES[rule.with_expression or rule.expression](sides.other.get(day, []))
            return _agree(left, right, float(rule.tolerance))
        case SqlRule():
            value = AGGREGATES[_aggregate(rule)](rows)
            return _compares(value, rule.operator, rule.expected_result)
        case Freshness():
            return _is_fresh(_values(rows, rule.column), day, rule.max_age)


def _apart(rule: AnyRule) -> list[AnyRule]:
    """`not_null` of several columns with a tolerance looks at each column by itself."""
    if not isinstance(rule, NotNull) or not rule.max_null_percentage or len(rule.columns) == 1:
        return [rule]
    return [
        rule.model_copy(update={"columns": [name], "name": f"{rule.name}_{name}"})
        for name in rule.columns
    ]


def _read_rows(
    reading: Reading,
    rule: RowRule,
    effect: str,
    day: str,
    rows: Sequence[Row],
    parents: Sequence[Row],
) -> None:
    name = str(rule.name)
    broken = [row for row in rows if offends(rule, row, parents)]
    most = float(rule.max_null_percentage) if isinstance(rule, NotNull) else 0
    tolerated = Decimal(100 * len(broken)) <= Decimal(str(most)) * len(rows)
    verdict = "pass" if tolerated else effect
    reading.set(name, day, verdict if rows else rule.on_empty, len(broken))
    if verdict == "quarantine":
        for row in broken:
            reading.reasons.setdefault(row["id"], []).append(name)


def _read_unique(reading: Reading, rule: Unique, effect: str, sides: _Sides) -> None:
    """Of one key the first row is right: the published one, else that of the first partition."""

    def keys(rows: Sequence[Row]) -> list[object]:
        found = [[row[name] for name in rule.columns] for row in rows]
        return [_key(key) for key in found if rule.nulls == "count" or None not in key]

    seen: set[object] = set(keys(sides.published)) if rule.scope == "asset" else set()
    for day in sorted(sides.good):
        counts = Counter(keys(sides.good[day]))
        beyond = sum(count - (key not in seen) for key, count in counts.items())
        if rule.scope == "asset":
            seen |= counts.keys()
        broken = effect if beyond > int(rule.max_duplicates) else "pass"
        reading.set(str(rule.name), day, broken if sides.good[day] else rule.on_empty, beyond)


def _read_score(
    reading: Reading,
    rule: Score,
    effect: str,
    days: Days,
    row_rules: Sequence[RowRule],
    parents: Sequence[Row],
) -> None:
    named = [one for one in row_rules if one.name in rule.rules]
    for day, rows in days.items():
        right = sum(not offends(one, row, parents) for one in named for row in rows)
        share = right / (len(named) * len(rows)) if rows else 1.0
        verdict = "pass" if share >= float(rule.min_score) else effect
        reading.set(str(rule.name), day, verdict if rows else rule.on_empty, 0)


def _read_drift(reading: Reading, rule: Drift, effect: str, good: Days) -> None:
    """A partition that failed for whatever reason is none that others are compared with."""
    failed = reading.failed
    earlier: list[float | None] = []
    for day in sorted(good):
        rows = good[day]
        value = _figure(rule, rows)
        holds = _is_near(rule, value, earlier[-rule.against :])
        verdict = "pass" if holds else effect
        if not rows and rule.metric != "row_count":
            verdict = rule.on_empty
        reading.set(str(rule.name), day, verdict, 0)
        if verdict != "fail" and day not in failed:
            earlier.append(value)


def _figure(rule: Drift, rows: Sequence[Row]) -> float | None:
    if rule.metric == "row_count":
        return len(rows)
    if not rows:
        return None
    values = _values(rows, str(rule.column))
    if rule.metric == "null_percentage":
        return 100 * (len(rows) - len(values)) / len(rows)
    if rule.metric == "distinct":
        return len({_key([value]) for value in values})
    # What is no number and what is endless is for `range` to find.
    numbers = [n for n in (float(str(value)) for value in values) if math.isfinite(n)]
    if rule.metric == "mean":
        return fsum(numbers) / len(numbers) if numbers else None
    return stdev(numbers) if len(numbers) > 1 else None


def _is_near(rule: Drift, value: float | None, earlier: Sequence[float | None]) -> bool:
    """Fewer than five earlier figures, or no spread and no change, pass."""
    known = [Fraction(one) for one in earlier if one is not None and math.isfinite(one)]
    if len(known) < FEWEST:
        return True
    mean = sum(known) / len(known)
    if value is None or not math.isfinite(value):
        return False
    distance = abs(Fraction(value) - mean)
    if distance <= abs(mean) / 10**12:
        return True
    if rule.max_change_percentage is not None:
        return 100 * distance <= Fraction(str(rule.max_change_percentage)) * abs(mean)
    variance = sum((one - mean) ** 2 for one in known) / (len(known) - 1)
    return distance**2 <= Fraction(str(rule.max_z_score)) ** 2 * variance


def _is_fresh(values: Sequence[object], day: str, age: timedelta) -> bool:
    """Seen from the end of the partition, which is long ago; no value at all is not fresh."""
    moments = [
        value if isinstance(value, datetime) else datetime.combine(value, time())  # type: ignore[arg-type]
        for value in values
    ]
    end = datetime.fromisoformat(day) + timedelta(days=1)
    return bool(moments) and end - max(moments) <= age


def _aggregate(rule: SqlRule) -> str:
    return rule.sql.removeprefix("SELECT ").removesuffix(" FROM {table}")


def _compares(value: object, operator: str, expected: object) -> bool:
    """NULL equals NULL, and is neither more nor less than anything."""
    match operator, expected:
        case "=", _:
            return value == expected
        case "!=", _:
            return value != expected
        case "in", list():
            return value in expected
        case "between", [low, high]:
            return value is not None and low <= value <= high  # type: ignore[operator]
        case _:
            return value is not None and _ORDERED[operator](value, expected)


_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": gt, ">=": ge, "<": lt, "<=": le,
}  # fmt: skip


def _set_effect(effect: str) -> str:
    return "fail" if effect == "quarantine" else effect


def _outside(rule: Range, value: object) -> bool:
    if value is None:
        return rule.nulls == "violation"
    if isinstance(value, float) and math.isnan(value):
        return True
    low, high = (_typed(bound, value) for bound in (rule.min, rule.max))
    return (low is not None and value < low) or (high is not None and value > high)  # type: ignore[operator]


def _typed(bound: object, value: object) -> object:
    """A date or time is written as text."""
    if isinstance(bound, str) and isinstance(value, datetime):
        return datetime.fromisoformat(bound)
    if isinstance(bound, str) and isinstance(value, date):
        return date.fromisoformat(bound)
    return bound


def _accepts(listed: object, value: object) -> bool:
    """Text is compared as text; a text for another type is what it says in that type."""
    if isinstance(value, str):
        return value == (str(listed).lower() if isinstance(listed, bool) else str(listed))
    if not isinstance(listed, str):
        return (type(listed) is not bool and _same(listed, value) is True) or listed is value
    try:
        return _same(_parsed(listed, value), value) is True
    except (ValueError, ArithmeticError):
        return False


def _parsed(text: str, like: object) -> object:
    match like:
        case bool():
            return {"true": True, "false": False}[text] if text in {"true", "false"} else None
        case int():
            return int(text)
        case float():
            return float(text)
        case Decimal():
            return Decimal(text)
        case datetime():
            return datetime.fromisoformat(text)
        case date():
            return date.fromisoformat(text)
        case _:
            raise AssertionError(like)


def _key(values: Sequence[object]) -> tuple[object, ...]:
    """NaN equals NaN, and a zero has no sign."""
    return tuple("NaN" if isinstance(v, float) and math.isnan(v) else v for v in values)


def _agree(left: object, right: object, tolerance: float) -> bool:
    """NULL equals NULL and NaN equals NaN; a tolerance is for numbers."""
    numbers = (int, float, Decimal)
    if not isinstance(left, numbers) or not isinstance(right, numbers):
        return left == right
    if math.isfinite(left) and math.isfinite(right):
        return abs(Decimal(str(left)) - Decimal(str(right))) <= Decimal(str(tolerance))
    return str(left) == str(right)


def _values(rows: Sequence[Row], name: str) -> list[object]:
    return [row[name] for row in rows if row[name] is not None]


def _sum(values: Sequence[object]) -> object:
    return sum(values) if values else None  # type: ignore[call-overload]


# SQL's logic ----------------------------------------------------------------------------------


def _above(value: object, bound: object) -> Truth:
    """NaN is the greatest number of all."""
    if value is None or bound is None:
        return None
    return (isinstance(value, float) and math.isnan(value)) or value > bound  # type: ignore[operator]


def _same(left: object, right: object) -> Truth:
    if left is None or right is None:
        return None
    return left == right or (left != left and right != right)  # noqa: PLR0124 -- NaN


def _even(value: object) -> Truth:
    return None if value is None else int(str(value)) % 2 == 0


def _not(one: Truth) -> Truth:
    return None if one is None else not one


def _and(one: Truth, other: Truth) -> Truth:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _or(one: Truth, other: Truth) -> Truth:
    return _not(_and(_not(one), _not(other)))
