"""Rules on a destination: what the database made of the rows is judged before anybody sees it."""

from decimal import Decimal

import pytest
from factories import DAY, NEXT_DAY
from shop_tables import AMOUNTS, RECONCILE, Shop

from data_platform.destinations.loading import Loading
from data_platform.errors import StorageError
from data_platform.plan.explaining import explain_text
from data_platform.plan.naming import WHOLE


def verdicts(loading: Loading) -> dict[str, str]:
    return {outcome.check.name: outcome.verdict for outcome in loading.outcomes}


def test_a_load_that_keeps_its_rules_is_committed(shop: Shop) -> None:
    shop.declare("not_null: id", "unique: id", "row_count: {min_rows: 2}", RECONCILE)
    shop.publish(AMOUNTS, DAY, NEXT_DAY)
    loading = shop.load(DAY, NEXT_DAY)
    assert set(verdicts(loading).values()) == {"pass"}
    assert [outcome.rows for outcome in loading.outcomes] == [4, 4, 4, 4]
    assert (loading.loaded, loading.failed) == ({DAY, NEXT_DAY}, {})
    assert len(shop.ask()) == 4


def test_a_warning_is_told_and_committed(shop: Shop) -> None:
    shop.declare("range: {column: amount, max: 15, on_violation: warn}")
    shop.publish(AMOUNTS, DAY)
    loading = shop.load(DAY)
    [outcome] = loading.outcomes
    assert (outcome.verdict, outcome.offending, outcome.rows) == ("warn", 1, 2)
    assert outcome.examples == [{"amount": "20.25", "_partition": DAY}]
    assert len(shop.ask()) == 2
    assert DAY in shop.versions()


def test_one_partition_that_fails_rolls_the_whole_load_back(shop: Shop) -> None:
    shop.declare()
    shop.publish(AMOUNTS, DAY, NEXT_DAY)
    shop.load(DAY, NEXT_DAY)
    before, versions = shop.ask(), shop.versions()
    shop.declare("range: {column: amount, max: 100}")
    shop.publish("SELECT 3 AS id, 7.00 AS amount", DAY)
    shop.publish("SELECT 4 AS id, 101.00 AS amount", NEXT_DAY)
    loading = shop.load(DAY, NEXT_DAY)
    assert loading.failed == {NEXT_DAY: "range_amount: 1 of 1 rows"}
    assert (loading.undone, loading.loaded, loading.versions) == ({DAY}, frozenset(), {})
    assert loading.standing == versions
    assert (shop.ask(), shop.versions()) == (before, versions)


def test_partitions_that_were_there_still_count_as_loaded(shop: Shop) -> None:
    shop.declare("range: {column: amount, max: 100}")
    shop.publish(AMOUNTS, DAY)
    shop.load(DAY)
    shop.publish("SELECT 4 AS id, 101.00 AS amount", NEXT_DAY)
    loading = shop.load(DAY, NEXT_DAY)
    assert (list(loading.versions), list(loading.failed)) == ([DAY], [NEXT_DAY])
    assert len(shop.ask()) == 2


def test_the_first_load_that_fails_leaves_no_table(shop: Shop) -> None:
    shop.declare("row_count: {max_rows: 1}")
    shop.publish(AMOUNTS, DAY)
    assert shop.load(DAY).failed == {DAY: "row_count: 2 rows, wanted at most 1"}
    assert shop.ask("SELECT to_regclass('shop.orders')::text") == [(None,)]
    assert shop.versions() == {}


def test_what_is_in_the_table_already_is_not_judged_anew(shop: Shop) -> None:
    shop.declare()
    shop.publish(AMOUNTS, DAY)
    shop.load(DAY)
    shop.declare("range: {column: amount, max: 1}")
    loading = shop.load(DAY)
    assert (loading.outcomes, loading.failed, list(loading.versions)) == ((), {}, [DAY])


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        ("NEW.amount := NEW.amount + 0.01", "reconcile_orders"),
        ("NEW.id := NULL", "not_null_id"),
        ("IF NEW.id = 6 THEN RETURN NULL; END IF", "row_count"),
        ("NEW.id := 1", "unique_id"),
        ("NEW._partition := '1999-12-31'", "row_count"),
    ],
)
def test_what_the_database_does_to_the_rows_is_caught(shop: Shop, body: str, broken: str) -> None:
    shop.declare("not_null: id", "unique: id", "row_count: {min_rows: 2}", RECONCILE)
    shop.publish(AMOUNTS, DAY)
    shop.load(DAY)
    before, versions = shop.ask(), shop.versions()
    shop.spoil(body)
    shop.publish("SELECT * FROM (VALUES (5, 1.00), (6, 2.00)) AS t(id, amount)", DAY)
    loading = shop.load(DAY)
    assert verdicts(loading)[broken] == "fail"
    assert broken in loading.failed[DAY]
    assert (shop.ask(), shop.versions()) == (before, versions)


def test_a_cent_too_much_is_told_with_both_sums(shop: Shop) -> None:
    shop.declare(RECONCILE)
    shop.publish(AMOUNTS, DAY)
    shop.load(DAY)
    shop.spoil("NEW.amount := NEW.amount + 0.01")
    shop.publish("SELECT 1 AS id, 0.99 AS amount", DAY)
    assert shop.load(DAY).failed == {
        DAY: "reconcile_orders: 1.00 here, 0.99 in staging/shop/orders"
    }


@pytest.mark.parametrize("times", ["1.0000000000000000001", "10000000000000000"])
def test_numbers_without_a_precision_are_compared_to_the_last_digit(shop: Shop, times: str) -> None:
    shop.execute(
        "CREATE SCHEMA shop", "CREATE TABLE shop.orders (id int, amount numeric, _partition text)"
    )
    shop.spoil(f"NEW.amount := NEW.amount * {times}")
    shop.declare(RECONCILE)
    shop.publish(AMOUNTS, DAY)
    wanted = Decimal("30.35") * Decimal(times)
    assert f"reconcile_orders: {wanted.normalize():f}" in shop.load(DAY).failed[DAY]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("'NaN'", "column amount holds NaN or infinity"),
        ("1e30 + 1e-30", "column amount holds numbers of 61 digits; a rule reads 38"),
    ],
)
def test_a_number_that_no_decimal_holds_ends_the_load(shop: Shop, value: str, message: str) -> None:
    shop.execute(
        "CREATE SCHEMA shop", "CREATE TABLE shop.orders (id int, amount numeric, _partition text)"
    )
    shop.spoil(f"NEW.amount := {value}")
    shop.declare(RECONCILE)
    shop.publish(AMOUNTS, DAY)
    with pytest.raises(StorageError, match=message):
        shop.load(DAY)
    assert shop.ask() == []


def test_a_table_of_a_persons_own_types_is_read_as_it_is(shop: Shop) -> None:
    shop.execute(
        "CREATE SCHEMA shop",
        "CREATE DOMAIN shop.money_of_ours AS numeric(12, 2)",
        "CREATE TABLE shop.orders (id int, amount shop.money_of_ours, at timestamptz, "
        "name varchar(20), tags text[], day date, note text DEFAULT 'x')",
    )
    shop.declare(
        "expression: \"amount = 1.5 AND name = 'ü' AND len(tags) = 2\"",
        "range: {column: at, min: '2024-01-01 00:00:00+00', max: '2024-01-01 00:00:00+00'}",
        "unique: {columns: [id], scope: asset}",
        more="    partition_column: day\n",
    )
    row = (
        "SELECT {} AS id, 1.50 AS amount, TIMESTAMPTZ '2024-01-01 01:00:00+01' AS at, 'ü' AS name, "
        "['a', 'b'] AS tags, DATE '{}' AS day"
    )
    shop.publish(row.format(1, DAY), DAY)
    assert set(verdicts(shop.load(DAY)).values()) == {"pass"}
    shop.publish(row.format(1, NEXT_DAY), NEXT_DAY)
    assert shop.load(NEXT_DAY).failed == {NEXT_DAY: "unique_id: 1 of 1 rows"}
    shop.publish(row.format(2, NEXT_DAY), NEXT_DAY)
    assert shop.load(NEXT_DAY).failed == {}


def test_a_table_without_partitions_is_judged_as_a_whole(shop: Shop) -> None:
    shop.declare(RECONCILE, "row_count: {max_rows: 2}", daily=False)
    shop.publish(AMOUNTS)
    assert shop.load().failed == {}
    shop.publish(f"{AMOUNTS} UNION ALL SELECT 3, 0")
    assert shop.load().failed == {WHOLE: "row_count: 3 rows, wanted at most 2"}
    assert len(shop.ask()) == 2


def test_an_empty_partition_is_judged_as_such(shop: Shop) -> None:
    shop.declare("row_count: {min_rows: 1}", "not_null: {columns: [id], on_empty: warn}", RECONCILE)
    shop.publish(f"{AMOUNTS} WHERE FALSE", DAY)
    loading = shop.load(DAY)
    assert verdicts(loading) == {
        "row_count": "fail",
        "not_null_id": "warn",
        "reconcile_orders": "pass",
    }


def test_a_foreign_key_looks_into_the_lake(shop: Shop) -> None:
    shop.declare("foreign_key: {column: id, references: raw.orders.id}")
    shop.project.land("raw/orders", "SELECT 1 AS id", DAY)
    shop.project.land("raw/orders", "SELECT 2 AS id", NEXT_DAY)
    shop.publish(AMOUNTS, DAY)
    assert shop.load(DAY).failed == {}
    shop.publish("SELECT 3 AS id, 1.00 AS amount", DAY)
    assert shop.load(DAY).failed == {DAY: "foreign_key_id: 1 of 1 rows"}


def test_a_statement_reads_the_table_and_the_lake(shop: Shop) -> None:
    shop.declare(
        "matches: {column: name, pattern: '[a-z]+'}",
        "score: {rules: [matches_name], min_score: 0.5}",
        "freshness: {column: at, max_age: 1d}",
        "sql: {name: missing, sql: 'select count(*) from staging.orders as o where not exists "
        "(select 1 from {table} as t where t.name = o.name)'}",
        more="    on_violation: warn\n",
    )
    row = f"SELECT 1 AS id, 0.5 AS amount, 'a' AS name, TIMESTAMP '{DAY} 12:00:00' AS at"
    shop.publish(row, DAY)
    assert set(verdicts(shop.load(DAY)).values()) == {"pass"}
    shop.spoil("NEW.name := 'É'; NEW.at := NEW.at - interval '13 hours'")
    shop.publish(row.replace("'a'", "'b'"), DAY)
    assert set(verdicts(shop.load(DAY)).values()) == {"warn"}
    assert len(verdicts(shop.load(DAY))) == 0


def test_a_function_judges_the_table(shop: Shop) -> None:
    shop.declare("python: judges:few")
    (shop.project.pipelines / "shop" / "judges.py").write_text(
        "def few(rows, partition):\n"
        "    assert list(rows.columns) == ['id', 'amount'], list(rows.columns)\n"
        "    return {partition: len(rows) < 3}\n"
    )
    shop.publish(AMOUNTS, DAY)
    assert verdicts(shop.load(DAY)) == {"python_few": "pass"}


def test_views_live_on_through_loads_that_fail(shop: Shop) -> None:
    shop.declare("range: {column: amount, max: 100}")
    shop.publish(AMOUNTS, DAY)
    shop.load(DAY)
    shop.execute("CREATE VIEW shop.seen AS SELECT sum(amount) AS amount FROM shop.orders")
    shop.publish("SELECT 1 AS id, 101.00 AS amount", DAY)
    assert shop.load(DAY).failed
    assert shop.ask("SELECT amount::text FROM shop.seen") == [("30.35",)]
    shop.publish("SELECT 1 AS id, 99.00 AS amount", DAY)
    assert not shop.load(DAY).failed
    assert shop.ask("SELECT amount::text FROM shop.seen") == [("99.00",)]


@pytest.mark.parametrize(
    ("rules", "more", "message"),
    [
        (["not_null: nothing"], "", "pipeline.yaml:17:9: no column 'nothing' in this asset"),
        (["expression: amunt > 0"], "", "pipeline.yaml:17:9: no column 'amunt' in this asset"),
        (
            ["not_null: {columns: [id], on_violation: quarantine}"],
            "",
            "pipeline.yaml:17:9: a table outside has no quarantine",
        ),
        (
            ["not_null: id"],
            "    on_violation: quarantine\n",
            "pipeline.yaml:18:5: a table outside has no quarantine",
        ),
        (
            ["foreign_key: {column: id, references: staging.shops.id}"],
            "",
            "pipeline.yaml:17:9: there is no asset staging.shops",
        ),
        (
            ["drift: {metric: row_count, max_change_percentage: 5}"],
            "",
            "pipeline.yaml:17:9: figures of earlier partitions are kept with the versions",
        ),
        (["not_null: id", "not_null: id"], "", "pipeline.yaml:18:9: a check 'not_null_id' stands"),
    ],
)
def test_mistakes_are_found_at_load(shop: Shop, rules: list[str], more: str, message: str) -> None:
    shop.project.know(orders={"id": "INTEGER", "amount": "DECIMAL(12,2)", "at": "TIMESTAMP"})
    shop.declare(*rules, more=more)
    [problem] = shop.project.problems()
    assert message in problem


def test_explain_tells_the_rules(shop: Shop) -> None:
    shop.declare(RECONCILE)
    text = explain_text(shop.project.build().plan, [shop.node().key], width=200)
    assert "reconcile_orders (fails): sum(amount) agrees with staging.orders." in text
    assert "SUM(amount) = SUM(amount) of staging/shop/orders, within 0" in text


def test_rules_are_a_part_of_the_code_version(shop: Shop) -> None:
    shop.declare()
    before = shop.node().code_version
    shop.declare("not_null: id")
    assert shop.node().code_version != before
