"""Rules agree with a plain reading of the language, whatever the rows and whatever the rules."""

import json
from collections.abc import Generator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from days import daily
from factories import Project
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_rules import Reading, Row, read
from random_rules import DAYS, SCHEMA, TYPES, drifts, rows, rules, table

from data_platform.engine.session import Session
from data_platform.errors import Location
from data_platform.plan.checks.compiling import compile_rules
from data_platform.plan.checks.kinds import Effect
from data_platform.plan.functions import UserFunction
from data_platform.plan.keys import Key
from data_platform.plan.nodes import Input
from data_platform.plan.relations import relation_of
from data_platform.plan.sql.expressions import quoted
from data_platform.quality.audit import Auditor
from data_platform.quality.outcomes import Audit
from data_platform.spec.row_rules import NotNull
from data_platform.spec.rules import AnyRule
from data_platform.spec.set_rules import Drift

HIDDEN = {"id": pa.int64(), "_partition": pa.string()}
UNCOUNTED = {"score", "drift", "freshness", "sql"}
"""Checks of figures: how many rows offend isn't theirs to say."""
HERE = Location(Path(__file__))
PARENTS = Input(Key("staging", "shop", "parents"), "whole")
OTHER = Input(Key("staging", "shop", "other"), "same")

ASSETS = """
sources:
  orders: {type: database, connection: shop, table: orders, cursor: at}
  parents: {type: database, connection: shop, table: parents, cursor: at}
  other: {type: database, connection: shop, table: other, cursor: at}
staging:
  parents: {from: raw.parents}
  other: {from: raw.other}
"""
PARTITIONS = daily(date(2024, 1, 1), None, "UTC")
MANY_DAYS = tuple(f"2024-01-{day:02}" for day in range(1, 11))

asset_effects = st.sampled_from(["fail", "warn", "quarantine"])
days = st.tuples(*[rows()] * len(DAYS))
few_days = st.tuples(*[rows(4)] * len(DAYS))


def reads(reference: str, place: Location, whole: bool) -> Input:
    return PARENTS if reference == "staging.parents" else OTHER


def no_function(written: str, place: Location) -> UserFunction:
    raise AssertionError(written)


@pytest.fixture(scope="module")
def session() -> Generator[Session]:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield Session(connection)


def numbered(found: Sequence[Sequence[Row]], keys: Sequence[str] = DAYS) -> dict[str, list[Row]]:
    """Rows by partition, each with an `id` of its own."""
    return {
        day: [
            {**row, "id": 100 * number + place, "_partition": day}
            for place, row in enumerate(some)
        ]
        for number, (day, some) in enumerate(zip(keys, found, strict=True))
    }  # fmt: skip


def show(session: Session, relation: str, found: Mapping[str, Sequence[Row]]) -> None:
    everything = [row for some in found.values() for row in some]
    session.register("_given", table(everything, HIDDEN))
    session.run(f"CREATE OR REPLACE TEMP TABLE {quoted(relation)} AS SELECT * FROM _given")


def audited(
    session: Session, written: list[AnyRule], effect: Effect, keys: Sequence[str] = DAYS
) -> Audit:
    checks = compile_rules(
        written, effect, SCHEMA, lambda *_: HERE, reads, no_function, partitions=PARTITIONS
    )
    return Auditor(session, "candidate", checks, keys, "others").run()


def different(audit: Audit, wanted: Reading, written: list[AnyRule]) -> list[str]:
    """Where the two don't say the same, each with its rule."""
    found: list[str] = []
    for outcome in audit.outcomes:
        name, counted = outcome.check.name, outcome.check.kind not in UNCOUNTED
        for day, one in outcome.findings.items():
            verdict, offending = wanted.verdicts[name][day], wanted.offending[name][day]
            if one.verdict != verdict or (counted and one.offending != offending):
                rule = next(rule for rule in written if name.startswith(str(rule.name)))
                got = f"{one.verdict}, {one.offending} of {one.rows}, {one.detail}"
                found.append(f"{day}: {got}; wanted {verdict}, {offending}: {rule!r}")
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    found=days,
    published=rows(3),
    parents=few_days,
    other=few_days,
    written=rules(),
    effect=asset_effects,
)
def test_the_audit_agrees_with_a_plain_reading(
    session: Session,
    found: tuple[list[Row], ...],
    published: list[Row],
    parents: tuple[list[Row], ...],
    other: tuple[list[Row], ...],
    written: list[AnyRule],
    effect: Effect,
) -> None:
    own, beside = numbered(found), numbered(other)
    standing = [{**row, "id": -1, "_partition": "2023-12-31"} for row in published]
    show(session, "candidate", own)
    show(session, "others", {"2023-12-31": standing})
    show(session, relation_of(PARENTS), numbered(parents))
    show(session, relation_of(OTHER), beside)
    audit = audited(session, written, effect)
    wanted = read(written, effect, own, [row for some in parents for row in some], beside, standing)
    assert different(audit, wanted, written) == []
    assert audit.failed.keys() == wanted.failed
    held = session.rows(f"SELECT id FROM candidate WHERE {audit.held_back}")
    assert {row[0] for row in held} == wanted.reasons.keys()
    counts = {day: sum(row["id"] in wanted.reasons for row in some) for day, some in own.items()}
    assert {day: audit.quarantined.get(day, 0) for day in DAYS} == counts


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    found=st.tuples(*[rows(4)] * len(MANY_DAYS)),
    written=st.tuples(drifts(), st.sampled_from([None, "fail", "quarantine"])),
)
def test_drift_agrees_with_a_plain_reading(
    session: Session, found: tuple[list[Row], ...], written: tuple[AnyRule, Effect | None]
) -> None:
    drift, effect = written
    others = [NotNull(kind="not_null", name="b", columns=["b"], on_violation=effect)]
    both = [*(others if effect else []), drift]
    own = numbered(found, MANY_DAYS)
    show(session, "candidate", own)
    audit = audited(session, both, "fail", MANY_DAYS)
    wanted = read(both, "fail", own)
    assert different(audit, wanted, both) == []
    assert audit.failed.keys() == wanted.failed


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(found=days, parents=few_days, other=few_days, written=rules(4), effect=asset_effects)
def test_what_is_published_and_held_back_is_what_the_reading_says(
    tmp_path_factory: pytest.TempPathFactory,
    found: tuple[list[Row], ...],
    parents: tuple[list[Row], ...],
    other: tuple[list[Row], ...],
    written: list[AnyRule],
    effect: Effect,
) -> None:
    project = Project(tmp_path_factory.mktemp("shop"))
    project.declare(
        f"{ASSETS}  orders:\n    from: raw.orders\n    on_violation: {effect}\n    quality:\n"
        + "".join(f"      - {json.dumps(in_yaml(rule))}\n" for rule in written),
        daily=True,
    )
    own, beside, above = numbered(found), numbered(other), numbered(parents)
    for asset, given_rows in (
        ("raw/orders", own),
        ("staging/other", beside),
        ("staging/parents", above),
    ):
        by_day = {day: table(some, {"id": pa.int64()}) for day, some in given_rows.items()}
        project.land_all(asset, by_day)
    wanted = read(written, effect, own, [row for some in parents for row in some], beside)
    passage = project.compute("staging/orders", *DAYS)
    assert passage.failed.keys() == wanted.failed
    sound = {row["id"] for day, some in own.items() if day not in wanted.failed for row in some}
    published = {row["id"] for row in project.rows("staging/orders")}
    assert published == sound - wanted.reasons.keys()
    held = {
        row["id"]: {reason.partition(":")[0] for reason in row["_reasons"]}  # type: ignore[union-attr]
        for row in project.rows("quarantine/orders")
    }
    assert held == {one: set(names) for one, names in wanted.reasons.items() if one in sound}


@pytest.mark.parametrize(
    ("counts", "limits"),
    [
        ([1, 1, 1, 2, 2, 2, 3, 0], {"max_change_percentage": 100}),  # of 12 / 7, as a double
        ([2, 2, 2, 2, 2, 2, 2], {"max_z_score": 0}),
    ],
)
def test_a_figure_on_the_bound_is_near(
    session: Session, counts: list[int], limits: dict[str, float]
) -> None:
    empty = dict.fromkeys(TYPES)
    drift = Drift(kind="drift", name="drift", metric="row_count", **limits)
    keys = MANY_DAYS[: len(counts)]
    show(session, "candidate", numbered([[empty] * count for count in counts], keys))
    assert audited(session, [drift], "fail", keys).failed == {}


def in_yaml(rule: AnyRule) -> dict[str, object]:
    """A rule as a person writes it."""
    fields = rule.model_dump(by_alias=True, exclude={"kind"}, exclude_none=True)
    age = fields.get("max_age")
    return {rule.kind: {**fields, **({"max_age": f"{age // timedelta(hours=1)}h"} if age else {})}}
