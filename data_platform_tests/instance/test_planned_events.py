"""What a run plans is kept as Dagster's own storage keeps it."""

from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.snap.execution_plan_snapshot import create_execution_plan_snapshot_id
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)

from data_platform.instance.event_log import BriefEventLog

DAYS = dg.DailyPartitionsDefinition("2024-01-01")


@dg.asset(partitions_def=DAYS, check_specs=[dg.AssetCheckSpec("sound", asset="sales")])
def sales(): ...


@dg.asset(
    partitions_def=DAYS,
    deps=[sales],
    check_specs=[dg.AssetCheckSpec(name, asset="totals") for name in ("sound", "complete")],
)
def totals(): ...


def kept(instance: dg.DagsterInstance, run_id: str) -> list[list[tuple[Any, ...]]]:
    """What the tables have of a run, without numbers and moments."""
    events, checks, assets = (
        SqlEventLogStorageTable.c,
        AssetCheckExecutionsTable.c,
        AssetKeyTable.c,
    )
    queries = [
        sa.select(events.dagster_event_type, events.step_key, events.asset_key, events.partition)
        .where(events.run_id == run_id)
        .order_by(events.id),
        sa.select(
            *(checks.asset_key, checks.check_name, checks.partition, checks.execution_status),
            # Each points at its own event, and has its text, but for the partitions of a range.
            events.step_key,
            events.dagster_event_type,
            sa.func.length(events.event) - sa.func.length(checks.evaluation_event),
        )
        .join_from(
            checks.id.table, events.id.table, checks.evaluation_event_storage_id == events.id
        )
        .where(checks.run_id == run_id, events.event.contains(checks.check_name))
        .order_by(checks.asset_key, checks.check_name, checks.partition),
        sa.select(assets.asset_key, assets.last_materialization_timestamp.is_not(None), assets.tags)
        .where(assets.last_run_id == run_id)
        .order_by(assets.asset_key),
    ]
    storage = instance.event_log_storage
    assert isinstance(storage, BriefEventLog)
    with storage.index_connection() as connection:
        return [[tuple(row) for row in connection.execute(query)] for query in queries]


@pytest.mark.parametrize(
    "tags",
    [
        {"dagster/partition": "2024-01-03"},
        {
            "dagster/asset_partition_range_start": "2024-01-01",
            "dagster/asset_partition_range_end": "2024-01-05",
        },
    ],
    ids=["one day", "five days"],
)
def test_a_run_plans_at_once_what_dagster_would_note_one_by_one(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tags: dict[str, str]
) -> None:
    job = dg.Definitions([sales, totals]).resolve_implicit_global_asset_job_def()
    found = []
    for one_by_one in ("1", ""):
        monkeypatch.setenv("DAGSTER_EMIT_PLANNED_EVENTS_INDIVIDUALLY", one_by_one)
        run = instance.create_run_for_job(job, tags=tags, asset_selection={sales.key, totals.key})
        found.append(kept(instance, run.run_id))
    one_by_one, at_once = found
    assert sorted(at_once[0], key=str) == sorted(one_by_one[0], key=str)
    assert at_once[1:] == one_by_one[1:]
    assert [len(rows) for rows in at_once] == [5, 3, 2]


def test_a_plan_is_kept_once_under_its_number(instance: dg.DagsterInstance) -> None:
    job = dg.Definitions([sales, totals]).resolve_implicit_global_asset_job_def()
    first, second = (instance.create_run_for_job(job) for _ in range(2))
    assert first.execution_plan_snapshot_id == second.execution_plan_snapshot_id
    kept_plan = instance.get_execution_plan_snapshot(str(first.execution_plan_snapshot_id))
    assert create_execution_plan_snapshot_id(kept_plan) == first.execution_plan_snapshot_id
    assert [step.key for step in kept_plan.steps] == ["sales", "totals"]
