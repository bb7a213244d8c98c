"""What a run did to each asset, read from Dagster's events as they come, or from its event log.

Made by `running` and `range_runs.outcomes`, shown by the terminal and by tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import dagster as dg
from dagster._core.events import RunFailureReason
from dagster_shared.error import SerializableErrorInfo

from data_platform.asset_specs import asset_key
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.reporting.events import FAILED
from data_platform.secrets.masker import mask

State = Literal["success", "failed", "skipped"]
_AROUND = frozenset(
    {"DagsterExecutionStepExecutionError", "ScheduleExecutionError", "SensorExecutionError"}
)
"""Errors of Dagster's that only say where another one was raised."""


@dataclass(frozen=True)
class AssetReport:
    """What a run did to an asset.

    Attributes:
        key: of the asset.
        state: how its step ended; `skipped` where something above it failed.
        partitions: that were published, the unchanged ones included.
        changed: those of them that have other rows than before.
        rows_in, rows_out, quarantined: rows.
        checks, passed: how many there are, and how many of them passed.
        seconds: of its steps.
        failed: partitions that weren't published.
        message: why it failed.
        kept, skipped: partitions that weren't read: their last good version stands; or there was
            no need to.
    """

    key: Key
    state: State = "skipped"
    partitions: int = 0
    changed: int = 0
    rows_in: int = 0
    rows_out: int = 0
    quarantined: int = 0
    checks: int = 0
    passed: int = 0
    seconds: float = 0.0
    failed: tuple[str, ...] = ()
    message: str | None = None
    kept: int = 0
    skipped: int = 0

    def with_more(self, other: "AssetReport") -> "AssetReport":
        """This and a follow-up of it together."""
        return replace(
            other,
            partitions=self.partitions + other.partitions,
            changed=self.changed + other.changed,
            rows_in=self.rows_in + other.rows_in,
            rows_out=self.rows_out + other.rows_out,
            quarantined=self.quarantined + other.quarantined,
            seconds=self.seconds + other.seconds,
            failed=(*self.failed, *other.failed),
            kept=self.kept + other.kept,
            skipped=self.skipped + other.skipped,
            message=self.message or other.message,
            state="failed" if "failed" in (self.state, other.state) else other.state,
        )


@dataclass(frozen=True)
class RunReport:
    """What `run_pipeline` did.

    Attributes:
        run_ids: of Dagster's runs, follow-ups last.
        assets: in the order in which they can run.
        seconds: in all.
        disabled: assets that were left out because of `enabled: false`.
    """

    run_ids: tuple[str, ...]
    assets: tuple[AssetReport, ...]
    seconds: float
    disabled: tuple[Key, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether every asset was built for everything that was asked for."""
        return all(asset.state == "success" for asset in self.assets)


def is_about(event: dg.DagsterEvent, node: AnyNode) -> bool:
    """Whether an event of a step that makes several assets is about this one, or about all."""
    key = event.asset_key
    if key is None and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        key = event.asset_check_evaluation_data.asset_key
    return key is None or key == asset_key(node.key)


def after_event(event: dg.DagsterEvent, report: AssetReport, own: tuple[str, ...]) -> AssetReport:
    """The report of an asset after an event of its step.

    Args:
        event: that is about the asset, see `is_about`.
        report: before it.
        own: the partitions of the asset in this run.
    """
    match event.event_type:
        case dg.DagsterEventType.STEP_OUTPUT:
            return with_figures(report, event.step_output_data.metadata or {})
        case dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            passed = event.asset_check_evaluation_data.passed
            return replace(report, checks=report.checks + 1, passed=report.passed + passed)
        case dg.DagsterEventType.STEP_SUCCESS:
            seconds = event.step_success_data.duration_ms / 1000
            return replace(report, state="success", seconds=seconds)
        case dg.DagsterEventType.STEP_FAILURE:
            return after_failure(event, report, own)
        case _:
            return report


def with_figures(report: AssetReport, metadata: Mapping[str, dg.MetadataValue]) -> AssetReport:
    """The report with the numbers of a step, where its metadata has them."""
    values = {
        name: value.value
        for name, value in metadata.items()
        if isinstance(value, dg.IntMetadataValue)
    }
    if "partitions" not in values:
        return report
    return replace(
        report,
        partitions=values["partitions"],
        changed=values.get("changed", 0),
        rows_in=values.get("rows_in", 0),
        rows_out=values.get("rows_out", 0),
        quarantined=values.get("rows_quarantined", 0),
        kept=values.get("partitions_kept", 0),
        skipped=values.get("partitions_skipped", 0),
    )


def is_interrupt(event: dg.DagsterEvent) -> bool:
    """Whether somebody ended the run: Ctrl-C here, or a termination from the UI."""
    match event.event_type:
        case dg.DagsterEventType.RUN_CANCELED:
            return True
        case dg.DagsterEventType.RUN_FAILURE:
            reason = event.job_failure_data.failure_reason
            return reason == RunFailureReason.UNEXPECTED_TERMINATION
        case dg.DagsterEventType.STEP_FAILURE:
            error = event.step_failure_data.error
        case dg.DagsterEventType.STEP_UP_FOR_RETRY:
            error = event.step_retry_data.error
        case _:
            return False
    while error is not None:
        if error.cls_name in {"KeyboardInterrupt", "DagsterExecutionInterruptedError"}:
            return True
        error = error.cause
    return False


def own_words(error: SerializableErrorInfo | None) -> str:
    """What an error says, without what Dagster says around one of somebody else's code."""
    while error is not None and error.cause is not None and error.cls_name in _AROUND:
        error = error.cause
    return error.message.strip() if error else ""


def why_again(event: dg.DagsterEvent) -> str:
    """Why a step is tried again, and when, without the names of Dagster's classes."""
    error = event.step_retry_data.error
    while error is not None and error.cause is not None and error.cls_name == "RetryRequested":
        error = error.cause
    message = mask(error.message.strip()) if error else ""
    return message.partition("Failure: ")[2] or message


def after_failure(event: dg.DagsterEvent, report: AssetReport, own: tuple[str, ...]) -> AssetReport:
    """The report after a failure: of the partitions that it names, or all that were asked for."""
    data = event.step_failure_data
    given = data.user_failure_data
    metadata = given.metadata if given else {}
    report = with_figures(report, metadata)
    listed = metadata.get(FAILED)
    failed = (
        tuple(str(key) for key in listed.value or ())
        if isinstance(listed, dg.JsonMetadataValue)
        else own
    )
    cause = (
        data.error.cause.message
        if data.error and data.error.cause
        else data.error.message
        if data.error
        else ""
    )
    message = mask((given.description if given and given.description else cause).strip())
    return replace(report, state="failed", failed=failed, message=message)
