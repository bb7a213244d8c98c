"""`on_error: use_last_good`: what can't be read keeps what it had, with a warning, and is old."""

import shutil

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster_steps import failure_of, materialized, retries_of, run_assets
from factories import DAY, NEXT_DAY, Project

from data_platform.asset_specs import asset_key
from data_platform.observability.event_log import read_event_log

RANGE = {
    "tags": {
        "dagster/asset_partition_range_start": DAY,
        "dagster/asset_partition_range_end": NEXT_DAY,
    }
}
MODULE = """
import pathlib
broken = pathlib.Path(__file__).with_name("broken")

def fetch():
    if broken.exists():
        raise {error}("the server is down")
    return [{{"id": 1}}]
"""


def declare(project: Project, more: str = "") -> None:
    project.declare(
        "sources:\n  orders:\n    type: file\n    settle: 0s\n"
        f"    path: orders/{{partition_key}}.parquet\n    on_error: use_last_good\n{more}"
        "staging:\n  orders: {from: raw.orders}\n",
        daily=True,
    )


def write(project: Project, key: str, number: int) -> None:
    folder = project.folder / "orders"
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"id": [number]}), folder / f"{key}.parquet")


def last_good(instance: dg.DagsterInstance, project: Project) -> dg.AssetCheckEvaluation:
    key = dg.AssetCheckKey(asset_key(project.node("raw/orders").key), "last_good")
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event is not None
    assert record.event.dagster_event is not None
    return record.event.dagster_event.asset_check_evaluation_data


def test_a_partition_that_cant_be_read_stands_and_isnt_materialized(
    project: Project, instance: dg.DagsterInstance
) -> None:
    declare(project)
    write(project, DAY, 1)
    write(project, NEXT_DAY, 2)
    assert run_assets(project, instance, "raw/orders", "staging/orders", **RANGE).success
    assert last_good(instance, project).passed
    before = materialized(instance, project, "raw/orders")
    (project.folder / "orders" / f"{DAY}.parquet").unlink()
    write(project, NEXT_DAY, 3)
    assert run_assets(project, instance, "raw/orders", "staging/orders", **RANGE).success
    assert project.column("raw/orders", "id") == [1, 3]
    assert project.column("staging/orders", "id") == [1, 3]
    assert materialized(instance, project, "raw/orders") == [*before, NEXT_DAY]
    warned = last_good(instance, project)
    assert not warned.passed
    assert warned.severity is dg.AssetCheckSeverity.WARN
    detail = str(warned.metadata["detail"].value)
    assert "not read: " in detail
    assert " ago, at 20" in detail
    assert detail.endswith(" UTC, stands")
    logged = read_event_log(instance, [project.node("raw/orders")])
    [known] = logged.values()
    assert known.warned_checks == ("last_good",)


def test_where_nothing_stands_it_fails_as_ever(
    project: Project, instance: dg.DagsterInstance
) -> None:
    declare(project)
    write(project, DAY, 1)
    assert run_assets(project, instance, "raw/orders", partition_key=DAY).success
    shutil.rmtree(project.folder / "orders")
    result = run_assets(project, instance, "raw/orders", **RANGE)
    text = failure_of(result)
    assert f"{NEXT_DAY}: " in text
    assert f"{DAY}: " not in text


def test_a_partition_that_comes_and_breaks_a_rule_fails(
    project: Project, instance: dg.DagsterInstance
) -> None:
    declare(project, "    quality:\n      - range: {column: id, max: 1}\n")
    write(project, DAY, 1)
    assert run_assets(project, instance, "raw/orders", partition_key=DAY).success
    write(project, DAY, 2)
    assert "range_id" in failure_of(run_assets(project, instance, "raw/orders", partition_key=DAY))


@pytest.mark.parametrize(("error", "tries"), [("ConnectionError", 1), ("KeyError", 0)])
def test_retries_come_first(
    project: Project, instance: dg.DagsterInstance, error: str, tries: int
) -> None:
    path = project.declare(
        "sources:\n  orders:\n    type: python\n    function: fetching:fetch\n"
        "    on_error: use_last_good\n    retries: {delays: [0s]}\n"
        "staging:\n  orders: {from: raw.orders}\n"
    )
    path.with_name("fetching.py").write_text(MODULE.format(error=error))
    assert run_assets(project, instance, "raw/orders").success
    path.with_name("broken").touch()
    result = run_assets(project, instance, "raw/orders", "staging/orders")
    assert result.success
    assert len(retries_of(result)) == tries
    assert materialized(instance, project, "raw/orders") == [None]
    assert "the server is down" in str(last_good(instance, project).metadata["detail"].value)
    path.with_name("broken").unlink()
    assert run_assets(project, instance, "raw/orders").success
    assert last_good(instance, project).passed


def test_checks_that_judged_nothing_stay_as_they_were(
    project: Project, instance: dg.DagsterInstance
) -> None:
    declare(project, "    quality:\n      - range: {column: id, max: 0, on_violation: warn}\n")
    write(project, DAY, 1)
    assert run_assets(project, instance, "raw/orders", partition_key=DAY).success
    shutil.rmtree(project.folder / "orders")
    result = run_assets(project, instance, "raw/orders", partition_key=DAY)
    assert result.success
    told = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert not told["range_id"].passed
    assert "as_before" in told["range_id"].metadata
    assert told["not_empty"].passed
