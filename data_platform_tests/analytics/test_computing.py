# ruff: noqa: E501 -- cases stand in tables, one a line
"""Analytics: a person's SQL over just what its partition reads."""

import pytest
from factories import DAY, DAYS, NEXT_DAY, Project

from data_platform.errors import ContractError, PermanentError

PIPELINE = "analytics:\n  sums:\n    query: |\n      select {select} from raw.orders\n"


def declare(project: Project, select: str, more: str = "", **options: bool) -> None:
    project.declare(PIPELINE.format(select=select) + more, **{"daily": True, **options})


def found(project: Project, *names: str) -> list[tuple[object, ...]]:
    return [tuple(row[name] for name in names) for row in project.rows("analytics/sums")]


def test_a_partition_reads_its_own_rows(project: Project) -> None:
    declare(project, ":partition_key as day, sum(v)::bigint as s")
    project.land_all("raw/orders", {day: f"SELECT {n} AS v" for n, day in enumerate(DAYS)})
    assert not project.compute("analytics/sums", *DAYS).failed
    assert found(project, "day", "s") == [(day, n) for n, day in enumerate(DAYS)]


def test_a_range_gives_what_its_days_give_alone(project: Project) -> None:
    project.declare(
        "analytics:\n  sums:\n    query: |\n      select name, sum(v) as s, sum(d) as d,\n"
        "        row_number() over (order by name) as r\n      from raw.orders group by name\n",
        daily=True,
    )
    rows = "SELECT i % 3 AS name, i AS v, i / 7 AS d FROM range(50) t(i) WHERE i % {n} = 0"
    project.land_all("raw/orders", {day: rows.format(n=n + 1) for n, day in enumerate(DAYS)})
    for day in DAYS:
        project.compute("analytics/sums", day)
    publication = project.compute("analytics/sums", *DAYS).publication
    assert publication is not None
    assert not publication.changed


@pytest.mark.parametrize("together", [True, False])
def test_a_window_ends_with_its_day_and_is_cut_at_the_first(
    project: Project, together: bool
) -> None:
    declare(project, ":partition_key as day, sum(v)::bigint as s", "    inputs: {raw.orders: {last: 7}}\n")  # fmt: skip
    project.land_all("raw/orders", dict.fromkeys(DAYS, "SELECT 1 AS v"))
    for keys in [DAYS] if together else [[day] for day in DAYS]:
        assert not project.compute("analytics/sums", *keys).failed
    assert found(project, "s") == [(min(n + 1, 7),) for n in range(10)]


def test_a_gap_in_a_window_fails_the_days_that_read_it(project: Project) -> None:
    declare(project, "sum(v)::bigint as s", "    inputs: {raw.orders: {last: 3}}\n")
    project.land_all("raw/orders", {day: "SELECT 1 AS v" for day in DAYS if day != DAYS[4]})
    passage = project.compute("analytics/sums", *DAYS)
    assert list(passage.failed) == DAYS[4:7]
    assert f"no published partition {DAYS[4]}" in passage.failed[DAYS[5]]


def test_all_published_partitions_are_read_by_an_asset_without_any(project: Project) -> None:
    declare(project, "sum(v)::bigint as s", "    partitions: none\n")
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 2 AS v"})
    project.compute("analytics/sums")
    assert found(project, "s") == [(3,)]


def test_an_upstream_that_was_never_published_fails_all(project: Project) -> None:
    declare(project, "sum(v) as s")
    passage = project.compute("analytics/sums", DAY, NEXT_DAY)
    assert set(passage.failed.values()) == {"raw/shop/orders has never been published"}


def test_parameters_are_the_partitions(project: Project) -> None:
    declare(project, ":partition_key as k, :partition_start as s, :partition_end as e")
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    project.compute("analytics/sums", DAY)
    assert [tuple(map(str, row)) for row in found(project, "k", "s", "e")] == [
        (DAY, f"{DAY} 00:00:00", f"{NEXT_DAY} 00:00:00")
    ]


def test_a_failed_rule_keeps_the_last_version(project: Project) -> None:
    declare(project, "v", "    quality:\n      - expression: v > 0\n")
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 1 AS v"})
    project.compute("analytics/sums", DAY, NEXT_DAY)
    project.land_all("raw/orders", {DAY: "SELECT -1 AS v", NEXT_DAY: "SELECT 2 AS v"})
    assert list(project.compute("analytics/sums", DAY, NEXT_DAY).failed) == [DAY]
    assert found(project, "v") == [(1,), (2,)]


@pytest.mark.parametrize("promise", ["{v: {type: integer}}", "{w: {}}"])
def test_a_promise_that_the_sql_does_not_keep_is_an_error(project: Project, promise: str) -> None:
    declare(project, "v", f"    columns: {promise}\n")
    project.land("raw/orders", "SELECT 'x' AS v", DAY)
    with pytest.raises(ContractError, match="the contract promises"):
        project.compute("analytics/sums", DAY)


def test_a_promise_of_a_wide_sum_is_kept_as_the_lake_keeps_it(project: Project) -> None:
    declare(project, "sum(v) as s", "    columns: {s: {type: hugeint}}\n")
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    assert not project.compute("analytics/sums", DAY).failed


def test_a_column_that_does_not_arrive_is_told(project: Project) -> None:
    declare(project, "nothing")
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    with pytest.raises(ContractError, match=r'analytics/shop/sums: .*"nothing" not found'):
        project.compute("analytics/sums", DAY)


def test_a_value_that_can_not_be_computed_is_told_with_its_day(project: Project) -> None:
    declare(project, "cast(v as bigint) as v")
    project.land_all("raw/orders", {DAY: "SELECT '1' AS v", NEXT_DAY: "SELECT 'x' AS v"})
    with pytest.raises(PermanentError, match="analytics/shop/sums"):
        project.compute("analytics/sums", DAY, NEXT_DAY)


def test_sql_can_not_mean_the_platforms_own_relations(project: Project) -> None:
    project.declare("analytics:\n  sums: {query: from _result}\n")
    assert "'_result' is no reference" in project.problems()[0]


def test_a_window_is_cut_at_the_first_day_of_what_it_reads(project: Project) -> None:
    project.declare("", daily=True, name="other").write_text(
        (project.pipelines / "other" / "pipeline.yaml")
        .read_text()
        .replace("2024-01-01", "2023-12-30")
    )
    project.declare(
        "analytics:\n  sums:\n    query: |\n      select sum(v)::bigint as s from other.raw.orders\n"
        "    inputs: {other.raw.orders: {last: 3}}\n",
        daily=True,
    )
    days = ["2023-12-30", "2023-12-31", DAY]
    project.land_all("raw/other/orders", dict.fromkeys(days, "SELECT 1 AS v"))
    assert not project.compute("analytics/sums", DAY).failed
    assert found(project, "s") == [(3,)]


def test_a_range_reads_each_of_its_inputs(project: Project) -> None:
    project.declare(
        "sources:\n  orders: {type: database, connection: shop, table: orders, cursor: at}\n"
        "  visits: {type: database, connection: shop, table: visits, cursor: at}\n"
        "analytics:\n  sums:\n    query: |\n      select o.v as o, w.v as w\n"
        "      from raw.orders as o join raw.visits as w on o.id = w.id\n",
        daily=True,
    )
    days = DAYS[:3]
    project.land_all("raw/orders", {day: f"SELECT 1 AS id, {n} AS v" for n, day in enumerate(days)})
    project.land_all(
        "raw/visits", {day: f"SELECT 1 AS id, {n + 10} AS v" for n, day in enumerate(days)}
    )
    project.compute("analytics/sums", *days)
    assert found(project, "o", "w") == [(0, 10), (1, 11), (2, 12)]
