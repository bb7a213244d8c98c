"""Rules see what a load made of the table in every mode, and undo it where it isn't right."""

import pytest
from factories import DAY, NEXT_DAY
from shop_tables import AMOUNTS, Rows, Shop

ONE_ROW = "row_count: {max_rows: 1}"
NO_LOSS = "range: {column: amount, min: 0}"
LOSS = "SELECT 3 AS id, -1.00 AS amount"
GAIN = "SELECT 4 AS id, 4.00 AS amount"
KEYED = "    columns:\n      id: {type: integer, nullable: false}\n    extra_columns: keep\n"
MORE = {
    "replace_partition": "    write: replace_partition\n",
    "merge": "    write: merge\n    keys: id\n",
    "append": "    write: append\n",
    "create": "    write: create\n",
}
TEXTS = "SELECT id, amount::text FROM shop.orders ORDER BY 1, 2"


def amounts(shop: Shop) -> Rows:
    return shop.ask(TEXTS)


@pytest.mark.parametrize("mode", MORE)
def test_a_day_that_breaks_a_rule_leaves_table_and_ledger(shop: Shop, mode: str) -> None:
    shop.declare(NO_LOSS, more=MORE[mode], contract=KEYED)
    shop.publish(AMOUNTS, DAY)
    assert not shop.load(DAY).failed
    before, versions = amounts(shop), shop.versions()
    shop.publish(LOSS, NEXT_DAY)
    loading = shop.load(NEXT_DAY)
    assert "range" in loading.failed[NEXT_DAY]
    assert loading.rolled_back
    assert (amounts(shop), shop.versions()) == (before, versions)
    # What is right is loaded then, and judged by its own rows: those of the other day aren't its.
    shop.declare(ONE_ROW, more=MORE[mode], contract=KEYED)
    shop.publish(GAIN, NEXT_DAY)
    loading = shop.load(NEXT_DAY)
    assert (loading.failed, loading.loaded) == ({}, {NEXT_DAY})
    assert amounts(shop) == [*before, (4, "4.00")]


def test_a_merged_day_is_judged_as_it_is_in_the_table(shop: Shop) -> None:
    """A row that left its day is in the table on: the rule sees it."""
    shop.declare(ONE_ROW, more=MORE["merge"], contract=KEYED)
    shop.publish("SELECT 1 AS id, 1.00 AS amount", DAY)
    assert not shop.load(DAY).failed
    shop.publish("SELECT 2 AS id, 2.00 AS amount", DAY)
    assert "row_count" in shop.load(DAY).failed[DAY]
    assert amounts(shop) == [(1, "1.00")]


def test_a_table_merged_without_partitions_is_judged_whole(shop: Shop) -> None:
    shop.declare(NO_LOSS, daily=False, more=MORE["merge"], contract=KEYED)
    shop.publish(AMOUNTS)
    assert not shop.load().failed
    shop.publish(LOSS)
    assert shop.load().rolled_back
    shop.publish(GAIN)
    assert not shop.load().failed
    assert amounts(shop) == [(1, "10.10"), (2, "20.25"), (4, "4.00")]
    shop.declare("row_count: {max_rows: 3}", daily=False, more=MORE["merge"], contract=KEYED)
    shop.publish("SELECT 5 AS id, 5.00 AS amount")
    assert shop.load().rolled_back


@pytest.mark.parametrize("write", ["replace", "create", "append"])
def test_a_first_load_that_breaks_a_rule_leaves_no_table(shop: Shop, write: str) -> None:
    shop.declare(NO_LOSS, daily=False, more=f"    write: {write}\n")
    shop.publish(LOSS)
    assert shop.load().rolled_back
    assert shop.ask("SELECT to_regclass('shop.orders') IS NULL") == [(True,)]
    shop.publish(GAIN)
    assert not shop.load().failed
    assert amounts(shop) == [(4, "4.00")]


def test_a_column_that_contradicts_its_partition_is_refused(shop: Shop) -> None:
    """By it rows are deleted: one of another day would stay, or take others along."""
    from data_platform.errors import StorageError

    shop.declare(more="    partition_column: day\n")
    rows = f"SELECT 1 AS id, 1.00 AS amount, DATE '{DAY}' AS day"
    shop.publish(rows, DAY)
    assert not shop.load(DAY).failed
    shop.publish(f"{rows} UNION ALL SELECT 2, 2.00, NULL", NEXT_DAY)
    with pytest.raises(StorageError, match=f"day says another .* 2 of partition {NEXT_DAY}"):
        shop.load(NEXT_DAY)
    assert amounts(shop) == [(1, "1.00")]


def test_a_column_that_was_added_is_told(shop: Shop) -> None:
    shop.declare()
    shop.publish(AMOUNTS, DAY)
    assert shop.load(DAY).said == []
    shop.publish(f"SELECT *, 'Ulm' AS city FROM ({AMOUNTS})", NEXT_DAY)
    assert shop.load(NEXT_DAY).said == ["added column city text"]
