"""Events of Dagster's log as its steps write them, made by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.events import (
    DagsterEvent,
    DagsterEventType,
    StepMaterializationData,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.plan.objects import StepFailureData, StepRetryData, StepSuccessData
from dagster_shared.error import SerializableErrorInfo

from data_platform.observability.following.follower import Followed

RUN = "run-1"


def followed(
    number: int,
    kind: DagsterEventType,
    *,
    at: float = 1_000.0,
    run: str = RUN,
    step: str | None = None,
    data: Any = None,
) -> Followed:
    """An event."""
    event = DagsterEvent(kind.value, "job", step_key=step, event_specific_data=data)
    return Followed(
        number, EventLogEntry(None, 20, "", run, at, step_key=step, dagster_event=event)
    )


def succeeded(number: int, step: str, seconds: float) -> Followed:
    """A step that ended well."""
    data = StepSuccessData(seconds * 1_000.0)
    return followed(number, DagsterEventType.STEP_SUCCESS, step=step, data=data)


def failed(number: int, step: str) -> Followed:
    """A step that failed."""
    data = StepFailureData(None, None)
    return followed(number, DagsterEventType.STEP_FAILURE, step=step, data=data)


def tried_again(number: int, step: str) -> Followed:
    """A try that failed, with another to come."""
    data = StepRetryData(SerializableErrorInfo("gone", [], None))
    return followed(number, DagsterEventType.STEP_UP_FOR_RETRY, step=step, data=data)


def published(
    number: int,
    key: Sequence[str],
    metadata: Mapping[str, Any] | None = None,
    *,
    partition: str | None = None,
    at: float = 1_000.0,
    run: str = RUN,
) -> Followed:
    """A materialization."""
    materialization = dg.AssetMaterialization(
        dg.AssetKey(key), metadata=metadata, partition=partition
    )
    data = StepMaterializationData(materialization)
    return followed(number, DagsterEventType.ASSET_MATERIALIZATION, at=at, run=run, data=data)


def checked(
    number: int, key: Sequence[str], name: str, *, passed: bool, warn: bool = False
) -> Followed:
    """An evaluation of a check."""
    severity = dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR
    data = AssetCheckEvaluation(dg.AssetKey(key), name, passed, {}, severity=severity)
    return followed(number, DagsterEventType.ASSET_CHECK_EVALUATION, data=data)
