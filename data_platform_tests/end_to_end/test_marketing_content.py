"""Campaigns from the API and targets from the drop folder, against what the shop sold."""

import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from retail_platform import END, FIRST, Databases, RetailPlatform, outcome_of, retail_platform

from data_platform.demo.retail_api import RetailApi, serving
from data_platform.demo.retail_data import data_file, lay_targets
from data_platform.plan.keys import Key
from data_platform.run_reports import RunReport

CAMPAIGNS = f"""
    WITH sound AS (
        SELECT *, transaction_timestamp::DATE AS day
        FROM read_parquet('{data_file("transactions")}')
        WHERE quantity >= 1 AND sales_value >= 0
            AND transaction_timestamp >= '{FIRST}' AND transaction_timestamp < '{END}'
    ), offers AS (
        SELECT DISTINCT campaign_id, product_id FROM read_parquet('{data_file("coupons")}')
    )
    SELECT day, campaign_id, campaign_type, sum(sales_value::DECIMAL(12, 2)) AS revenue,
        sum(coupon_disc::DECIMAL(12, 2)) AS coupon_discount, count(DISTINCT household_id)
    FROM sound JOIN offers USING (product_id)
    JOIN read_parquet('{data_file("campaign_descriptions")}') c USING (campaign_id)
    WHERE day BETWEEN start_date::DATE AND end_date::DATE
    GROUP BY ALL
"""
Marketed = tuple[RetailPlatform, RunReport]


@pytest.fixture(scope="module")
def marketed(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marketed]:
    """An installation where both pipelines have run, and the report of the second one."""
    folder = tmp_path_factory.mktemp("marketing")
    with (
        retail_platform(databases, folder, marketing=True) as platform,
        serving(RetailApi(0)) as api,
    ):
        lay_targets(platform.files / "drop")
        platform.campaign_api = api.url
        assert platform.run().succeeded
        yield platform, platform.run(pipeline="marketing")


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    return sorted(
        tuple(f"{v:.2f}" if isinstance(v, Decimal) else str(v) for v in row) for row in rows
    )


def test_everything_is_built(marketed: Marketed) -> None:
    _, report = marketed
    assert report.succeeded, [(a.key, a.state, a.message) for a in report.assets]
    assert outcome_of(report, "raw/campaigns").rows_out == 27
    assert outcome_of(report, "raw/coupons").rows_out == 116_204
    assert outcome_of(report, "staging/offers").rows_out == 104_011


def test_revenue_of_campaigns_is_the_oracle(marketed: Marketed) -> None:
    platform, _ = marketed
    found = platform.ask_warehouse(
        "SELECT day, campaign_id, campaign_type, revenue, coupon_discount, households "
        "FROM analytics.campaign_revenue"
    )
    with duckdb.connect() as connection:
        wanted = connection.execute(CAMPAIGNS).fetchall()
    assert len(found) > 30
    assert plain(found) == plain(wanted)


def test_attainment_is_the_weeks_revenue_over_the_target(marketed: Marketed) -> None:
    platform, _ = marketed
    found = platform.ask_warehouse(
        "SELECT t.day, t.department, t.attained_percentage, "
        "round(100 * w.revenue / t.weekly_target, 1) FROM analytics.target_attainment t "
        "JOIN analytics.weekly_revenue w USING (day, department)"
    )
    assert len(found) > 100
    assert all(abs(attained - wanted) <= Decimal("0.1") for *_, attained, wanted in found)


def test_the_next_run_finds_nothing_new(marketed: Marketed) -> None:
    platform, _ = marketed
    again = platform.run(pipeline="marketing")
    assert again.succeeded
    assert [str(asset.key) for asset in again.assets if asset.changed] == []


def test_a_file_that_is_dropped_is_read_by_the_next_run(marketed: Marketed) -> None:
    platform, _ = marketed
    dropped = platform.files / "drop" / "more.csv"
    dropped.write_text("department,weekly_target\nFLORAL,450\n")
    os.utime(dropped, (0, 0))  # it has stood still
    assert platform.run(pipeline="marketing").succeeded
    snapshot = platform.lake.table(Key("staging", "marketing", "targets")).snapshot()
    assert snapshot is not None
    assert sum(version.rows for version in snapshot.partitions.values()) == 12
