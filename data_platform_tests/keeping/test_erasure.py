"""Erasure: the rows of a person are nowhere in an asset's folders, and all others are."""

from datetime import UTC, datetime

import pytest
from erasures import erase, find, holding, not_reached
from factories import DAY, DAYS, NEXT_DAY, Project, key_of
from grown import EVENTS, STATE, add_batch, data_version, read, rows_of, snapshot

from data_platform.errors import PermanentError
from data_platform.keeping import erasing
from data_platform.keeping.compaction import compact, plan_compaction
from data_platform.keeping.conditions import read_condition
from data_platform.keeping.history import history_of
from data_platform.keeping.rollback import plan_rollback
from data_platform.plan.keys import Key
from data_platform.storage.decisions import Decision, decide, decisions_table

ADA = "ada.lövelace@例え.example"
STAGING = """staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, nullable: false}
      mail: {type: varchar}
      price: {type: integer, min: 0}
    on_violation: quarantine
analytics:
  revenue: {query: "SELECT mail, sum(price) AS total FROM staging.orders GROUP BY mail"}
"""


def rows(*prices: int) -> str:
    mails = ", ".join(f"({n}, '{ADA if n % 2 else 'bob@x'}', {p})" for n, p in enumerate(prices))
    return f"SELECT id::BIGINT AS id, mail, price FROM (VALUES {mails}) t(id, mail, price)"


@pytest.fixture
def shop(project: Project) -> Project:
    """Two days in two versions, with rows held back on each."""
    project.declare(STAGING, daily=True)
    for prices in ((1, 2, -3, -4, 5), (10, 20, -30, -40, 50)):
        project.land_all("raw/orders", {DAY: rows(*prices), NEXT_DAY: rows(*prices, 7)})
        project.compute("staging/orders", DAY, NEXT_DAY)
    return project


def test_nothing_is_left_of_a_person_in_any_version(shop: Project) -> None:
    assert len(holding(shop, ADA)) == 12
    found = erase(shop, f"mail = '{ADA}'", "raw/orders", "staging/orders")
    assert holding(shop, ADA) == []
    by_table = {one.part.key.layer: one for one in found}
    assert {name: one.rows for name, one in by_table.items()} == {
        "raw": 5, "staging": 3, "quarantine": 2, "corrections": 0,
    }  # fmt: skip
    assert {*shop.column("raw/orders", "mail")} == {"bob@x"}
    assert sorted(map(str, shop.column("raw/orders", "price", DAY))) == ["-30", "10", "50"]


def test_looking_changes_nothing(shop: Project) -> None:
    before = holding(shop, ADA)
    found = find(shop, f"mail = '{ADA}'", "raw/orders")
    assert found[0].search is not None
    assert found[0].search.versions == {0: 5, 1: 5}
    assert holding(shop, ADA) == before


def test_others_of_quarantine_still_stand_beside_what_is_published(shop: Project) -> None:
    erase(shop, f"mail = '{ADA}'", "staging/orders")
    for key in (DAY, NEXT_DAY):
        version = data_version(shop, "staging/orders", key)
        (held,) = shop.rows("quarantine/orders", key)
        assert (held["_data_version"], held["price"]) == (version, -30)


def test_the_asset_is_what_a_run_would_make_of_what_is_left(shop: Project) -> None:
    erase(shop, f"mail = '{ADA}'", "raw/orders", "staging/orders")
    version = data_version(shop, "staging/orders", DAY)
    passage = shop.compute("staging/orders", DAY)
    assert passage.publication is not None
    assert passage.publication.changed == frozenset()
    assert data_version(shop, "staging/orders", DAY) == version


def test_versions_that_held_the_rows_cannot_be_restored(shop: Project) -> None:
    shop.land("raw/orders", "SELECT 9::BIGINT AS id, 'bob@x' AS mail, 1 AS price", DAYS[2])
    erase(shop, f"mail = '{ADA}'", "raw/orders")
    lake = shop.workbench.lake
    lines = {line.version: line for line in history_of(lake, key_of("raw/orders")).lines}
    assert [lines[n].lost for n in (0, 2, 3)] == [(DAY, NEXT_DAY), (DAY, NEXT_DAY), ()]
    with pytest.raises(PermanentError, match="version 1 can't be restored"):
        plan_rollback(lake, key_of("raw/orders"), 1)


def test_what_matches_nowhere_changes_nothing(shop: Project) -> None:
    version = snapshot(shop, "raw/orders").version
    found = erase(shop, "mail = 'nobody'", "raw/orders")
    assert not any(one.any or one.erased for one in found)
    assert snapshot(shop, "raw/orders").version == version


def test_rows_of_older_versions_alone_go_too(project: Project) -> None:
    project.declare(STAGING, daily=True)
    project.land("raw/orders", rows(1, 2), DAY)
    project.land("raw/orders", rows(1), DAY)
    found = erase(project, f"mail = '{ADA}'", "raw/orders")
    assert (found[0].rows, holding(project, ADA)) == (0, [])
    assert project.column("raw/orders", "price") == [1]


def test_a_column_that_older_versions_lack_is_no_match_there(project: Project) -> None:
    project.declare(STAGING, daily=True)
    project.land("raw/orders", "SELECT 1::BIGINT AS id", DAY)
    project.land("raw/orders", f"SELECT 1::BIGINT AS id, '{ADA}' AS mail", NEXT_DAY)
    erase(project, f"mail = '{ADA}'", "raw/orders")
    assert project.rows("raw/orders", DAY) == [{"id": 1, "mail": None}]
    assert project.rows("raw/orders", NEXT_DAY) == []


def test_a_null_is_no_match_and_stays(project: Project) -> None:
    project.declare(STAGING, daily=True)
    project.land("raw/orders", f"SELECT * FROM (VALUES (1, NULL), (2, '{ADA}')) t(id, mail)", DAY)
    erase(project, f"mail = '{ADA}'", "raw/orders")
    assert project.column("raw/orders", "id") == [1]


def test_what_a_killed_run_left_goes_too(shop: Project) -> None:
    table = shop.table("raw/orders")
    name = snapshot(shop, "raw/orders").partitions[DAY].files[0].path.rpartition("/")[2]
    content = table.place.read(f"{table.relative}/partition={DAY}/{name}")
    assert content is not None
    table.place.write(f"{table.relative}/partition={DAYS[4]}/left.parquet", content)
    erase(shop, f"mail = '{ADA}'", "raw/orders")
    assert [one for one in holding(shop, ADA) if one.startswith("raw/")] == []


def test_a_run_that_was_killed_between_commit_and_removal_is_finished(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        place = type(shop.workbench.lake.place)
        patch.setattr(place, "remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erase(shop, f"mail = '{ADA}'", "raw/orders")
    with pytest.raises(PermanentError, match="can't be restored"):
        plan_rollback(shop.workbench.lake, key_of("raw/orders"), 0)
    erase(shop, f"mail = '{ADA}'", "raw/orders")
    assert [one for one in holding(shop, ADA) if one.startswith("raw/")] == []


def test_a_publish_in_between_is_not_lost(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_platform.keeping import erasure

    settle, calls = erasing.settle, []

    def late(table, *rest):
        if not calls:
            calls.append(1)
            shop.land("raw/orders", f"SELECT 8::BIGINT AS id, '{ADA}' AS mail, 8 AS price", DAYS[3])
            shop.land("raw/orders", "SELECT 7::BIGINT AS id, 'bob@x' AS mail, 7 AS price", DAY)
        return settle(table, *rest)

    monkeypatch.setattr(erasure, "settle", late)
    erase(shop, f"mail = '{ADA}'", "raw/orders")
    assert shop.column("raw/orders", "price", DAY) == [7]
    assert shop.rows("raw/orders", DAYS[3]) == []
    assert [one for one in holding(shop, ADA) if one.startswith("raw/")] == []


def test_decisions_about_the_rows_go(shop: Project) -> None:
    lake, key = shop.workbench.lake, Key("staging", "shop", "orders")
    held = shop.rows("quarantine/orders", DAY)
    ids = {str(row["mail"]): str(row["_row_id"]) for row in held}
    now = datetime(2024, 1, 1, tzinfo=UTC)
    taken = [
        Decision(DAY, ids[ADA], "correct", "eve", now, patch={"price": "4"}),
        Decision(DAY, ids["bob@x"], "correct", "eve", now, patch={"mail": ADA}),
        Decision(DAY, "0" * 20 + "-1", "discard", "eve", now, "a test"),
    ]
    with shop.workbench.open() as (session, _):
        decide(lake, decisions_table(lake, key), session, lambda _: taken, {})
    erase(shop, f"mail = '{ADA}'", "raw/orders", "staging/orders")
    assert [row["kind"] for row in shop.rows("corrections/orders")] == ["discard"]
    assert holding(shop, ADA) == []
    assert holding(shop, ids[ADA]) == []


def test_decisions_about_rows_that_left_quarantine_are_found_by_their_source(
    shop: Project,
) -> None:
    lake, key = shop.workbench.lake, Key("staging", "shop", "orders")
    held = shop.rows("quarantine/orders", DAY)
    own = next(str(row["_row_id"]) for row in held if row["mail"] == ADA)
    one = Decision(
        DAY, own, "correct", "eve", datetime(2024, 1, 1, tzinfo=UTC), patch={"price": "4"}
    )
    with shop.workbench.open() as (session, _):
        decide(lake, decisions_table(lake, key), session, lambda _: [one], {})
    shop.compute("staging/orders", DAY)
    assert len(shop.rows("quarantine/orders", DAY)) == 1
    for name in ("quarantine/orders",):
        shop.table(name).place.remove(
            f.relative for f in shop.table(name).place.list(shop.table(name).relative)
        )
    erase(shop, f"mail = '{ADA}'", "raw/orders")
    assert shop.rows("corrections/orders") == []


def test_of_batches_all_rows_of_the_key_go(project: Project) -> None:
    project.declare("sources:\n  events: {type: file, path: x.csv, partitions: none}\n")
    add_batch(project, "SELECT 1 AS id, 10 AS at, 'old@x' AS mail")
    add_batch(project, f"SELECT 1 AS id, 20 AS at, '{ADA}' AS mail")
    add_batch(project, "SELECT 2 AS id, 30 AS at, 'bob@x' AS mail", {"watermark": 30})
    before = data_version(project, EVENTS)
    erase(project, f"mail = '{ADA}'", EVENTS)
    held = snapshot(project, EVENTS)
    assert project.column(EVENTS, "id") == [2]
    assert held.batches is not None
    assert (held.batches.number, held.batches.position) == (3, {"watermark": 30})
    assert (held.partitions[""].rows, data_version(project, EVENTS) != before) == (1, True)
    assert holding(project, ADA) == holding(project, "old@x") == []
    add_batch(project, "SELECT 3 AS id, 40 AS at, 'eve@x' AS mail")
    assert project.column(EVENTS, "id") == [2, 3]


def test_batches_that_were_put_together_are_searched_too(project: Project) -> None:
    project.declare("sources:\n  events: {type: file, path: x.csv, partitions: none}\n")
    for number in range(3):
        add_batch(project, f"SELECT {number} AS id, {number} AS at, '{ADA}{number}' AS mail")
    lake = project.workbench.lake
    with project.workbench.open() as (session, scratch):
        compact(session, scratch, lake, plan_compaction(session, lake, key_of(EVENTS)), "ada")
    versions = set()
    for number in range(2):
        versions.add(data_version(project, EVENTS))
        erase(project, f"mail = '{ADA}{number}'", EVENTS)
        assert holding(project, f"{ADA}{number}") == []
    assert project.column(EVENTS, "id") == [2]
    assert len({*versions, data_version(project, EVENTS)}) == 3
    assert STATE.keep == "latest"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nobody = 1", "raw/shop/orders has no column nobody; it has id, mail, price"),
        ("price = 'x'", "Conversion Error: Could not convert string 'x' to INT32"),
        ("price", "it is INTEGER, not true or false"),
    ],
)
def test_what_cannot_be_asked_of_a_table_is_refused(
    shop: Project, where: str, message: str
) -> None:
    with pytest.raises(PermanentError, match=message):
        find(shop, where, "raw/orders")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("mail = ", "--where: "),
        ("1 = 1", "names no column"),
        ("orders.mail = 'x'", "named without their table"),
        ("mail IN (SELECT mail FROM raw.orders)", "--where: "),
        ("read_text(mail) = 'x'", "--where: "),
        ("mail = 'x' OR at < now()", "reads the clock"),
        ("", "--where: "),
    ],
)
def test_a_condition_is_held_to_the_allow_list(where: str, message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        read_condition(where)


def test_the_report_names_what_it_cannot_reach(shop: Project) -> None:
    shop.declare(
        STAGING + "destinations:\n  out:\n    {from: analytics.revenue, type: database, "
        "connection: shop, table: revenue}\n",
        daily=True,
    )
    found = {(one.what, one.where) for one in not_reached(shop, "mail = 'x'", "raw/orders")}
    assert {
        ("downstream", "staging/shop/orders"),
        ("downstream", "analytics/shop/revenue"),
    } <= found
    assert ("destination", "destinations/shop/out: table revenue in shop") in found
    assert ("source", "what raw/shop/orders reads") in found
    named = (
        not_reached(shop, "mail = 'x'", "raw/orders", "staging/orders", "analytics/revenue")
        if shop.table("analytics/revenue").snapshot()
        else []
    )
    assert named == []


def test_a_quarantine_without_the_column_is_said_not_to_be_searched(project: Project) -> None:
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    on_violation: quarantine\n"
        "    transformations:\n      - rename_columns: {mail: email}\n"
        "    columns:\n      id: {type: bigint}\n      email: {type: varchar}\n"
        "      price: {type: integer, min: 0}\n",
        daily=True,
    )
    project.land("raw/orders", rows(1, 2, -3, -4), DAY)
    project.compute("staging/orders", DAY)
    (told,) = [
        one
        for one in not_reached(project, f"email = '{ADA}'", "staging/orders")
        if one.what == "not searched"
    ]
    assert told.where == "quarantine/shop/orders"
    assert "no column email: its rows are those of raw/shop/orders" in told.advice
    erase(project, f"mail = '{ADA}'", "raw/orders")
    assert [one for one in holding(project, ADA) if not one.startswith("staging/")] == []


def test_a_masked_column_is_said_to_be_compared_as_it_is(project: Project) -> None:
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n"
        "    transformations:\n      - mask: {mail: redact}\n",
        daily=True,
    )
    project.know(orders={"id": "BIGINT", "mail": "VARCHAR", "price": "INTEGER"})
    project.land("raw/orders", rows(1, 2), DAY)
    project.compute("staging/orders", DAY)
    told = [
        one
        for one in not_reached(project, f"mail = '{ADA}'", "staging/orders")
        if one.what == "masked"
    ]
    assert [one.where for one in told] == ["staging/shop/orders"]


def test_a_reader_who_holds_a_snapshot_of_other_partitions_reads_on(shop: Project) -> None:
    shop.land("raw/orders", "SELECT 9::BIGINT AS id, 'bob@x' AS mail, 1 AS price", DAYS[2])
    held = snapshot(shop, "raw/orders")
    erase(shop, f"mail = '{ADA}'", "raw/orders")
    assert len(rows_of(shop, held.__class__(
        held.version, held.schema, held.partitioned, {DAYS[2]: held.partitions[DAYS[2]]}
    ))) == 1  # fmt: skip
    assert len(read(shop, "raw/orders", snapshot(shop, "raw/orders").version)) == 7
