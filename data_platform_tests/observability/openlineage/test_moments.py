"""Steps that are tried again, killed, canceled: which moments are told, and as which run."""

import json
from collections.abc import Iterator
from pathlib import Path

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
from factories import DAY, NEXT_DAY, SOURCE, Project
from openlineage_spec import check_event

from data_platform.loading import load
from data_platform.observability.openlineage.describing import Descriptions
from data_platform.observability.openlineage.events import bare_event, event_of, run_id_of
from data_platform.observability.openlineage.moments import FORGOTTEN, Moment, Moments
from data_platform.observability.openlineage.naming import Naming
from data_platform.observability.openlineage.open_steps import MAX_KEYS, AssetMade, OpenSteps
from data_platform.plan.pipelines import Plan
from data_platform.settings import Settings
from data_platform.spec.platform import Platform
from data_platform.storage.lake import Lake

STEP = "raw__shop__orders"
TWO_OF_ONE_STEP = """
import dagster as dg

@dg.multi_asset(outs={"one": dg.AssetOut(), "two": dg.AssetOut()})
def both():
    ...
"""
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


def test_repetition_names_the_first_run_as_its_root(log: Log):
    first = log.run()
    again = create_run_for_test(log.instance, root_run_id=first, parent_run_id=first).run_id
    [begun] = log.after(again, "STEP_START")
    assert (begun.step.run_id, begun.step.root) == (again, first)


def test_each_asset_of_a_step_that_its_run_is_of_is_told(project: Project):
    (project.declare(SOURCE).parent / "assets.py").write_text(TWO_OF_ONE_STEP)
    settings = Settings(project.folder, project.folder / ".data", (project.pipelines,))
    loaded = load(settings, {})
    assert not loaded.problems
    with dg.DagsterInstance.ephemeral() as instance:
        log = Log(loaded.plan, instance)
        begun = log.after(log.run(), "STEP_START", step="shop__both")
        assert {moment.key.name for moment in begun} == {"one", "two"}
        assert len({run_id_of(moment.step, str(moment.key)) for moment in begun}) == 2
        one = frozenset([dg.AssetKey(["analytics", "shop", "one"])])
        part = create_run_for_test(instance, asset_selection=one).run_id
        for kind in ("STEP_START", "STEP_SUCCESS"):
            [moment] = log.after(part, kind, step="shop__both")
            assert moment.key.name == "one"


def test_what_can_not_be_described_is_told_without_datasets(log: Log, tmp_path: Path):
    [moment] = log.after(log.run(), "STEP_START")
    lake = Lake(tmp_path / "lake")
    naming = Naming(Platform(), lake, tmp_path, lambda text: text)
    descriptions = Descriptions(log.plan, naming, "shops")
    event = bare_event(moment, descriptions, ValueError("no such thing"))
    check_event(event)
    assert event["job"] == {"namespace": "shops", "name": "shop.raw.orders", "facets": {}}
    [error] = event["run"]["facets"]["extractionError"]["errors"]
    assert error == {"errorMessage": "ValueError: no such thing", "task": "raw/shop/orders"}
    # Told in full it is the same run.
    assert event_of(moment, descriptions)["run"]["runId"] == event["run"]["runId"]
