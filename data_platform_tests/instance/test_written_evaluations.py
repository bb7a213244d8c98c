"""Evaluations are kept as Dagster keeps them, whoever has written them."""

from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.declarative_automation.serialized_objects import (
    AutomationConditionEvaluation,
)
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.storage.schedules.schema import AssetDaemonAssetEvaluationsTable
from dagster_shared.serdes import deserialize_value, serialize_value

from data_platform.instance.evaluations import BriefSchedules, WrittenEvaluation

DAYS = dg.DailyPartitionsDefinition("2024-01-01")


@dg.asset(
    partitions_def=DAYS, automation_condition=dg.AutomationCondition.eager().with_label("größer")
)
def sales() -> None: ...


def evaluation_of() -> AutomationConditionEvaluation[Any]:
    with dg.DagsterInstance.ephemeral() as instance:
        found = dg.evaluate_automation_conditions([sales], instance).results
    return found[0].serializable_evaluation


def through_the_code_server(evaluation: AutomationConditionEvaluation[Any]) -> WrittenEvaluation:
    """As the daemon reads what the code server has sent."""
    sent = SensorExecutionData(automation_condition_evaluations=[WrittenEvaluation.of(evaluation)])
    read = deserialize_value(serialize_value(sent), SensorExecutionData)
    (found,) = read.automation_condition_evaluations
    assert isinstance(found, WrittenEvaluation)
    return found


def kept(storage: BriefSchedules) -> list[tuple[Any, ...]]:
    columns = AssetDaemonAssetEvaluationsTable.c
    names = (columns.evaluation_id, columns.asset_key, columns.asset_evaluation_body)
    with storage.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(*names, columns.num_requested))]


def test_what_is_kept_is_what_dagster_would_have_kept(instance: dg.DagsterInstance) -> None:
    storage = instance.schedule_storage
    assert isinstance(storage, BriefSchedules)
    evaluation = evaluation_of()
    written = through_the_code_server(evaluation)
    assert written.key == evaluation.key
    for runs in (set[str](), {"b" * 8, "a" * 8}):
        storage.add_auto_materialize_asset_evaluations(1, [written.with_run_ids(runs)])
        storage.add_auto_materialize_asset_evaluations(2, [evaluation.with_run_ids(runs)])
        ours, dagsters = sorted(kept(storage))
        assert ours[1:] == dagsters[1:]
    (read,) = storage.get_auto_materialize_evaluations_for_evaluation_id(1)
    told = read.get_evaluation_with_run_ids()
    assert told.run_ids == {"a" * 8, "b" * 8}
    labels = [part.condition_snapshot.label for part in told.evaluation.iter_nodes()]
    assert labels[0] == "größer"
    assert labels == [part.condition_snapshot.label for part in evaluation.iter_nodes()]


def test_a_tick_that_judged_nothing_keeps_nothing(instance: dg.DagsterInstance) -> None:
    storage = instance.schedule_storage
    assert isinstance(storage, BriefSchedules)
    storage.add_auto_materialize_asset_evaluations(1, [])
    assert kept(storage) == []
