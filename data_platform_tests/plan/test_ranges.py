"""Which statements may compute many partitions at once."""

import pytest
from factories import Project

from data_platform.plan.nodes import AnalyticsNode


@pytest.mark.parametrize(
    "tables", ["range(3) r, raw.orders o", "raw.orders o, range(3) r", "range(3) r"]
)
def test_a_table_function_is_no_asset(project: Project, tables: str) -> None:
    query = f"SELECT r.range AS n, count(*) AS c FROM {tables} GROUP BY 1"
    body = f"analytics:\n  totals:\n    query: {query}\n"
    project.declare(body, daily=True)
    built = project.build()
    node = next((node for node in built.plan.nodes if node.key.name == "totals"), None)
    if node is None:
        assert all("KeyError" not in str(problem) for problem in built.problems)
    else:
        assert isinstance(node, AnalyticsNode)
        assert node.range_sql is None
