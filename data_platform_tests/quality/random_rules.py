# ruff: noqa: DTZ001 -- times of the lake have no zone
"""Random rows and rules: few values each, so that keys repeat and bounds are met."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
from hypothesis import strategies as st
from plain_rules import AGGREGATES, CONDITIONS, Row

from data_platform.plan.schemas import Column, Schema
from data_platform.spec.row_rules import (
    AcceptedValues,
    ExpressionRule,
    ForeignKey,
    Matches,
    NotNull,
    Range,
    ReferencedColumns,
    RowRule,
)
from data_platform.spec.rules import AnyRule
from data_platform.spec.set_rules import Drift, Freshness, Reconcile, RowCount, Score, Unique
from data_platform.spec.sql_rule import SqlRule

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
TYPES: Mapping[str, tuple[str, pa.DataType]] = {
    "d": ("DOUBLE", pa.float64()),
    "n": ("BIGINT", pa.int64()),
    "m": ("DECIMAL(9,2)", pa.decimal128(9, 2)),
    "s": ("VARCHAR", pa.string()),
    "b": ("BOOLEAN", pa.bool_()),
    "t": ("DATE", pa.date32()),
    "u": ("TIMESTAMP", pa.timestamp("us")),
}
"""The columns, in DuckDB's and in Arrow's words."""
SCHEMA = Schema(
    (Column("id", "BIGINT"), *(Column(name, kind) for name, (kind, _) in TYPES.items())),
    closed=True,
)
VALUES: Mapping[str, Sequence[object]] = {
    "d": [0.0, -0.0, 1.5, -1.0, 2.0, 1e300, math.nan, math.inf, -math.inf],
    "n": [-2, -1, 0, 1, 2, 2**53 + 1],
    "m": [Decimal("0.00"), Decimal("1.50"), Decimal("-1.00"), Decimal("2.00")],
    "s": ["a", "é", "e\u0301", "", "1", "A", "😀", "true", "1.5", "a\nb", "it's"],
    "b": [True, False],
    "t": [date(2024, 1, 1), date(2024, 2, 29), date(1969, 12, 31)],
    "u": [datetime(2024, 1, 1), datetime(2024, 1, 1, 0, 0, 0, 1), datetime(1969, 12, 31, 23)],
}
BOUNDS: Mapping[str, Sequence[int | float | str]] = {
    "d": [-1, 0, 1.5, 2],
    "n": [-1, 0, 1, 1.5],
    "m": [-1, 0, 1.5, 1.51],
    "s": ["a", "b", "é"],
    "t": ["2024-01-01", "2024-02-28"],
    "u": ["2024-01-01 00:00:00", "2024-01-01 00:00:00.000001"],
}
LISTED: Mapping[str, Sequence[bool | int | float | str]] = {
    "d": [0, 1.5, 2, "nan", "inf", "1.5", "x"],
    "n": [0, 1, "2", "-1", 1.5, "x"],
    "m": [0, 1.5, "2.00", "-1"],
    "s": ["a", "é", "", 1, 1.5, True, "a\nb", "it's"],
    "b": [True, False, "true"],
    "t": ["2024-01-01", "1969-12-31", "never"],
    "u": ["2024-01-01 00:00:00", "2024-01-01 00:00:00.000001"],
}
PATTERNS = ["[a-z]+", ".", ".*", "é|e.", "[0-9.]*", r"\w?", "a", "(?s).*", "it's"]

effects = st.sampled_from([None, "fail", "warn"])
row_effects = st.sampled_from([None, "fail", "warn", "quarantine"])
empties = st.sampled_from(["pass", "warn", "fail"])
names = st.sampled_from(list(TYPES))
some_names = st.lists(names, min_size=1, max_size=3, unique=True)


def rows(most: int = 12) -> st.SearchStrategy[list[Row]]:
    """Rows of a partition, still without an `id`."""
    values = {name: st.none() | st.sampled_from(VALUES[name]) for name in TYPES}
    return st.lists(st.fixed_dictionaries(values), max_size=most)


def table(found: Sequence[Row], more: Mapping[str, pa.DataType]) -> pa.Table:
    """Rows as Arrow.

    Args:
        found: with all columns.
        more: the types of the columns besides those of `TYPES`.
    """
    types = {**{name: kind for name, (_, kind) in TYPES.items()}, **more}
    return pa.table(
        {name: pa.array([row[name] for row in found], kind) for name, kind in types.items()}
    )


@st.composite
def rules(draw: st.DrawFn, most: int = 6) -> list[AnyRule]:
    """Rules of an asset, each with a name of its own."""
    kinds = draw(st.lists(st.sampled_from(list(_KINDS)), min_size=1, max_size=most))
    found = [
        draw(_KINDS[kind]).model_copy(update={"name": f"rule{number}"})
        for number, kind in enumerate(kinds)
    ]
    named = [
        str(rule.name) for rule in found
        if isinstance(rule, RowRule)
        and not (isinstance(rule, NotNull) and len(rule.columns) > 1)
    ]  # fmt: skip
    if named and draw(st.booleans()):
        scored = draw(st.lists(st.sampled_from(named), min_size=1, unique=True))
        shares = st.sampled_from([0, 0.5, 0.75, 0.95, 1])
        found.append(
            Score(
                kind="score", name="score", rules=scored, min_score=draw(shares),
                on_violation=draw(effects), on_empty=draw(empties),
            )
        )  # fmt: skip
    return found


@st.composite
def drifts(draw: st.DrawFn) -> Drift:
    """A rule that compares partitions."""
    metric = draw(st.sampled_from(["mean", "stddev", "null_percentage", "distinct", "row_count"]))
    numbers = st.sampled_from(["n", "m", "d"])
    columns = {"row_count": st.none(), "mean": numbers, "stddev": numbers}
    column = draw(columns.get(metric, names))
    most = draw(st.sampled_from([0, 10, 50, 100, 300]))
    limit = draw(st.sampled_from(["max_change_percentage", "max_z_score"]))
    return Drift(
        kind="drift", name="drift", metric=metric, column=column, against=draw(st.integers(5, 9)),
        on_violation=draw(effects), on_empty=draw(empties),
        **{limit: most if limit == "max_change_percentage" else most / 50},
    )  # fmt: skip


@st.composite
def _range(draw: st.DrawFn) -> Range:
    column = draw(st.sampled_from(list(BOUNDS)))
    bound = st.none() | st.sampled_from(BOUNDS[column])
    low, high = draw(st.tuples(bound, bound).filter(lambda ends: ends != (None, None)))
    nulls = draw(st.sampled_from(["ignore", "violation"]))
    return Range(
        kind="range", column=column, min=low, max=high, nulls=nulls,
        on_violation=draw(row_effects), on_empty=draw(empties),
    )  # fmt: skip


@st.composite
def _accepted(draw: st.DrawFn) -> AcceptedValues:
    column = draw(names)
    values = draw(st.lists(st.sampled_from(LISTED[column]), min_size=1, max_size=4))
    return AcceptedValues(
        kind="accepted_values", column=column, values=values,
        on_violation=draw(row_effects), on_empty=draw(empties),
    )  # fmt: skip


@st.composite
def _foreign_key(draw: st.DrawFn) -> ForeignKey:
    columns = draw(some_names)
    about = {"kind": "foreign_key", "on_violation": draw(row_effects), "on_empty": draw(empties)}
    if len(columns) == 1:
        references = f"staging.parents.{columns[0]}"
        return ForeignKey(column=columns[0], references=references, **about)
    return ForeignKey(
        columns=columns,
        references=ReferencedColumns(asset="staging.parents", columns=columns),
        **about,
    )


def _made(model: type[AnyRule], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[AnyRule]:
    """Rules of one kind."""
    kind = model.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
    return st.fixed_dictionaries(fields).map(lambda drawn: model(kind=kind, **drawn))


def _compared(rule: AnyRule) -> st.SearchStrategy[AnyRule]:
    """A statement with one of the ways in which its value may be compared."""
    number = st.integers(-1, 6)
    single = st.sampled_from(["=", "!=", ">", ">=", "<", "<="])
    pairs = (
        st.tuples(single, number)
        | st.tuples(st.just("between"), st.tuples(number, number).map(sorted))
        | st.tuples(st.just("in"), st.lists(number, min_size=1, max_size=3))
    )
    return pairs.map(
        lambda pair: rule.model_copy(update={"operator": pair[0], "expected_result": pair[1]})
    )


_counting = st.sampled_from(["count(*)", "count(s)", "count(distinct n)", "sum(n)"]).map(
    lambda aggregate: f"SELECT {aggregate} FROM {{table}}"
)
_counts = st.none() | st.integers(0, 6)
_row_level = {"on_violation": row_effects, "on_empty": empties}
_of_sets = {"on_violation": effects, "on_empty": empties}
_shares = st.sampled_from([0, 10, 25, 33.3, 50, 75, 100])
_KINDS: Mapping[str, st.SearchStrategy[AnyRule]] = {
    "not_null": _made(NotNull, columns=some_names, max_null_percentage=_shares, **_row_level),
    "range": _range(),
    "accepted_values": _accepted(),
    "matches": _made(Matches, column=st.just("s"), pattern=st.sampled_from(PATTERNS), **_row_level),
    "expression": _made(ExpressionRule, condition=st.sampled_from(list(CONDITIONS)), **_row_level),
    "foreign_key": _foreign_key(),
    "unique": _made(
        Unique,
        columns=some_names,
        max_duplicates=st.integers(0, 3),
        nulls=st.sampled_from(["ignore", "count"]),
        scope=st.sampled_from(["partition", "asset"]),
        **_of_sets,
    ),
    "row_count": st.tuples(_counts, _counts, effects)
    .filter(lambda n: n[:2] != (None, None))
    .map(lambda n: RowCount(kind="row_count", min_rows=n[0], max_rows=n[1], on_violation=n[2])),
    "sql": _made(SqlRule, sql=_counting, **_of_sets).flatmap(_compared),
    "freshness": _made(
        Freshness,
        column=st.sampled_from(["t", "u"]),
        max_age=st.sampled_from(["1h", "23h", "1d", "2d", "20000d"]),
        **_of_sets,
    ),
    "reconcile": _made(
        Reconcile,
        **{"with": st.just("staging.other")},
        expression=st.sampled_from(list(AGGREGATES)),
        tolerance=st.sampled_from([0, 0.01, 1, 1.5, 3]),
        including_quarantine=st.booleans(),
        **_of_sets,
    ),
}
