"""What Dagster's event log knows of assets: when they were last published, which checks failed.

Called by the command's `status`. A few queries for any number of assets, none of whose events are
read one by one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dagster import AssetCheckKey, AssetCheckSeverity, AssetKey, DagsterInstance
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as Status,
)

from data_platform.plan.checks.notices import further_checks
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode


@dataclass(frozen=True)
class Logged:
    """What the event log says of an asset.

    Attributes:
        materialized_at: the last materialization, of any partition and changed or not.
        failed_checks: whose latest evaluation is an error.
        warned_checks: whose latest evaluation is a warning.
        registered: the keys of its partitions, where they are registered as they come.
    """

    materialized_at: datetime | None = None
    failed_checks: tuple[str, ...] = ()
    warned_checks: tuple[str, ...] = ()
    registered: tuple[str, ...] = ()


def read_event_log(instance: DagsterInstance, nodes: Iterable[AnyNode]) -> dict[Key, Logged]:
    """What the log says of each asset; checks that an asset no longer has are left out."""
    asked = {AssetKey(list(node.key)): node for node in nodes}
    times = _materialized_at(instance, asked)
    failed, warned = _broken_checks(instance, asked)
    names = {node.partitions.dynamic for node in asked.values() if node.partitions}
    registered = {name: instance.get_dynamic_partitions(name) for name in names if name}
    return {
        node.key: Logged(
            times.get(key),
            tuple(failed.get(key, ())),
            tuple(warned.get(key, ())),
            tuple(registered.get(node.partitions.dynamic or "", ())) if node.partitions else (),
        )
        for key, node in asked.items()
    }


def _materialized_at(
    instance: DagsterInstance, asked: Mapping[AssetKey, AnyNode]
) -> dict[AssetKey, datetime]:
    found: dict[AssetKey, datetime] = {}
    for record in instance.get_asset_records(list(asked)):
        last = record.asset_entry.last_materialization_record
        if last is not None:
            found[record.asset_entry.asset_key] = datetime.fromtimestamp(last.timestamp, UTC)
    return found


def _broken_checks(
    instance: DagsterInstance, asked: Mapping[AssetKey, AnyNode]
) -> tuple[dict[AssetKey, list[str]], dict[AssetKey, list[str]]]:
    keys = [AssetCheckKey(key, name) for key, node in asked.items() for name in _check_names(node)]
    failed: dict[AssetKey, list[str]] = {}
    warned: dict[AssetKey, list[str]] = {}
    if not keys:
        return failed, warned
    storage = instance.event_log_storage
    # One question; the summaries of Dagster's, which are one for each check, where one goes on.
    latest = dict(storage.get_latest_asset_check_execution_by_key(keys))
    going = [key for key, one in latest.items() if one.status is Status.PLANNED]
    summaries = storage.get_asset_check_summary_records(going) if going else {}
    for key in keys:
        record = latest.get(key)
        if key in summaries:
            record = summaries[key].last_completed_check_execution_record
        severity = _severity(record) if record else None
        if severity is not None:
            broken = failed if severity == AssetCheckSeverity.ERROR else warned
            broken.setdefault(key.asset_key, []).append(key.name)
    return failed, warned


def _severity(record: AssetCheckExecutionRecord) -> AssetCheckSeverity | None:
    """How grave a check's failure is; None where it passed."""
    event = record.event.dagster_event if record.event else None
    evaluation = event.asset_check_evaluation_data if event else None
    return None if evaluation is None or evaluation.passed else evaluation.severity


def _check_names(node: AnyNode) -> list[str]:
    return [check.name for check in (*node.checks, *further_checks(node))]
