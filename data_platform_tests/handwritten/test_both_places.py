"""A pipeline goes from files to a database over a lake in a folder and in a bucket alike."""

from contextlib import closing

import psycopg2
import pytest
from handwritten_sales import DAYS, Sales
from object_storage import on_both_places

REVENUE = """
    @dg.asset(partitions_def=daily, ins={"orders": dg.AssetIn(key=["staging", "orders"])})
    def revenue(orders: pa.RecordBatchReader) -> pa.Table:
        return orders.read_all().group_by("country").aggregate([("amount", "sum")])
"""
MORE = """
    quality:
      - not_null: {columns: country, on_violation: quarantine}
analytics:
  total:
    query: |
      SELECT country, COUNT(*) AS n, SUM(amount) AS amount, MAX(rate) AS rate
      FROM staging.orders LEFT JOIN raw.rates USING (country) GROUP BY country
destinations:
  total:
    from: analytics.total
    type: database
    connection: warehouse
    table: total
"""
VERSIONS: dict[str, dict[str, str]] = {}
"""Of each asset, as the first place gave them."""


@on_both_places
def test_a_pipeline_goes_all_the_way(
    sales: Sales, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", postgres_url)
    platform = sales.folder / "pipelines" / "platform.yaml"
    warehouse = "connections:\n  warehouse: {type: database, url: '${WAREHOUSE_URL}'}\n"
    platform.write_text(platform.read_text() + warehouse)
    sales.write(REVENUE, MORE)
    assert sales.problems() == []
    assert sales.run([], ["raw/rates"]).success
    assert sales.run(DAYS).success
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT country, SUM(n), SUM(amount)::VARCHAR FROM total GROUP BY 1 ORDER BY 1"
        )
        assert cursor.fetchall() == [("DE", 3, "9.25"), ("FR", 1, "20.00")]
    names = ["raw/orders", "staging/orders", "quarantine/orders", "analytics/revenue"]
    found = {name: sales.versions(name) for name in names}
    assert set(found["staging/orders"]) == set(found["analytics/revenue"]) == set(DAYS)
    assert "2024-01-03" in found["quarantine/orders"]
    # A version tells of rows, not of where they are.
    assert VERSIONS.setdefault("found", found) == found
    assert sales.run(DAYS).success
    assert {name: sales.version(name) for name in names} == dict.fromkeys(names, 0)
