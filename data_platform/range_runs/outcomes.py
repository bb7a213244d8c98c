"""What recorded runs did to their partitions, read from Dagster's event log.

Called by `backfills` when one goes on, and by the sensor of follow-ups. A run that was killed ended
no step that it was in: what it had published by then is known by its materializations.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode
from data_platform.range_runs.tags import partitions_of
from data_platform.run_reports import AssetReport, after_event, is_about, is_interrupt

_ENDS = {
    dg.DagsterEventType.STEP_OUTPUT,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}


@dataclass(frozen=True)
class Outcome:
    """What a run did to one asset.

    Attributes:
        report: in figures; `skipped` where its step didn't end.
        partitions: that the run was to make.
        done: those of them that were published, or needn't be.
    """

    report: AssetReport
    partitions: tuple[str, ...]
    done: frozenset[str]


def outcomes_of(
    instance: dg.DagsterInstance, run: dg.DagsterRun, nodes: Iterable[AnyNode]
) -> dict[Key, Outcome]:
    """What a run did to each of the assets that it was of.

    Args:
        instance: Dagster's.
        run: over, however it ended.
        nodes: of which it may be.
    """
    selected = assets_of(instance, run)
    asked = [node for node in nodes if asset_key(node.key) in selected]
    own = {node.key: tuple(partitions_of(run.tags, node.partitions, instance)) for node in asked}
    reports = _reports(instance, run, asked, own)
    unended = [node for node in asked if reports[node.key].state == "skipped"]
    published = _published(instance, run, unended) if unended else {}
    found: dict[Key, Outcome] = {}
    for node in asked:
        report, keys = reports[node.key], own[node.key]
        done = published.get(node.key, set()) if report.state == "skipped" else set(keys)
        found[node.key] = Outcome(report, keys, frozenset(done - set(report.failed)))
    return found


def assets_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> frozenset[dg.AssetKey]:
    """The assets that a run makes; one of a whole job has them in its events only."""
    if run.asset_selection:
        return frozenset(run.asset_selection)
    planned = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    )
    events = (record.event_log_entry.dagster_event for record in planned.records)
    return frozenset(event.asset_key for event in events if event and event.asset_key)


def _reports(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    nodes: Sequence[AnyNode],
    own: dict[Key, tuple[str, ...]],
) -> dict[Key, AssetReport]:
    reports = {node.key: AssetReport(node.key) for node in nodes}
    for entry in instance.all_logs(run.run_id, of_type=_ENDS):
        event = entry.dagster_event
        if event is None or is_interrupt(event):
            continue
        for node in nodes:
            if node.step_name == event.step_key and is_about(event, node):
                reports[node.key] = after_event(event, reports[node.key], own[node.key])
    return reports


def _published(
    instance: dg.DagsterInstance, run: dg.DagsterRun, nodes: Iterable[AnyNode]
) -> dict[Key, set[str]]:
    """The partitions whose materializations a run wrote."""
    keys = {asset_key(node.key): node.key for node in nodes}
    found: dict[Key, set[str]] = {}
    wanted = dg.DagsterEventType.ASSET_MATERIALIZATION
    for entry in instance.all_logs(run.run_id, of_type=wanted):
        event = entry.dagster_event
        if event is not None and event.asset_key in keys:
            made = event.step_materialization_data.materialization.partition or WHOLE
            found.setdefault(keys[event.asset_key], set()).add(made)
    return found
