"""What runs again where partitions change: all that reads them, in order, and no more."""

from collections.abc import Mapping

import pytest
from factories import DAYS, Project, key_of

from data_platform.correcting.below import concerned, groups_of
from data_platform.correcting.replaying import run_again
from data_platform.plan.keys import Key
from data_platform.run_reports import AssetReport, RunReport
from data_platform.running import Request

SHOP = """staging:
  orders: {from: raw.orders}
analytics:
  daily: {query: "SELECT count(*) AS n FROM staging.orders"}
  weekly:
    query: "SELECT count(*) AS n FROM staging.orders"
    inputs: {staging.orders: {last: 3}}
"""
OTHER = """sources: {}
analytics:
  again: {query: "SELECT sum(n) AS n FROM shop.analytics.weekly"}
"""
WHOLE_SHOP = """sources:
  products: {type: file, path: products.parquet, partitions: none}
  orders: {type: database, connection: shop, table: orders, cursor: at}
staging:
  products: {from: raw.products}
  orders: {from: raw.orders}
analytics:
  sold: {query: "SELECT count(*) AS n FROM staging.orders JOIN staging.products USING (id)"}
"""


@pytest.fixture
def shop(project: Project) -> Project:
    """Ten days of two pipelines."""
    project.declare(SHOP, daily=True)
    project.declare(OTHER, name="other", daily=True)
    for text in ("staging/orders", "analytics/daily", "analytics/weekly", "analytics/other/again"):
        project.land_all(text, dict.fromkeys(DAYS[:6], "SELECT 1 AS n"))
    return project


def named(wanted: Mapping[Key, tuple[str, ...]]) -> dict[str, list[int]]:
    return {str(key): [DAYS.index(one) + 1 for one in keys] for key, keys in wanted.items()}


def test_a_window_reaches_over_the_days_after_that_were_built(shop: Project):
    plan = shop.build().plan
    wanted = concerned(plan, shop.workbench.lake, key_of("staging/orders"), DAYS[1:2] + DAYS[4:5])
    assert named(wanted) == {
        "staging/shop/orders": [2, 5],
        "analytics/shop/daily": [2, 5],
        "analytics/shop/weekly": [2, 3, 4, 5, 6],
        "analytics/other/again": [2, 3, 4, 5, 6],
    }
    groups = groups_of(plan, wanted)
    assert [(group.pipeline, [node.key.name for node in group.nodes]) for group in groups] == [
        ("shop", ["orders", "daily"]),
        ("shop", ["weekly"]),
        ("other", ["again"]),
    ]
    assert list(groups[0].requests())[1] == (
        Request("shop", DAYS[4], select=["staging/shop/orders", "analytics/shop/daily"]),
        [DAYS[4]],
    )
    assert [one.keys for one, _ in groups[1].requests()] == [tuple(DAYS[1:6])]


def test_what_has_no_partitions_reaches_all_that_was_built(project: Project):
    project.declare(WHOLE_SHOP, daily=True)
    project.land("staging/products", "SELECT 1 AS id")
    project.land_all("analytics/sold", dict.fromkeys(DAYS[:2], "SELECT 1 AS n"))
    plan = project.build().plan
    wanted = concerned(plan, project.workbench.lake, key_of("staging/products"), [""])
    assert wanted[key_of("analytics/sold")] == tuple(DAYS[:2])
    requests = [one for group in groups_of(plan, wanted) for one, _ in group.requests()]
    assert [one.partition or one.keys for one in requests] == [(), tuple(DAYS[:2])]


def test_what_stands_on_a_failure_is_left_out(shop: Project):
    plan = shop.build().plan
    wanted = concerned(plan, shop.workbench.lake, key_of("staging/orders"), DAYS[1:2] + DAYS[4:5])
    asked: list[Request] = []

    def run(request: Request) -> RunReport:
        """The first day fails."""
        asked.append(request)
        failed = request.partition == DAYS[1]
        reports = tuple(
            AssetReport(
                Key.parse(name),
                "success" if not failed else "failed" if name.startswith("staging") else "skipped",
                failed=(DAYS[1],) if failed and name.startswith("staging") else (),
            )
            for name in request.select
        )
        return RunReport(("run",), reports, 0)

    failed, runs = run_again(plan, wanted, run)
    assert named({key: tuple(sorted(keys)) for key, keys in failed.items()}) == {
        "staging/shop/orders": [2],
        "analytics/shop/daily": [2],
        "analytics/shop/weekly": [2, 3, 4],
        "analytics/other/again": [2, 3, 4],
    }
    assert [(one.partition, one.keys) for one in asked] == [
        (DAYS[1], ()),
        (DAYS[4], ()),
        (None, tuple(DAYS[4:6])),
        (None, tuple(DAYS[4:6])),
    ]
    assert len(runs) == 4


def test_months_below_days_and_regions_below_both(project: Project):
    by = "by: {region: {values: [eu, us]}}"
    project.declare(
        f"""sources:
  sold:
    type: python
    function: feeds:fetch
    partitions: {{every: day, start: 2024-01-01, {by}}}
analytics:
  monthly:
    partitions: {{every: month, start: 2024-01-01}}
    query: "SELECT count(*) AS n FROM raw.sold"
  regional:
    partitions: {{{by}}}
    query: "SELECT count(*) AS n FROM raw.sold"
"""
    )
    (project.pipelines / "shop" / "feeds.py").write_text("def fetch(partition): ...\n")
    project.land_all("analytics/monthly", dict.fromkeys(["2024-01-01", "2024-02-01"], "SELECT 1 n"))
    project.land_all("analytics/regional", dict.fromkeys(["eu", "us"], "SELECT 1 n"))
    changed = ["2024-02-03|eu", "2024-02-04|eu"]
    wanted = concerned(project.build().plan, project.workbench.lake, key_of("raw/sold"), changed)
    assert {key.name: keys for key, keys in wanted.items()} == {
        "sold": tuple(changed),
        "monthly": ("2024-02-01",),
        "regional": ("eu",),
    }
