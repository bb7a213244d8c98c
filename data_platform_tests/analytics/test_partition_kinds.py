"""Partitions of one kind made of those of another: what is read, and what is missing."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

import pytest
from factories import Project

from data_platform.plan.nodes import AnalyticsNode
from data_platform.plan.partitions import TimePartitions

FUNCTIONS = "def fetch(partition):\n    return []\n"
REGIONS = "by: {region: {values: [eu, us]}}"

DAYS = TimePartitions("day", date(2024, 1, 1), None, "Europe/Berlin")
LATE = datetime(2025, 1, 1, tzinfo=UTC)


def declare(project: Project, sources: Mapping[str, str], body: str) -> None:
    """A pipeline with sources of these partitions, whose columns are n and v."""
    listed = "".join(
        f"  {name}: {{type: python, function: feeds:fetch, partitions: {{{kind}}}, "
        "columns: {n: {type: bigint}, v: {type: bigint}}}\n"
        for name, kind in sources.items()
    )
    project.declare(f"sources:\n{listed}{body}")
    (project.pipelines / "shop" / "feeds.py").write_text(FUNCTIONS)


def land(project: Project, name: str, keys: Mapping[str, int]) -> None:
    """One row a partition, with this value."""
    rows = {key: f"SELECT {n} AS n, {v} AS v" for n, (key, v) in enumerate(keys.items())}
    project.land_all(f"raw/{name}", rows)


def told(project: Project, name: str, keys: list[str]) -> dict[str, object]:
    """The column `v` of each partition, computed at once and each by itself: they agree."""
    passage = project.compute(f"analytics/{name}", *keys)
    assert not passage.failed, passage.failed
    at_once = {key: project.column(f"analytics/{name}", "v", key)[0] for key in keys}
    for key in keys:
        project.compute(f"analytics/{name}", key)
        assert project.column(f"analytics/{name}", "v", key) == [at_once[key]]
    return at_once


def test_a_month_has_its_days(project: Project) -> None:
    body = """
analytics:
  monthly:
    partitions: {every: month, start: 2024-01-01}
    query: SELECT n * 0 AS zero, SUM(v) AS v FROM raw.daily GROUP BY 1
"""
    declare(project, {"daily": "every: day, start: 2024-01-30"}, body)
    days = {"2024-01-30": 1, "2024-01-31": 2} | {f"2024-02-{d:02}": 10 for d in range(1, 30)}
    land(project, "daily", days)
    monthly = project.node("analytics/monthly")
    assert isinstance(monthly, AnalyticsNode)
    assert monthly.range_sql is not None
    # January is cut where the days begin.
    assert told(project, "monthly", ["2024-01-01", "2024-02-01"]) == {
        "2024-01-01": 3,
        "2024-02-01": 290,
    }
    missing = project.compute("analytics/monthly", "2024-03-01").failed["2024-03-01"]
    assert missing == (
        "raw/shop/daily has no published partition 2024-03-01, 2024-03-02, 2024-03-03"
    )


def test_a_month_without_a_day_of_its_own_is_missing(project: Project) -> None:
    body = """
analytics:
  monthly:
    partitions: {every: month, start: 2023-12-01}
    query: SELECT SUM(v) AS v FROM raw.daily
"""
    declare(project, {"daily": "every: day, start: 2024-01-30"}, body)
    land(project, "daily", {"2024-01-30": 1})
    failed = project.compute("analytics/monthly", "2023-12-01").failed
    assert failed == {"2023-12-01": "raw/shop/daily has no partition that belongs to 2023-12-01"}


def test_a_day_reads_its_month(project: Project) -> None:
    body = """
analytics:
  shares:
    partitions: {every: day, start: 2024-01-01}
    query: SELECT v, :partition_key AS day FROM raw.monthly
"""
    declare(project, {"monthly": "every: month, start: 2024-01-01"}, body)
    land(project, "monthly", {"2024-01-01": 7, "2024-02-01": 8})
    days = ["2024-01-30", "2024-01-31", "2024-02-01"]
    assert told(project, "shares", days) == dict(zip(days, (7, 7, 8), strict=True))
    node = project.node("analytics/shares")
    assert isinstance(node, AnalyticsNode)
    assert node.range_sql is not None


def test_a_day_has_its_hours_also_where_clocks_are_put(project: Project) -> None:
    body = """
analytics:
  counted:
    partitions: {every: day, start: 2024-03-30, timezone: Europe/Berlin}
    query: SELECT n * 0 AS zero, SUM(v) AS v FROM raw.hourly GROUP BY 1
"""
    declare(project, {"hourly": "every: hour, start: 2024-03-30, timezone: Europe/Berlin"}, body)
    hours = project.node("raw/hourly").partitions
    assert hours is not None
    days = {"2024-03-30": 24, "2024-03-31": 23, "2024-10-27": 25}
    for day in days:
        land(project, "hourly", dict.fromkeys(hours.timed.between(day, DAYS.following(day)), 1))
    assert told(project, "counted", list(days)) == days


def test_values_are_read_apart_and_together(project: Project) -> None:
    body = f"""
analytics:
  fan_in:
    partitions: {{every: day, start: 2024-01-01}}
    query: SELECT n * 0 AS zero, SUM(v) AS v FROM raw.both GROUP BY 1
  fan_out:
    partitions: {{every: day, start: 2024-01-01, {REGIONS}}}
    query: SELECT SUM(v) FILTER (WHERE :region = 'eu' OR n > 0) AS v FROM raw.daily
  same:
    partitions: {{every: day, start: 2024-01-01, {REGIONS}}}
    query: SELECT v, :region AS region, :partition_start AS at FROM raw.both
  ever:
    partitions: {{{REGIONS}}}
    query: SELECT SUM(v) AS v FROM raw.both
  both_of_them:
    partitions: {{every: day, start: 2024-01-01, {REGIONS}}}
    query: SELECT b.v + d.v AS v FROM raw.both b, raw.regional d
"""
    sources = {
        "both": f"every: day, start: 2024-01-01, {REGIONS}",
        "daily": "every: day, start: 2024-01-01",
        "regional": REGIONS,
    }
    declare(project, sources, body)
    keys = ["2024-01-01|eu", "2024-01-01|us", "2024-01-02|eu", "2024-01-02|us"]
    land(project, "both", dict(zip(keys, (1, 2, 30, 40), strict=True)))
    land(project, "daily", {"2024-01-01": 5, "2024-01-02": 6})
    land(project, "regional", {"eu": 100, "us": 200})
    assert told(project, "fan_in", ["2024-01-01", "2024-01-02"]) == {
        "2024-01-01": 3,
        "2024-01-02": 70,
    }
    assert told(project, "fan_out", keys) == dict(zip(keys, (5, None, 6, 6), strict=True))
    assert told(project, "same", keys) == dict(zip(keys, (1, 2, 30, 40), strict=True))
    assert told(project, "ever", ["eu", "us"]) == {"eu": 31, "us": 42}
    assert told(project, "both_of_them", keys) == dict(zip(keys, (101, 202, 130, 240), strict=True))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT :region, SUM(v) FILTER (WHERE region <> '') AS v FROM raw.sold GROUP BY region",
        "SELECT UPPER(:region), region, v FROM raw.sold",
        "SELECT :region AS r, region, partition_key, SUM(v) AS v FROM raw.sold GROUP BY ALL",
    ],
)
def test_rows_may_have_a_column_of_the_dimensions_name(project: Project, query: str) -> None:
    """And what is asked for is called the same, whether computed at once or one by one."""
    body = f"analytics:\n  regional:\n    query: {query}\n"
    source = f"sources:\n  sold: {{type: database, connection: shop, table: t}}\n{body}"
    project.declare(f"partitions: {{{REGIONS}}}\n{source}")
    project.know(sold={"region": "VARCHAR", "partition_key": "VARCHAR", "v": "BIGINT"})
    rows = {
        key: f"SELECT '{key}' AS region, 'k' AS partition_key, {v}::BIGINT AS v"
        for v, key in enumerate(("eu", "us"))
    }
    project.land_all("raw/sold", rows)
    assert told(project, "regional", ["eu", "us"]) == {"eu": 0, "us": 1}
    assert len(project.rows("analytics/regional")[0]) == query.count(",") + 1


def test_a_region_that_isnt_there_is_missing(project: Project) -> None:
    body = """
analytics:
  fan_in:
    partitions: {every: day, start: 2024-01-01}
    query: SELECT SUM(v) AS v FROM raw.both
"""
    declare(project, {"both": f"every: day, start: 2024-01-01, {REGIONS}"}, body)
    land(project, "both", {"2024-01-01|eu": 1})
    failed = project.compute("analytics/fan_in", "2024-01-01").failed
    assert failed["2024-01-01"] == "raw/shop/both has no published partition 2024-01-01|us"


@pytest.mark.parametrize(
    ("kind", "reader", "last", "key", "wanted"),
    [
        ("every: hour", "every: hour", 3, "2024-01-01-05:00", 3 + 4 + 5),
        ("every: hour", "every: day", 6, "2024-01-01", sum(range(18, 24))),
        ("every: day", "every: month", 2, "2024-01-01", 29 + 30),
        ("every: week", "every: week", 2, "2024-01-15", 1 + 2),
        ("every: month", "every: day", 40, "2024-03-05", 0 + 1 + 2),
        (f"every: day, {REGIONS}", f"every: day, {REGIONS}", 2, "2024-01-03|us", 3 + 5),
        (f"every: day, {REGIONS}", "every: day", 2, "2024-01-03", 2 + 3 + 4 + 5),
        ("every: day", f"every: day, {REGIONS}", 2, "2024-01-03|us", 1 + 2),
    ],
)
def test_windows_count_the_shorter_partitions(
    project: Project, kind: str, reader: str, last: int, key: str, wanted: int
) -> None:
    body = f"""
analytics:
  window:
    partitions: {{start: 2024-01-01, {reader}}}
    inputs: {{raw.past: {{last: {last}}}}}
    query: SELECT SUM(v) AS v FROM raw.past
"""
    declare(project, {"past": f"start: 2024-01-01, {kind}"}, body)
    partitions = project.node("raw/past").partitions
    assert partitions is not None
    keys = partitions.within("2024-01-01", "2024-04-01", LATE)[:60]
    land(project, "past", {one: n for n, one in enumerate(keys)})
    assert not project.compute("analytics/window", key).failed
    assert project.column("analytics/window", "v") == [wanted]
