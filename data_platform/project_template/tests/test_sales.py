"""The pipeline `sales`: its YAML and SQL are right, and its rows are the expected ones.

`materialize` runs a pipeline in a temporary folder, without the lake and the database of `.data`.
"""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from data_platform.testing import Materialized, materialize, problems, validate_definitions


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Materialized:
    return materialize("sales", tmp_path_factory.mktemp("sales"))


def test_there_is_no_mistake() -> None:
    assert problems() == []


def test_dagster_loads_it() -> None:
    validate_definitions()


def test_everything_is_published(sales: Materialized) -> None:
    assert sales.failed == {}


def test_revenue_is_by_day_and_country(sales: Materialized) -> None:
    assert sales.query("SELECT * FROM analytics.daily_revenue ORDER BY day, country") == [
        {"day": date(2024, 3, 1), "country": "DE", "orders": 2, "revenue": Decimal("33.40")},
        {"day": date(2024, 3, 1), "country": "FR", "orders": 1, "revenue": Decimal("110.00")},
        {"day": date(2024, 3, 2), "country": "FR", "orders": 1, "revenue": Decimal("59.95")},
    ]


def test_a_row_that_breaks_a_rule_is_held_back(sales: Materialized) -> None:
    held = sales.query("SELECT order_id, _reasons FROM quarantine.orders ORDER BY order_id")
    assert held == [
        {"order_id": 1004, "_reasons": ["not_null: customer"]},
        {"order_id": 1005, "_reasons": ["range_amount"]},
        {"order_id": 1007, "_reasons": ["types"]},
    ]


def test_other_orders_can_be_tried(tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text(
        "order_id,ordered_at,customer,country,amount,currency\n"
        "1,2024-03-01 09:00:00,C-1,IT,0.00,EUR\n"
    )
    tried = materialize("sales", tmp_path / "run", environ={"ORDERS": str(orders)})
    assert tried.query("SELECT country, revenue FROM analytics.daily_revenue") == [
        {"country": "IT", "revenue": Decimal("0.00")}
    ]
