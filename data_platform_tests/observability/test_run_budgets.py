"""Whether the runs of a pipeline stay within its budget, and which runs count."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster_steps import run_assets
from factories import Project

from data_platform.instance.own_tables import transaction
from data_platform.observability.platform_troubles import of_run_budgets
from data_platform.observability.run_budgets import Verdict, verdict_of, verdicts
from data_platform.plan.keys import Key
from data_platform.reporting.run_spans import KEPT, SPANS, spans_of
from data_platform.reporting.run_spans import Span as Made
from data_platform.spec.limits import RunBudget

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
RAW, CLEAN, TOTAL = (Key(layer, "shop", "orders") for layer in ("raw", "staging", "analytics"))
ALL = frozenset({RAW, CLEAN, TOTAL})
HOUR = RunBudget(max_duration=timedelta(hours=1))
BODY = """
budget: {max_duration: 1h}
partitions: {every: day, start: 2024-01-01}
sources:
  orders: {type: file, settle: 0s, path: "{folder}/{partition_key}.csv"}
staging:
  orders: {from: raw.orders, columns: {id: {type: bigint, max: 10}}}
"""


def run_of(seconds: float, *keys: Key, partitions: int = 1) -> Made:
    return Made(f"run of {seconds:g}", NOON, seconds, frozenset(keys) or ALL, partitions)


def judged(*spans: Made, budget: RunBudget = HOUR) -> Verdict:
    verdict = verdict_of(budget, spans, ALL)
    assert verdict is not None
    return verdict


def test_the_average_of_the_last_ten_runs_is_held_to_the_budget():
    fast, slow = run_of(60), run_of(40_000)
    assert judged(*[run_of(3_600)] * 10, slow).grade == "pass"
    verdict = judged(*[fast] * 9, slow, slow)
    assert (verdict.grade, verdict.seconds, verdict.run_id) == ("warn", 4_054, "run of 60")
    assert verdict.text == "the last 10 runs take 4,054.0 s on average, 3,600 s are allowed"


@pytest.mark.parametrize(("seconds", "grade"), [(3_601, "warn"), (5_400, "warn"), (5_401, "fail")])
def test_half_as_much_again_is_an_error_of_runs(seconds: float, grade: str):
    assert judged(run_of(seconds)).grade == grade


def test_the_last_run_of_twice_the_median_is_a_warning():
    before = [run_of(seconds) for seconds in (100, 110, 90, 100, 900)]
    assert judged(run_of(200), *before).grade == "pass"
    verdict = judged(run_of(201), *before)
    assert verdict.grade == "warn"
    assert verdict.text == "the last run took 201.0 s, where 100.0 s are usual"
    assert judged(run_of(201), *before[:4]).grade == "pass"
    lenient = RunBudget(max_slowdown=3)
    assert judged(run_of(201), *before, budget=lenient).allowed is None
    assert judged(run_of(201), *before, budget=lenient).grade == "pass"


def test_a_run_that_made_a_part_is_no_fast_one():
    part = run_of(10, CLEAN)
    assert judged(*[part] * 10, *[run_of(6_000)] * 3).grade == "fail"
    assert judged(*[part] * 6, *[run_of(100)] * 6).text == ""


def test_each_part_is_held_to_the_budget_where_a_pipeline_is_made_in_parts():
    sources, rest = run_of(3_000, RAW), run_of(4_000, CLEAN, TOTAL)
    verdict = judged(sources, rest, sources, rest)
    assert (verdict.grade, verdict.run_id) == ("warn", "run of 4000")


def test_runs_of_another_kind_count_until_a_later_one_made_all_that_they_made():
    slow = run_of(6_000, RAW, CLEAN)
    assert judged(run_of(10, RAW), slow).grade == "fail"
    assert judged(run_of(10, RAW), run_of(50), slow).grade == "pass"


def test_what_a_removed_asset_took_does_not_stand_in_the_way():
    verdict = verdict_of(HOUR, [run_of(50, RAW), run_of(6_000, RAW, CLEAN)], frozenset({RAW}))
    assert verdict is not None
    assert verdict.seconds == (50 + 6_000) / 2
    assert verdict_of(HOUR, [run_of(6_000, CLEAN)], frozenset({RAW})) is None


def test_a_range_is_held_to_its_budget_by_the_partition_and_to_ranges_alone():
    backfill = run_of(36_000, partitions=365)
    assert judged(backfill).grade == "pass"
    assert judged(run_of(4_000), backfill, run_of(4_000)).seconds == 4_000
    [text] = {judged(run_of(9_000, partitions=2)).text}
    assert text == "the last run takes 4,500.0 s a partition, 3,600 s are allowed"


def _declare(project: Project, *days: int) -> None:
    for day in days:
        (project.folder / f"2024-01-0{day}.csv").write_text(f"id\n{day}\n")
    project.declare(BODY.replace("{folder}", str(project.folder)))


def _run(project: Project, instance: dg.DagsterInstance, day: int, *names: str) -> str:
    wanted = names or ("raw/orders", "staging/orders")
    key = f"2024-01-0{day}"
    return run_assets(project, instance, *wanted, partition_key=key).run_id


def test_only_what_runs_computed_counts_and_only_of_those_that_succeeded(
    project: Project, instance: dg.DagsterInstance
):
    _declare(project, 1, 2)
    first = _run(project, instance, 1)
    again = _run(project, instance, 1)
    (project.folder / "2024-01-02.csv").write_text("id\n1000\n")
    failed = _run(project, instance, 2)

    found = spans_of(instance, ["shop"])["shop"]

    assert [(span.run_id, span.assets) for span in found] == [
        (again, {RAW}),
        (first, {RAW, CLEAN}),
    ]
    assert failed not in {span.run_id for span in found}
    assert all(span.partitions == 1 and 0 < span.seconds < 600 for span in found)


def test_the_oldest_runs_are_forgotten(project: Project, instance: dg.DagsterInstance):
    _declare(project, 1)
    run_id = _run(project, instance, 1)
    fill = sa.text(
        "INSERT INTO data_platform_run_spans SELECT pipeline, 'old-' || n,"
        " began_at - interval '1 day', ended_at - n * interval '1 hour', assets, partitions"
        f" FROM data_platform_run_spans, generate_series(1, {KEPT}) AS n"
    )
    with transaction(instance, SPANS) as connection:
        connection.execute(fill)
    _run(project, instance, 1, "raw/orders")
    with transaction(instance, SPANS) as connection:
        kept = connection.scalars(sa.text("SELECT run_id FROM data_platform_run_spans")).all()
    assert len(kept) == KEPT
    assert run_id in kept


def test_status_tells_of_runs_that_take_too_long(project: Project, instance: dg.DagsterInstance):
    _declare(project, 1)
    nodes = project.build().plan.nodes
    assert verdicts(instance, nodes) == {}
    run_id = _run(project, instance, 1)
    assert list(of_run_budgets(instance, nodes)) == []
    lengthen(instance, timedelta(hours=2))
    [trouble] = of_run_budgets(instance, nodes)
    assert (trouble.area, trouble.level) == ("budget", "red")
    assert trouble.found.startswith("runs of shop are over their budget: the last run takes 7,2")
    assert run_id[:8] in trouble.advice


def test_nothing_is_noted_of_a_pipeline_without_a_budget(
    project: Project, instance: dg.DagsterInstance
):
    (project.folder / "2024-01-01.csv").write_text("id\n1\n")
    body = BODY.replace("budget: {max_duration: 1h}\n", "")
    project.declare(body.replace("{folder}", str(project.folder)))
    _run(project, instance, 1)
    assert spans_of(instance, ["shop"]) == {"shop": []}


def lengthen(instance: dg.DagsterInstance, by: timedelta) -> None:
    """As if the runs so far had taken longer."""
    longer = sa.text(
        "UPDATE data_platform_run_spans SET began_at = began_at - CAST(:by AS interval)"
    )
    with transaction(instance, SPANS) as connection:
        connection.execute(longer, {"by": by})
