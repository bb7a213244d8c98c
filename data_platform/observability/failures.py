"""What failed last of assets and wasn't built since, as Dagster's runs tell it.

Called by the command's `status` and `why`. One query for all assets, one for their runs, and one a
run that failed: a cascade has few of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.event_log.base import AssetEntry

from data_platform.asset_specs import asset_key
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.reporting.failure_texts import in_a_line
from data_platform.run_reports import own_words

Level = Literal["red", "yellow", "green", "off"]
"""Red is for somebody to mend, yellow to look at; `off` is what somebody disabled."""
ENDED_BADLY = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


@dataclass(frozen=True)
class Failure:
    """The last try of an asset, which failed.

    Attributes:
        run_id: of the run.
        at: when the run ended.
        reason: the first line that says why; None where the run was ended from outside.
        own: whether the asset itself failed; else something above it did, in the same run.
    """

    run_id: str
    at: datetime
    reason: str | None
    own: bool = True


@dataclass(frozen=True)
class Cause:
    """Why assets aren't as they should be.

    Attributes:
        key: of the asset in which it began.
        text: what is wrong with it, in words.
        run_id: in which it failed, where it did.
        waiting: the assets below it that are late, failed or not built, itself left out; those
            that promise freshness first.
        level: how bad it is: that of the worst of them all.
        since: when it began, where that is known.
    """

    key: Key
    text: str
    run_id: str | None = None
    waiting: tuple[Key, ...] = ()
    level: Level = "red"
    since: datetime | None = None


def last_failures(instance: DagsterInstance, nodes: Iterable[AnyNode]) -> dict[Key, Failure]:
    """The failures that nothing has mended since, by asset.

    Args:
        instance: Dagster's.
        nodes: the assets.
    """
    asked = {asset_key(node.key): node for node in nodes}
    entries = [record.asset_entry for record in instance.get_asset_records(list(asked))]
    tried = {entry.asset_key: _planned(entry) for entry in entries}
    ended = _ended_badly(instance, {run_id for run_id in tried.values() if run_id})
    reasons = {run_id: _reasons(instance, run_id) for run_id in ended}
    found: dict[Key, Failure] = {}
    for entry in entries:
        run_id = tried[entry.asset_key]
        if run_id is None or run_id not in ended:
            continue
        node, why = asked[entry.asset_key], reasons[run_id]
        last = entry.last_materialization_record
        built = last is not None and last.run_id == run_id
        if node.step_name in why or not built:
            found[node.key] = _failure(ended[run_id], why, node.step_name)
    return found


def failure_in(instance: DagsterInstance, record: RunRecord, node: AnyNode) -> Failure:
    """How an asset, or a partition of it, failed in a run that was to build it.

    Args:
        instance: Dagster's.
        record: of a run that ended badly.
        node: the asset.
    """
    run_id = record.dagster_run.run_id
    return _failure(record, _reasons(instance, run_id), node.step_name)


def _planned(entry: AssetEntry) -> str | None:
    """The run that was to build an asset last."""
    return entry.last_planned_materialization_run_id or entry.last_run_id


def _failure(record: RunRecord, why: Mapping[str, str | None], step: str) -> Failure:
    ended = record.end_time or record.update_timestamp.timestamp()
    at, run_id = datetime.fromtimestamp(ended, UTC), record.dagster_run.run_id
    if not why:
        return Failure(run_id, at, _of_run(record))
    return Failure(run_id, at, why.get(step), own=step in why)


def _ended_badly(instance: DagsterInstance, run_ids: set[str]) -> Mapping[str, RunRecord]:
    if not run_ids:
        return {}
    records = instance.get_run_records(RunsFilter(run_ids=sorted(run_ids), statuses=ENDED_BADLY))
    return {record.dagster_run.run_id: record for record in records}


def _reasons(instance: DagsterInstance, run_id: str) -> dict[str, str | None]:
    """Why steps of a run failed, by step."""
    records = instance.get_records_for_run(run_id, of_type=DagsterEventType.STEP_FAILURE).records
    found: dict[str, str | None] = {}
    for record in records:
        event = record.event_log_entry.dagster_event
        if event is None or event.step_key is None:
            continue
        said = event.step_failure_data.user_failure_data
        error = event.step_failure_data.error
        text = (said.description if said else None) or own_words(error)
        found[event.step_key] = in_a_line(text)
    return found


def _of_run(record: RunRecord) -> str | None:
    canceled = record.dagster_run.status is DagsterRunStatus.CANCELED
    return "it was ended by somebody" if canceled else "its process ended"
