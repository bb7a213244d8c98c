"""Hand-written assets over real runs: what they get, what they give, what is published."""

from decimal import Decimal

import pytest

REVENUE = """
    @dg.asset(partitions_def=daily, ins={"orders": dg.AssetIn(key=["staging", "orders"])})
    def revenue(context: dg.AssetExecutionContext, orders: pd.DataFrame) -> pd.DataFrame:
        found = orders.groupby("day", as_index=False)["amount"].sum()
        return found.assign(key=context.partition_key)
"""


def test_a_function_over_one_partition_gets_its_rows_and_is_published(sales):
    sales.write(REVENUE)
    assert sales.run().success
    assert sales.rows("SELECT amount, key FROM sales.analytics.revenue") == [
        (Decimal("30.50"), "2024-01-01")
    ]


def test_a_range_calls_it_once_for_each_partition(sales):
    sales.write(REVENUE)
    assert sales.run(["2024-01-01", "2024-01-02", "2024-01-03"]).success
    assert sales.rows("SELECT key, amount FROM sales.analytics.revenue ORDER BY key") == [
        ("2024-01-01", Decimal("30.50")),
        ("2024-01-02", Decimal("-1.25")),
        ("2024-01-03", Decimal("7.00")),
    ]
