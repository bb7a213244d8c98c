"""Steps that are tried again, killed, canceled: which moments are told, and as which run."""

import json
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.events import (
    DagsterEvent,
    JobFailureData,
    RunFailureReason,
    StepMaterializationData,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.plan.objects import StepRetryData, StepSuccessData
from dagster._core.test_utils import create_run_for_test
from dagster_shared.error import SerializableErrorInfo
from factories import DAY, NEXT_DAY, Project

from data_platform.observability.openlineage.events import run_id_of
from data_platform.observability.openlineage.moments import FORGOTTEN, Moment, Moments
from data_platform.observability.openlineage.open_steps import MAX_KEYS, AssetMade, OpenSteps
from data_platform.plan.nodes import Plan

STEP = "raw__shop__orders"
ORDERS = dg.AssetKey(["raw", "shop", "orders"])
NOW = 1_700_000_000.0
AGAIN = StepRetryData(SerializableErrorInfo("the server is busy", [], "Busy"), 5)


class Log:
    """Dagster's log, an event at a time, and what is known after each."""

    def __init__(self, plan: Plan, instance: dg.DagsterInstance) -> None:
        self.plan = plan
        self.instance = instance
        self.known = OpenSteps()

    def run(self, **tags: str) -> str:
        return create_run_for_test(self.instance, tags=tags).run_id

    def after(
        self, run_id: str, kind: str, data: object = None, step: str | None = STEP, at: float = NOW
    ) -> list[Moment]:
        if kind == "STEP_SUCCESS":
            data = StepSuccessData(1.0)
        event = DagsterEvent(kind, "__ASSET_JOB", step_key=step, event_specific_data=data)  # pyright: ignore[reportArgumentType]
        entry = EventLogEntry(None, 10, "", run_id, at, step, "__ASSET_JOB", event)
        # As from one tick to the next.
        self.known = OpenSteps.model_validate_json(
            json.dumps(self.known.model_dump(exclude_defaults=True))
        )
        return Moments(self.plan, self.instance, self.known).after(entry)

    def materialized(self, run_id: str, partition: str, **metadata: object) -> list[Moment]:
        made = dg.AssetMaterialization(ORDERS, partition=partition, metadata=dict(metadata))  # pyright: ignore[reportArgumentType]
        return self.after(run_id, "ASSET_MATERIALIZATION", StepMaterializationData(made))


@pytest.fixture
def log(project: Project) -> Iterator[Log]:
    project.declare("", daily=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Log(project.build().plan, instance)


def told(moments: list[Moment]) -> list[str]:
    return [moment.what for moment in moments]


def test_each_try_is_a_run_of_its_own(log: Log):
    run_id = log.run()
    [first] = log.after(run_id, "STEP_START")
    one = run_id_of(first.step, str(first.key))
    log.materialized(run_id, DAY)
    [failed] = log.after(run_id, "STEP_UP_FOR_RETRY", AGAIN)
    assert (failed.what, run_id_of(failed.step, str(failed.key))) == ("FAIL", one)
    assert failed.message == "the server is busy"
    [second] = log.after(run_id, "STEP_RESTARTED")
    assert (second.what, second.step.attempt, second.step.made) == ("START", 2, {})
    [done] = log.after(run_id, "STEP_SUCCESS")
    assert done.what == "COMPLETE"
    assert run_id_of(done.step, str(done.key)) == run_id_of(second.step, str(second.key)) != one
    assert log.known.steps == []


def test_what_was_in_work_when_its_process_was_killed_has_failed(log: Log):
    run_id, other = log.run(), log.run()
    log.after(run_id, "STEP_START")
    log.after(other, "STEP_START")
    ended = JobFailureData(None, RunFailureReason.RUN_EXCEPTION)
    [moment] = log.after(run_id, "PIPELINE_FAILURE", ended, step=None)
    assert (moment.what, moment.key) == ("FAIL", ("raw", "shop", "orders"))
    assert told(log.after(run_id, "STEP_SUCCESS")) == []
    assert [step.run_id for step in log.known.steps] == [other]


def test_what_was_in_work_when_its_run_was_canceled_is_told_as_ended(log: Log):
    run_id = log.run()
    log.after(run_id, "STEP_START")
    assert told(log.after(run_id, "PIPELINE_CANCELED", step=None)) == ["ABORT"]
    log.after(run_id, "STEP_START")
    log.after(run_id, "STEP_UP_FOR_RETRY", AGAIN)
    # Its last try was told already.
    assert told(log.after(run_id, "PIPELINE_CANCELED", step=None)) == []
    assert log.known.steps == []


def test_partitions_are_summed_up(log: Log):
    key = {
        "dagster/asset_partition_range_start": DAY,
        "dagster/asset_partition_range_end": NEXT_DAY,
    }
    run_id = log.run(**key)
    [begun] = log.after(run_id, "STEP_START")
    assert begun.step.wanted == {"raw/shop/orders": [DAY, NEXT_DAY]}
    rows = "dagster/partition_row_count"
    log.materialized(run_id, DAY, **{rows: 3, "bytes": 10, "rows_in": 4, "delta_version": "7"})
    log.materialized(run_id, NEXT_DAY, **{rows: 5, "unchanged": True})
    [done] = log.after(run_id, "STEP_SUCCESS")
    made = done.step.made["raw/shop/orders"]
    assert made == AssetMade(
        partitions=[DAY, NEXT_DAY], count=2, unchanged=1, rows=3, rows_in=4, bytes=10,
        delta_version="7",
    )  # fmt: skip


def test_a_long_range_names_some_of_its_partitions_and_counts_all():
    made = AssetMade()
    for number in range(MAX_KEYS + 5):
        made.add(dg.AssetMaterialization("a", partition=str(number)))
    assert (made.count, len(made.partitions)) == (MAX_KEYS + 5, MAX_KEYS)


def test_others_steps_are_passed_by(log: Log):
    run_id = log.run()
    assert log.after(run_id, "STEP_START", step="somebody_elses") == []
    assert log.after(run_id, "STEP_SUCCESS", step="somebody_elses") == []
    assert log.after("a run that was deleted", "STEP_START") == []
    log.after(run_id, "STEP_START")
    made = StepMaterializationData(dg.AssetMaterialization(ORDERS))
    assert log.after(run_id, "ASSET_MATERIALIZATION", made, step=None) == []
    assert told(log.after(run_id, "STEP_SUCCESS")) == ["COMPLETE"]
    assert log.after(run_id, "STEP_SUCCESS") == []


def test_step_of_whose_end_nobody_tells_is_forgotten(log: Log):
    log.after(log.run(), "STEP_START")
    later = log.run()
    log.after(later, "STEP_START", at=NOW + FORGOTTEN + 1)
    assert [step.run_id for step in log.known.steps] == [later]
