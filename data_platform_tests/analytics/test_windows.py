"""A window over the last days: at once for a range, the same as each of its days alone."""

from dataclasses import replace

import pytest
from factories import DAYS, Project

from data_platform.analytics.computing import compute
from data_platform.plan.nodes import AnalyticsNode

PIPELINE = """analytics:
  sums:
    query: |
      select {select} from raw.orders as o {rest}
    inputs: {{raw.orders: {{last: {last}}}}}
"""
ROWS = (
    "SELECT CASE WHEN i % 7 < 5 THEN 'n' || i % 3 END AS name, "
    "CASE WHEN i % 5 < 4 THEN (i * {n}) % 11 END AS who, i % {n} AS v, i / 7 AS d, "
    "CAST(i / 4 AS DECIMAL(12,2)) AS money, 'x' || i % {n} AS text "
    "FROM range({count}) t(i)"
)
ONCE = [
    "name, count(distinct who) as n",
    "o.NAME, count(distinct o.who) as n, count(distinct text) as t, sum(v) as s",
    "coalesce(name, 'none') as key, sum(money) as m, count(*) as c, count(who) as w",
    "name, who, count(distinct text) as t, min(text) as low, max(d) as high",
    "lower(name) as key, round(sum(money) / count(distinct who), 2) as mean, 'week' as kind",
    "cast(:partition_start as date) as day, :partition_key || '!' as key, name, sum(d) as t",
    "name, count(distinct who + v) as n, count(distinct case when v > 2 then who end) as some",
]
AS_OFTEN_AS_IT_IS_READ = [
    "name, sum(v) filter (where v > 1) as s",
    "name, avg(v) as s",
    "name, median(d) as m",
    "name, sum(distinct v) as s",
    "lower(name) as name, count(distinct who) as n",
    "name, count(distinct who) + extract(day from :partition_start) as n",
    "name, sum(case when v > extract(day from :partition_start) then v end) as s",
    "count(distinct who) as n",
    "cast(:partition_start as date) as day, count(distinct who) as n, sum(v) as s",
]


def declare(project: Project, select: str, rest: str = "group by all", last: int = 3) -> str:
    project.declare(PIPELINE.format(select=select, rest=rest, last=last), daily=True)
    node = project.node("analytics/sums")
    assert isinstance(node, AnalyticsNode)
    return node.range_sql or ""


def land(project: Project) -> None:
    days = {day: ROWS.format(n=n + 1, count=0 if n == 4 else 40) for n, day in enumerate(DAYS)}
    project.land_all("raw/orders", days)


def changed(project: Project, *keys: str) -> frozenset[str]:
    passage = project.compute("analytics/sums", *keys)
    assert passage.publication is not None
    assert not passage.failed
    return passage.publication.changed


def publish_each_alone(project: Project) -> None:
    """Each day by the statement as it is written, which is run for it alone."""
    node = project.node("analytics/sums")
    assert isinstance(node, AnalyticsNode)
    passage = compute(replace(node, range_sql=None), DAYS, project.workbench, {"run_id": "test"})
    assert passage.publication is not None
    assert passage.publication.changed == set(DAYS)


@pytest.mark.parametrize("select", [*ONCE, *AS_OFTEN_AS_IT_IS_READ])
@pytest.mark.parametrize("last", [1, 3, 20])
def test_a_range_of_windows_gives_what_its_days_give_alone(
    project: Project, select: str, last: int
) -> None:
    land(project)
    assert ("each once" in declare(project, select, last=last)) == (select in ONCE)
    publish_each_alone(project)
    assert not changed(project, *DAYS)


def test_a_range_with_days_left_out_has_whole_windows(project: Project) -> None:
    land(project)
    declare(project, ONCE[1])
    for day in DAYS:
        changed(project, day)
    assert not changed(project, DAYS[1], DAYS[6], DAYS[7])


@pytest.mark.parametrize(
    "rest",
    [
        "where v > 1 and name is not null group by all",
        "join raw.names as n on n.name = o.name group by all",
        "left join raw.names as n on n.name = o.name and o.v > 2 group by all",
    ],
)
def test_rows_are_left_out_and_joined_as_on_each_day(project: Project, rest: str) -> None:
    project.declare(
        "sources:\n  orders: {type: database, connection: shop, table: o, cursor: at}\n"
        "  names: {type: file, path: names.parquet, partitions: none}\n"
        + PIPELINE.format(select="o.name, count(distinct who) as n", rest=rest, last=3),
        daily=True,
    )
    land(project)
    project.land("raw/names", "SELECT 'n0' AS name UNION ALL SELECT 'n0' UNION ALL SELECT 'n2'")
    node = project.node("analytics/sums")
    assert isinstance(node, AnalyticsNode)
    assert "each once" in str(node.range_sql)
    for day in DAYS:
        changed(project, day)
    assert not changed(project, *DAYS)


@pytest.mark.parametrize(
    ("select", "rest"),
    [
        ("name, sum(v) as s", "where :partition_key > '2020' group by all"),
        ("name, sum(v) as s", "group by name"),
        ("name, sum(v) as s", "group by all having sum(v) > 3"),
    ],
)
def test_what_may_differ_from_window_to_window_is_read_for_each(
    project: Project, select: str, rest: str
) -> None:
    land(project)
    assert "each once" not in declare(project, select, rest)
    publish_each_alone(project)
    assert not changed(project, *DAYS)
