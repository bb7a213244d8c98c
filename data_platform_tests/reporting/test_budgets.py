"""What steps take, and whether that is within an asset's budget."""

from datetime import timedelta

import dagster as dg
import numpy as np
import pytest
import sqlalchemy as sa
from dagster_steps import run_assets
from factories import Project

from data_platform.asset_specs import asset_key
from data_platform.instance.own_tables import transaction
from data_platform.reporting.budgets import KEPT, RUNS, Step, excesses
from data_platform.reporting.taken import Meter
from data_platform.spec.limits import Budget

MIB = 2**20
DAILY = """
partitions: {every: day, start: 2024-01-01}
sources:
  orders: {type: file, path: "{folder}/{partition_key}.csv", settle: 0s%s}
"""


def _said(budget: Budget, *steps: Step) -> list[tuple[str, str]]:
    return [(one.severity.value, one.text) for one in excesses(budget, steps)]


def test_the_average_of_the_last_ten_is_held_to_the_budget():
    budget = Budget(max_duration=timedelta(seconds=60))
    fast, slow = Step(30, 0), Step(200, 0)
    assert _said(budget, *[Step(60, 0)] * 10, slow) == []
    assert _said(budget, Step(61, 0)) == [
        ("WARN", "the step takes 61.0 s a partition, 60 s are allowed")
    ]
    [(severity, text)] = _said(budget, *[fast] * 8, slow, slow, fast)
    assert severity == "WARN"
    assert text == "the average of 10 steps takes 64.0 s a partition, 60 s are allowed"


@pytest.mark.parametrize(("seconds", "severity"), [(90.0, "WARN"), (90.1, "ERROR")])
def test_half_as_much_again_is_an_error(seconds: float, severity: str):
    budget = Budget(max_duration=timedelta(seconds=60))
    assert [found for found, _ in _said(budget, Step(seconds, 0))] == [severity]


def test_memory_has_a_budget_too():
    budget = Budget(max_memory="512Mi")
    assert _said(budget, Step(1, 512 * MIB)) == []
    assert _said(budget, Step(1, 800 * MIB)) == [
        ("ERROR", "the step holds 800 MiB, 512Mi are allowed")
    ]


def test_a_step_of_twice_the_median_is_slow_where_enough_came_before():
    budget = Budget(max_memory="1Ti")
    before = [Step(seconds, 0) for seconds in (4, 5, 6, 5, 50)]
    assert _said(budget, Step(10, 0), *before) == []
    assert _said(budget, Step(11, 0), *before) == [
        ("WARN", "11.0 s a partition, where 5.0 s are usual")
    ]
    assert _said(budget, Step(11, 0), *before[:4]) == []
    assert _said(Budget(max_slowdown=3), Step(11, 0), *before) == []


def test_steps_of_less_than_a_second_are_never_slow():
    assert _said(Budget(max_slowdown=2), Step(0.9, 0), *[Step(0.01, 0)] * 10) == []


def test_nothing_is_known_of_no_step():
    assert _said(Budget(max_memory="1Mi")) == []


def test_a_step_s_own_memory_and_processor_are_counted():
    before = np.ones(64 * MIB // 8)
    del before
    quiet = Meter().read()
    meter = Meter()
    held = np.ones(256 * MIB // 8)
    taken = meter.read()
    del held
    assert taken.peak_bytes > quiet.peak_bytes + 200 * MIB
    assert Meter().read().peak_bytes < taken.peak_bytes - 200 * MIB
    assert 0 <= taken.cpu_seconds <= taken.seconds + 1


def _declare(project: Project, budget: str) -> None:
    for day in (1, 2):
        (project.folder / f"2024-01-0{day}.csv").write_text("id\n1\n")
    text = DAILY.replace("{folder}", str(project.folder))
    project.declare(text % (f", budget: {budget}" if budget else ""))


def _results(result: dg.ExecuteInProcessResult) -> list[dg.AssetCheckEvaluation]:
    found = result.get_asset_check_evaluations()
    return [one for one in found if one.check_name == "budget"]


def test_a_budget_is_a_check_that_holds_nothing_back(
    project: Project, instance: dg.DagsterInstance
):
    _declare(project, "{max_memory: 1Mi}")
    result = run_assets(project, instance, "raw/orders", partition_key="2024-01-01")
    assert result.success
    [check] = _results(result)
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert "1Mi are allowed" in str(check.metadata["detail"].value)
    assert project.table("raw/orders").snapshot()


def test_steps_are_remembered_and_the_oldest_forgotten(
    project: Project, instance: dg.DagsterInstance
):
    _declare(project, "{max_duration: 1h}")
    [check] = _results(run_assets(project, instance, "raw/orders", partition_key="2024-01-01"))
    assert check.passed
    assert check.metadata["steps"].value == 1
    fill = (
        "INSERT INTO data_platform_taken (asset, run_id, partitions, seconds, cpu_seconds,"
        " peak_bytes) SELECT asset, run_id, 2, 40000, 1, 1 FROM data_platform_taken,"
        f" generate_series(1, {KEPT})"
    )
    with transaction(instance) as connection:
        connection.execute(sa.text(fill))
    [check] = _results(run_assets(project, instance, "raw/orders", partition_key="2024-01-02"))
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.metadata["steps"].value == RUNS
    with transaction(instance) as connection:
        kept = connection.scalar(sa.text("SELECT count(*) FROM data_platform_taken"))
    assert kept == KEPT


def test_what_an_asset_without_a_budget_takes_is_told(
    project: Project, instance: dg.DagsterInstance
):
    _declare(project, "")
    result = run_assets(project, instance, "raw/orders", partition_key="2024-01-01")
    assert _results(result) == []
    [record] = instance.fetch_materializations(asset_key(project.node("raw/orders").key), 2).records
    told = record.asset_materialization
    assert told is not None
    assert told.metadata["peak_memory_bytes"].value > MIB
    assert told.metadata["cpu_seconds"].value >= 0
