"""Row-level rules and `unique` agree with a plain reading of the language, whatever the rows."""

import math
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.engine.session import Session
from data_platform.errors import Location
from data_platform.plan.check_kinds import Check
from data_platform.plan.checks import compile_rules
from data_platform.plan.functions import UserFunction
from data_platform.plan.nodes import Input
from data_platform.plan.schemas import Column, Schema
from data_platform.quality.audit import Auditor
from data_platform.spec.row_rules import AcceptedValues, ExpressionRule, NotNull, Range
from data_platform.spec.rules import AnyRule
from data_platform.spec.set_rules import Unique

SCHEMA = Schema((Column("d", "DOUBLE"), Column("s", "VARCHAR"), Column("n", "BIGINT")), closed=True)
RULES: list[AnyRule] = [
    NotNull(kind="not_null", columns=["d", "s"]),
    NotNull(kind="not_null", name="some", columns=["s"], max_null_percentage=30),
    Range(kind="range", column="d", min=-1, max=1.5),
    Range(kind="range", name="low", column="d", min=0),
    AcceptedValues(kind="accepted_values", column="s", values=["a", "é", "1"]),
    ExpressionRule(kind="expression", condition="d > 0 and n is not null"),
    Unique(kind="unique", columns=["s"]),
    Unique(kind="unique", name="counted", columns=["s", "n"], nulls="count", max_duplicates=1),
]
doubles = st.none() | st.sampled_from([0.0, -0.0, 1.5, -1.0, 2.0, math.nan, math.inf, -math.inf])
texts = st.none() | st.sampled_from(["a", "é", "e\u0301", "", "1", "A", "😀"])
whole = st.none() | st.integers(-2, 2)
Row = tuple[float | None, str | None, int | None]
DAYS = ("2024-01-01", "2024-01-02")


def reads(reference: str, location: Location, whole: bool) -> Input:
    raise AssertionError(reference)


def find_nothing(written: str, place: Location) -> UserFunction:
    raise AssertionError(written)


def checks() -> list[Check]:
    here = Location(Path("pipeline.yaml"))
    return compile_rules(RULES, "quarantine", SCHEMA, lambda *_: here, reads, find_nothing)


def offending(rows: list[Row]) -> list[list[bool]]:
    """By rule of one row: what the language says, in Python."""

    def outside(d: float | None, low: float, high: float) -> bool:
        return d is not None and not low <= d <= high

    return [
        [d is None or s is None for d, s, _ in rows],
        [s is None for _, s, _ in rows],
        [outside(d, -1, 1.5) for d, _, _ in rows],
        [outside(d, 0, math.inf) for d, _, _ in rows],
        [s is not None and s not in {"a", "é", "1"} for _, s, _ in rows],
        [
            d is None or not (d > 0 or math.isnan(d)) or n is None for d, _, n in rows
        ],  # DuckDB holds NaN for the greatest number
    ]


@pytest.fixture(scope="module")
def session() -> Generator[Session]:
    with duckdb.connect() as connection:
        yield Session(connection)


@settings(max_examples=60, deadline=None)
@given(days=st.tuples(*[st.lists(st.tuples(doubles, texts, whole), max_size=12)] * 2))
def test_the_audit_agrees_with_a_plain_reading(
    session: Session, days: tuple[list[Row], list[Row]]
) -> None:
    everything = [(day, *row) for day, rows in zip(DAYS, days, strict=True) for row in rows]
    kinds = (
        ("_partition", pa.string()),
        ("d", pa.float64()),
        ("s", pa.string()),
        ("n", pa.int64()),
    )
    columns = list(zip(*everything, strict=True)) or [[]] * 4
    table = pa.table(
        {name: pa.array(c, kind) for (name, kind), c in zip(kinds, columns, strict=True)}
    )
    session.register("rows", table)
    session.run(
        "CREATE OR REPLACE TEMP TABLE candidate AS SELECT *, '' AS _file, 0 AS _row FROM rows"
    )
    audit = Auditor(session, "candidate", checks(), DAYS).run()
    for day, rows in zip(DAYS, days, strict=True):
        broken = offending(rows)
        found = [outcome.findings[day] for outcome in audit.outcomes]
        assert [finding.offending for finding in found[:6]] == [sum(rule) for rule in broken]
        if sum(broken[1]) <= 0.3 * len(rows):
            broken[1] = [False] * len(rows)
        held = [any(flags) for flags in zip(*broken, strict=True)]
        assert audit.quarantined.get(day, 0) == sum(held)
        good = [row for row, bad in zip(rows, held, strict=True) if not bad]
        keys = Counter(s for _, s, _ in good if s is not None)
        assert found[6].offending == sum(count - 1 for count in keys.values())
        pairs = Counter((s, n) for _, s, n in good)
        beyond = sum(count - 1 for count in pairs.values())
        assert found[7].offending == beyond
        assert found[7].verdict == ("fail" if beyond > 1 else "pass")
        assert (day in audit.failed) == (found[6].offending > 0 or beyond > 1)
