"""Decisions about rows of quarantine: what staging makes of them, and of rows that are equal."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from factories import DAY, NEXT_DAY, Project, key_of, outcome

from data_platform.plan.naming import WHOLE
from data_platform.quality.gate import Passage
from data_platform.storage.decisions import Decision, decide, decisions_table, newest_decisions

STAGING = """staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, nullable: false}
      price: {type: integer, min: 0}
    extra_columns: keep
    on_violation: quarantine
"""
ROWS = "SELECT * FROM (VALUES (1, 5, 'a'), (2, -7, 'b'), (3, -1, 'c')) t(id, price, note)"
NOW = datetime(2024, 1, 2, tzinfo=UTC)


@pytest.fixture
def shop(project: Project) -> Project:
    """A day with two rows in quarantine."""
    project.declare(STAGING, daily=True)
    project.land("raw/orders", ROWS, DAY)
    project.compute("staging/orders", DAY)
    return project


def held(project: Project, *keys: str) -> dict[object, dict[str, object]]:
    """Rows of quarantine by their id in the data."""
    return {row["id"]: row for row in project.rows("quarantine/orders", *keys)}


def take(project: Project, kind: str, row: Mapping[str, object], **patch: str | None) -> None:
    """Take a decision as the command does."""
    table = decisions_table(project.workbench.lake, key_of("staging/orders"))
    partition = DAY if "partition" not in row else str(row["partition"])
    one = Decision(
        partition,
        str(row["_row_id"]),
        kind,  # type: ignore[arg-type]
        "ada",
        NOW,
        "why" if kind == "discard" else None,
        patch or None,
        ("range_price",) if kind == "discard" else (),
    )
    with project.workbench.open() as (session, _):
        assert decide(project.workbench.lake, table, session, lambda _: [one], {})


def counted(passage: Passage, key: str = DAY) -> str | None:
    return outcome(passage, "conservation").findings[key].detail


def test_a_corrected_row_is_published_and_the_other_stays(shop: Project):
    before = shop.table("staging/orders").snapshot()
    take(shop, "correct", held(shop)[2], price="70")
    passage = shop.compute("staging/orders", DAY)
    assert {row["id"]: row["price"] for row in shop.rows("staging/orders")} == {1: 5, 2: 70}
    assert list(held(shop)) == [3]
    assert counted(passage) == "3 in = 2 out + 1 quarantined"
    after = shop.table("staging/orders").snapshot()
    assert before
    assert after
    assert before.partitions[DAY].data_version != after.partitions[DAY].data_version
    assert shop.column("raw/orders", "price") == [5, -7, -1]


def test_a_correction_that_still_breaks_a_rule_leaves_the_row_as_it_came(shop: Project):
    identity = held(shop)[2]["_row_id"]
    take(shop, "correct", held(shop)[2], price="-70")
    shop.compute("staging/orders", DAY)
    assert held(shop)[2]["price"] == -7
    assert held(shop)[2]["_row_id"] == identity


def test_running_again_changes_nothing(shop: Project):
    take(shop, "correct", held(shop)[2], price="70")
    shop.compute("staging/orders", DAY)
    again = shop.compute("staging/orders", DAY)
    assert again.publication
    assert again.publication.changed == frozenset()
    assert again.quarantine
    assert again.quarantine.changed == frozenset()


def test_a_discarded_row_stays_in_quarantine_and_is_counted_apart(shop: Project):
    take(shop, "discard", held(shop)[2])
    passage = shop.compute("staging/orders", DAY)
    assert counted(passage) == "3 in = 1 out + 1 quarantined + 1 discarded"
    assert dict(passage.discarded) == {DAY: 1}
    assert dict(passage.quarantined) == {DAY: 1}
    row = held(shop)[2]
    assert (row["_discarded"], row["_reasons"]) == ("why", ["range_price"])
    assert held(shop)[3]["_discarded"] is None


def test_a_discarded_row_does_not_count_for_the_share_of_quarantine(project: Project):
    project.declare(f"{STAGING}    max_quarantine_percentage: 1\n", daily=True)
    rows = "SELECT i AS id, CASE WHEN i < 2 THEN -i - 1 ELSE 1 END AS price FROM range(150) t(i)"
    project.land("raw/orders", rows.replace("i < 2", "i < 1"), DAY)
    project.compute("staging/orders", DAY)
    take(project, "discard", held(project)[0])
    project.land("raw/orders", rows, DAY)
    assert project.compute("staging/orders", DAY).failed == {}


def test_a_decision_that_is_taken_back_has_no_effect(shop: Project):
    row = held(shop)[2]
    take(shop, "correct", row, price="70")
    shop.compute("staging/orders", DAY)
    take(shop, "restore", row)
    passage = shop.compute("staging/orders", DAY)
    assert shop.column("staging/orders", "id") == [1]
    assert set(held(shop)) == {2, 3}
    assert outcome(passage, "corrections").verdict == "pass"


def test_of_two_equal_rows_one_is_corrected(project: Project):
    project.declare(STAGING, daily=True)
    rows = "SELECT * FROM (VALUES (2, -7), (1, 5), (2, -7)) t(id, price)"
    project.land("raw/orders", rows, DAY)
    project.compute("staging/orders", DAY)
    rows = project.rows("quarantine/orders")
    first, second = sorted(str(row["_row_id"]) for row in rows)
    assert (first[-2:], second[-2:]) == ("-1", "-2")
    assert first[:-2] == second[:-2]
    take(project, "correct", {"_row_id": first}, price="7")
    passage = project.compute("staging/orders", DAY)
    assert project.column("staging/orders", "price") == [5, 7]
    assert project.column("quarantine/orders", "_row_id") == [second]
    assert counted(passage) == "3 in = 2 out + 1 quarantined"


def test_of_equal_rows_those_that_came_again_are_held_and_corrected(project: Project):
    numbered = """    transformations:
      - add_columns:
          nth: row_number() OVER (PARTITION BY id)
    quality:
      - expression: nth = 1
    columns:"""
    project.declare(STAGING.replace("    columns:", numbered), daily=True)
    project.land("raw/orders", "SELECT 2 AS id, 7 AS price FROM range(3)", DAY)
    project.compute("staging/orders", DAY)
    again = project.rows("quarantine/orders")
    assert len({row["_row_id"] for row in again}) == 2
    for number, row in enumerate(again):
        take(project, "correct", row, id=f"{number + 3}")
    passage = project.compute("staging/orders", DAY)
    assert project.column("staging/orders", "id") == [2, 3, 4]
    assert counted(passage) == "3 in = 3 out + 0 quarantined"


def test_a_row_that_is_gone_from_the_source_warns(shop: Project):
    row = held(shop)[2]
    take(shop, "correct", row, price="70")
    shop.land("raw/orders", ROWS.replace("-7", "-8"), DAY)
    passage = shop.compute("staging/orders", DAY)
    finding = outcome(passage, "corrections").findings[DAY]
    assert (finding.verdict, finding.offending) == ("warn", 1)
    assert str(row["_row_id"]) in (finding.detail or "")
    assert passage.failed == {}
    assert held(shop)[2]["price"] == -8


def test_a_column_that_has_another_type_now_makes_a_correction_void(shop: Project):
    take(shop, "correct", held(shop)[2], note="x", gone="1")
    finding = outcome(shop.compute("staging/orders", DAY), "corrections").findings[DAY]
    assert finding.verdict == "warn"
    take(shop, "correct", held(shop)[2], price="seven")
    assert outcome(shop.compute("staging/orders", DAY), "corrections").verdict == "warn"


def test_a_new_column_of_the_source_leaves_identities_as_they_are(shop: Project):
    take(shop, "correct", held(shop)[2], price="70")
    shop.land("raw/orders", f"SELECT *, NULL::VARCHAR AS colour FROM ({ROWS})", DAY)
    assert outcome(shop.compute("staging/orders", DAY), "corrections").verdict == "pass"
    assert shop.column("staging/orders", "price") == [5, 70]


def test_partitions_without_decisions_are_left_alone(shop: Project):
    shop.land("raw/orders", ROWS, NEXT_DAY)
    shop.compute("staging/orders", NEXT_DAY)
    ids = {row["_row_id"] for row in shop.rows("quarantine/orders")}
    assert len(ids) == 4, "equal rows of two partitions are two rows"
    take(shop, "correct", held(shop, DAY)[2], price="70")
    shop.compute("staging/orders", DAY, NEXT_DAY)
    assert shop.column("staging/orders", "price", DAY) == [5, 70]
    assert shop.column("staging/orders", "price", NEXT_DAY) == [5]


VALUES = {
    "text": ("'é'", "''", "'NULL' || CHR(10) || '\"x\"'"),
    "missing": ("NULL::VARCHAR", "'x'", "NULL::VARCHAR"),
    "large": ("9223372036854775807", "-9223372036854775807", "0"),
    "exact": ("1.10::DECIMAL(38,2)", "12345678901234567890123456789012345.67", "0.01"),
    "real": ("'nan'::DOUBLE", "'-inf'::DOUBLE", "0.1::DOUBLE"),
    "moment": ("TIMESTAMPTZ '2024-01-01 10:00:00.123456+02'", "NULL", "NULL"),
    "local": ("TIMESTAMP '0001-01-01 00:00:00'", "NULL", "TIMESTAMP '2024-06-30 23:59:59.999999'"),
    "many": ("['a, b', NULL, 'c''d']", "[]::VARCHAR[]", "NULL::VARCHAR[]"),
    "nested": ("[[1, NULL], []]", "NULL", "[[9007199254740993]]"),
    "raw": ("'\\xDE\\x5C'::BLOB", "''::BLOB", "NULL"),
    "yes": ("TRUE", "FALSE", "NULL"),
    "day": ("DATE '2024-02-29'", "NULL", "DATE '9999-12-31'"),
}


@pytest.mark.parametrize("name", VALUES)
def test_every_type_is_identified_and_corrected_without_loss(project: Project, name: str):
    """The first row gets the value of each of the others as its text."""
    others = VALUES[name][1:]
    project.declare(STAGING.replace("price: {type: integer, min: 0}", "price: {min: 0}"))
    rows = ", ".join(
        f"({number}, {number - 1}, {value})" for number, value in enumerate(VALUES[name])
    )
    land = f'SELECT * FROM (VALUES {rows}) t(id, price, "{name}")'
    project.land("raw/orders", land)
    project.compute("staging/orders")
    row = {**held(project)[0], "partition": WHOLE}
    with project.workbench.open() as (session, _):
        texts = [session.rows(f"SELECT CAST({value} AS VARCHAR)")[0][0] for value in others]
    for text, value in zip(texts, others, strict=True):
        take(project, "correct", row, price="1", **{name: text})
        passage = project.compute("staging/orders")
        assert outcome(passage, "corrections").verdict == "pass"
        made = {row["id"]: row[name] for row in project.rows("staging/orders")}
        number = VALUES[name].index(value)
        assert repr(made[0]) == repr(made[number])


def test_two_who_decide_at_once_lose_nothing(shop: Project):
    lake = shop.workbench.lake
    table = decisions_table(lake, key_of("staging/orders"))
    first, second = held(shop)[2], held(shop)[3]
    asked: list[int] = []

    def choose(standing: Mapping[str, Decision]) -> list[Decision]:
        asked.append(len(standing))
        if len(asked) == 1:
            take(shop, "discard", first)
        return [Decision(DAY, str(second["_row_id"]), "correct", "bob", NOW, None, {"price": "1"})]

    with shop.workbench.open() as (session, _):
        decide(lake, table, session, choose, {})
        standing = newest_decisions(session, table)
    assert asked == [0, 1]
    assert {one.decided_by: one.kind for one in standing.values()} == {
        "ada": "discard",
        "bob": "correct",
    }
    assert {one.decision for one in standing.values()} == {1, 2}


def test_a_rule_that_holds_nothing_back_any_more_keeps_corrections(shop: Project):
    take(shop, "correct", held(shop)[2], price="70")
    shop.declare(STAGING.replace("on_violation: quarantine", "on_violation: warn"), daily=True)
    shop.compute("staging/orders", DAY)
    assert sorted(map(str, shop.column("staging/orders", "price"))) == ["-1", "5", "70"]
