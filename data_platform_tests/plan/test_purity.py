"""Which assets are given the same rows by the same inputs."""

import pytest
from factories import Project

from data_platform.plan.nodes import LakeNode
from data_platform.plan.purity import same_from_same


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ("select id from staging.orders", True),
        ("select id, current_timestamp as seen from staging.orders", True),
        ("select id, at < current_date as past from staging.orders", True),
        ("select id from staging.orders where at <= current_date", False),
        ("select count(*) as n from staging.orders group by date_trunc('day', now())", False),
        (
            "with t as (select id, now() as at from staging.orders) select id from t order by at",
            False,
        ),
        ("select now_id from (select id as now_id from staging.orders)", True),
    ],
    ids=["plain", "column", "derived", "filter", "group", "order", "name"],
)
def test_a_clock_that_decides_about_rows_gives_others(project: Project, query: str, same: bool):
    project.declare(
        f"staging:\n  orders: {{from: raw.orders}}\nanalytics:\n  t:\n    query: {query}\n"
    )
    project.know(orders={"id": "BIGINT", "at": "TIMESTAMP"})
    node = project.node("analytics/t")
    assert isinstance(node, LakeNode)
    assert same_from_same(node) is same


def test_a_moment_beside_rows_of_staging_is_no_matter(project: Project):
    project.declare("""staging:
  orders:
    from: raw.orders
    transformations:
      - add_columns: {seen: current_timestamp}
""")
    project.know(orders={"id": "BIGINT"})
    assert same_from_same(project.staging("orders"))
