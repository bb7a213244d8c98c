"""What comes out at the end is what went in, by SQL that knows nothing of the platform."""

from decimal import Decimal
from typing import Any

import duckdb
import pytest
from dagster_records import evaluations
from retail_platform import (
    END,
    FIRST,
    LAKE_ASSETS,
    RetailPlatform,
    days,
    outcome_of,
)

from data_platform.demo.retail_data import data_file
from data_platform.run_reports import RunReport

CHRISTMAS = "2017-12-25"
Built = tuple[RetailPlatform, RunReport]
SOUND = f"""
    SELECT t.*, t.transaction_timestamp::DATE AS day,
        coalesce(p.department, 'UNKNOWN') AS department,
        t.sales_value::DECIMAL(12, 2) AS money
    FROM read_parquet('{data_file("transactions")}') t
    LEFT JOIN read_parquet('{data_file("products")}') p USING (product_id)
    WHERE quantity >= 1 AND sales_value >= 0
        AND transaction_timestamp >= '{FIRST}' AND transaction_timestamp < '{END}'
"""
FIGURES = """sum(money) AS revenue, sum(quantity) AS units, count(DISTINCT basket_id) AS baskets,
    count(DISTINCT household_id) AS households"""


def oracle(sql: str) -> list[tuple[Any, ...]]:
    """Ask the package's own files, in plain SQL over `sound`, the lines that break no rule."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TEMP TABLE sound AS {SOUND}")
        return connection.execute(sql).fetchall()


def same(found: list[tuple[Any, ...]], wanted: list[tuple[Any, ...]]) -> bool:
    return sorted(map(_plain, found)) == sorted(map(_plain, wanted))


def _plain(row: tuple[Any, ...]) -> tuple[str, ...]:
    numbers = (Decimal, int)
    return tuple(f"{Decimal(v):.2f}" if isinstance(v, numbers) else str(v) for v in row)


def test_everything_is_built(built: Built) -> None:
    _, report = built
    assert report.succeeded, [(a.key, a.state, a.message) for a in report.assets]
    assert len(report.run_ids) == 1


def test_revenue_in_the_warehouse_is_the_source_less_quarantine_to_the_cent(built: Built) -> None:
    platform, _ = built
    [(source,)] = platform.ask_shop(
        "SELECT sum(sales_value::numeric(12, 2)) FROM transactions "
        f"WHERE transaction_timestamp < '{END}'"
    )
    [(held,)] = platform.ask_lake(
        "SELECT sum(sales_value::DECIMAL(12, 2)) FROM quarantine_transactions"
    )
    [(revenue,)] = platform.ask_warehouse("SELECT sum(revenue) FROM analytics.daily_revenue")
    assert revenue == source - held
    assert revenue > 100_000


def test_the_warehouse_is_judged_before_its_load_is_committed(built: Built) -> None:
    platform, report = built
    run = report.run_ids[0]
    check = evaluations(platform, run, "destinations/daily_revenue")["reconcile_daily_revenue"]
    [(rows,)] = platform.ask_warehouse("SELECT count(*) FROM analytics.daily_revenue")
    assert check.passed
    assert check.metadata["rows"].value == rows
    assert check.metadata["partitions"].value == len(days())


def test_every_row_of_every_day_is_accounted_for(built: Built) -> None:
    platform, report = built
    source = dict(
        platform.ask_shop(
            "SELECT transaction_timestamp::date::text, count(*) FROM transactions GROUP BY 1"
        )
    )
    kept = dict(
        platform.ask_lake("SELECT partition, count(*) FROM staging_transactions GROUP BY 1")
    )
    held = dict(
        platform.ask_lake("SELECT partition, count(*) FROM quarantine_transactions GROUP BY 1")
    )
    for day in days():
        assert source.get(day, 0) == kept.get(day, 0) + held.get(day, 0), day
    check = evaluations(platform, report.run_ids[0], "staging/transactions")["conservation"]
    assert check.passed


def test_christmas_is_published_empty_everywhere(built: Built) -> None:
    platform, _ = built
    for asset in ("raw/transactions", "staging/transactions", "analytics/daily_revenue"):
        snapshot = platform.snapshot(asset)
        assert snapshot is not None
        assert snapshot.partitions[CHRISTMAS].rows == 0, asset
    assert platform.ledger()["analytics.daily_revenue", CHRISTMAS][1] == 0
    assert not platform.ask_warehouse(
        f"SELECT 1 FROM analytics.daily_revenue WHERE day = '{CHRISTMAS}'"
    )


def test_rows_after_the_end_are_warned_of_and_belong_to_no_day(built: Built) -> None:
    platform, report = built
    check = evaluations(platform, report.run_ids[0], "raw/transactions")["outside_partitions"]
    assert not check.passed
    assert check.severity.value == "WARN"
    assert check.metadata["offending"].value == 534
    for asset in LAKE_ASSETS:
        snapshot = platform.snapshot(asset)
        assert snapshot is not None
        assert END not in snapshot.partitions


def test_unknown_products_have_a_name_of_their_own(built: Built) -> None:
    platform, _ = built
    wanted = oracle("SELECT day, sum(money) FROM sound WHERE department = 'UNKNOWN' GROUP BY 1")
    found = platform.ask_warehouse(
        "SELECT day, revenue FROM analytics.daily_revenue WHERE department = 'UNKNOWN'"
    )
    assert same(found, wanted)


def test_daily_revenue_is_the_oracle(built: Built) -> None:
    platform, _ = built
    found = platform.ask_warehouse(
        "SELECT day, department, revenue, units, baskets, households FROM analytics.daily_revenue"
    )
    assert same(found, oracle(f"SELECT day, department, {FIGURES} FROM sound GROUP BY 1, 2"))


def test_weekly_revenue_is_the_oracle(built: Built) -> None:
    platform, _ = built
    found = platform.ask_warehouse(
        "SELECT day, department, revenue, units, baskets, households FROM analytics.weekly_revenue"
    )
    wanted = oracle(
        f"""SELECT d.day::DATE AS day, department, {FIGURES}
        FROM generate_series(DATE '{FIRST}', DATE '{days()[-1]}', INTERVAL 1 DAY) d(day)
        JOIN sound s ON s.day BETWEEN d.day - INTERVAL 6 DAY AND d.day GROUP BY 1, 2"""
    )
    assert same(found, wanted)


def test_customer_metrics_are_the_oracle(built: Built) -> None:
    platform, _ = built
    found = platform.ask_warehouse(
        "SELECT income, households, baskets, spend FROM analytics.customer_metrics"
    )
    demographics = platform.files / "demographics.csv"
    wanted = oracle(
        f"""SELECT coalesce(income, 'unknown'), count(DISTINCT household_id),
            count(DISTINCT basket_id), sum(money)
        FROM sound LEFT JOIN '{demographics}' USING (household_id) GROUP BY 1"""
    )
    assert same(found, wanted)


@pytest.mark.parametrize("asset", ["staging/transactions", "raw/transactions"])
def test_the_report_counts_what_the_lake_holds(built: Built, asset: str) -> None:
    platform, report = built
    snapshot = platform.snapshot(asset)
    assert snapshot is not None
    outcome = outcome_of(report, asset)
    assert outcome.partitions == outcome.changed == len(days())
    assert outcome.rows_out == sum(part.rows for part in snapshot.partitions.values())
