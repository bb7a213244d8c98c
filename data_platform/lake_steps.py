"""The step of an asset that is kept in the lake: run it, record it, report it.

Called by the `assets.py` of the stages, which differ only in what they compute.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg

from data_platform.asset_specs import table_schema
from data_platform.asset_steps import step_asset
from data_platform.engine.lake_files import duckdb_type
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnalyticsNode, PythonNode, RawNode, StagingNode
from data_platform.plan.schemas import Column, Schema
from data_platform.quality.gate import Passage
from data_platform.reporting.budgets import budget_result
from data_platform.reporting.events import (
    PartitionEvent,
    ended_steps,
    inputs_of,
    joined,
    newest_events,
    record_materializations,
    results,
)
from data_platform.reporting.figures import figures_of, rows_label
from data_platform.reporting.lineage import lineage_metadata
from data_platform.reporting.previews import preview_of
from data_platform.reporting.range_reports import RangeFacts, range_report
from data_platform.reporting.taken import Meter, Taken
from data_platform.reporting.tries import trying
from data_platform.reporting.unchanged import (
    UNCHANGED,
    checks_of,
    record_unchanged,
)
from data_platform.reporting.unjudged import as_judged_before
from data_platform.resources import LAKE
from data_platform.run_config import changed_metadata, changed_text, given_values
from data_platform.storage.lake import LakeTable
from data_platform.storage.versions import Snapshot
from data_platform.storage.workbench import Workbench
from data_platform.work_left import NOTHING, work_left

LakeAsset = RawNode | StagingNode | AnalyticsNode | PythonNode
Work = Callable[[dg.AssetExecutionContext, Sequence[str], Workbench, dict[str, str]], Passage]
"""Computes partitions: (context, keys, workbench, metadata of the commit)."""


def lake_asset(
    node: LakeAsset,
    spec: dg.AssetSpec,
    work: Work,
    resources: set[str],
) -> dg.AssetsDefinition:
    """The Dagster asset of a node.

    Args:
        node: what it is.
        spec: what Dagster shows of it.
        work: computes partitions and publishes what passed.
        resources: that `work` needs besides the lake.
    """

    def step(context: dg.AssetExecutionContext) -> Iterator[Any]:
        keys = list(context.partition_keys) if node.partitions else [WHOLE]
        given = given_values(context, node)
        workbench = replace(getattr(context.resources, LAKE).workbench(), given=given)
        metadata = {
            **commit_metadata(node, context.run.run_id),
            **changed_text(node, given),
        }
        events = newest_events(context, node)
        meter = Meter()
        with trying(context, node) as doing:
            left = work_left(context, [node], keys, replace(workbench, work=doing))
            made = work(context, left.keys, left.workbench, metadata) if left.keys else NOTHING
        passage = left.whole(made)
        taken = meter.read()
        yield from report(context, node, passage, workbench, events, taken)
        yield from budget_result(context, node, taken, computed(passage))

    return step_asset(node, spec, step, {LAKE, *resources})


def computed(passage: Passage) -> int:
    """How many partitions were computed, whatever came of them."""
    published = passage.publication.versions if passage.publication else {}
    return len(published) + len(passage.failed)


def commit_metadata(node: LakeAsset, run_id: str) -> dict[str, str]:
    """What a commit in the lake says of itself: who made its rows, and what they are held to."""
    version = {"contract_version": node.contract_version} if node.contract_version else {}
    return {
        "run_id": run_id,
        "code_version": node.code_version,
        "asset": str(node.key),
        **version,
    }


def report(
    context: dg.AssetExecutionContext,
    node: LakeAsset,
    passage: Passage,
    workbench: Workbench,
    events: Mapping[Key, int | None],
    taken: Taken,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Record what came of an asset's partitions, and yield what the step has to.

    A step that publishes several assets calls it once for each, and raises the failures together
    when all are reported: see `report_each`.

    Args:
        context: of the step.
        node: the asset.
        passage: what was published, and what wasn't.
        workbench: with the lake.
        events: as `newest_events` gave them before the lake was read.
        taken: by the work.

    Raises:
        dagster.Failure: partitions failed; raised after everything else is reported.
    """
    text = _range_report(context, node, passage, taken.seconds)
    table = workbench.lake.table(node.key)
    # Read anew after work: what was published isn't any more where it was written.
    snapshot = passage.standing or table.snapshot()
    standing = snapshot.partitions if snapshot else {}
    once = _once(node, passage, snapshot, table, text, taken) if snapshot else {}
    _record(context, node, passage, events, taken.seconds, once)
    record_unchanged(context, node, passage.unchanged, passage.upstreams, events, once)
    versions = {key: version.data_version for key, version in standing.items()}
    yield from results(node, passage.outcomes, passage.failed, versions, _totals(passage), text)
    why = UNCHANGED if passage.unchanged else "nothing came that could be judged"
    yield from as_judged_before(context, node, _unjudged(node, passage), why)


def _unjudged(node: LakeAsset, passage: Passage) -> list[str]:
    """The checks of a step that had nothing to judge: nothing came, or all of it stands."""
    if not isinstance(node, RawNode) and not passage.unchanged:
        return []
    judged = {outcome.check.name for outcome in passage.outcomes}
    return [name for name in checks_of(node) if name not in judged]


def report_each(
    context: dg.AssetExecutionContext,
    passages: Sequence[tuple[LakeAsset, Passage]],
    workbench: Workbench,
    events: Mapping[Key, int | None],
    taken: Taken,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """`report` for each asset of a step that publishes several; what failed is raised at the end.

    Args:
        context: of the step.
        passages: the assets and what came of them.
        workbench: with the lake.
        events: of the upstreams of all of them.
        taken: by the work in all; its time is shared evenly.

    Raises:
        dagster.Failure: partitions of one or several assets failed.
    """
    failures: list[dg.Failure] = []
    shared = replace(taken, seconds=taken.seconds / len(passages))
    for node, passage in passages:
        try:
            yield from report(context, node, passage, workbench, events, shared)
        except dg.Failure as failure:
            failures.append(failure)
    if failures:
        raise joined(failures)


def _record(
    context: dg.AssetExecutionContext,
    node: LakeAsset,
    passage: Passage,
    events: Mapping[Key, int | None],
    seconds: float,
    once: Mapping[str, Mapping[str, Any]],
) -> None:
    """Materializations of what was published; quarantine is a by-product with its own."""
    publication = passage.publication
    if publication is None:
        return
    changed = changed_metadata(node, given_values(context, node))
    published: dict[str, PartitionEvent] = {}
    for key, version in publication.versions.items():
        metadata: dict[str, Any] = {
            **changed,
            **passage.said.get(key, {}),
            **figures_of(node, passage, key, seconds),
            # As text: a number would be plotted.
            "delta_version": str(publication.lake_version),
        }
        metadata |= once.get(key, {})
        inputs = inputs_of(node, key, passage.upstreams, events) if passage.upstreams else {}
        published[key] = PartitionEvent(version.data_version, metadata, inputs)
    record_materializations(context, node.key, node.code_version, published)
    if node.has_quarantine:
        beside = _quarantine_events(node, passage)
        record_materializations(context, node.quarantine_key, node.code_version, beside)


def _once(
    node: LakeAsset,
    passage: Passage,
    snapshot: Snapshot,
    table: LakeTable,
    text: str | None,
    taken: Taken,
) -> dict[str, dict[str, Any]]:
    """What a step tells once, by its newest partition: a range costs no more than a day."""
    published = passage.publication.versions if passage.publication else {}
    newest = max([*published, *passage.unchanged], default=None)
    if newest is None or newest not in snapshot.partitions:
        return {}
    told = {
        "preview": dg.MetadataValue.md(
            preview_of(snapshot.partitions[newest], node.masking, table.place)
        ),
        **_columns(node, snapshot),
        **lineage_metadata(node, passage.upstreams),
        **({"report": dg.MetadataValue.md(text)} if text else {}),
        **(taken.metadata() if newest in published else {}),
        "dagster/uri": table.uri,
    }
    return {newest: told}


def _columns(node: LakeAsset, snapshot: Snapshot) -> dict[str, Any]:
    """The columns that there are, where they weren't known before a run."""
    known = node.schema
    if known.closed and all(column.type for column in known.columns):
        return {}
    columns = [
        replace(known[field.name], type=duckdb_type(field.type))
        if field.name in known
        else Column(field.name, duckdb_type(field.type))
        for field in snapshot.schema
    ]
    return {"dagster/column_schema": table_schema(Schema(tuple(columns), closed=True))}


def _range_report(
    context: dg.AssetExecutionContext, node: LakeAsset, passage: Passage, seconds: float
) -> str | None:
    """The report of a step over several partitions."""
    published = passage.publication.versions if passage.publication else {}
    if len(published) + len(passage.failed) <= 1:
        return None
    rest = "read" if isinstance(node, RawNode) else "read and compute"
    facts = RangeFacts(
        rows_out={key: version.rows for key, version in published.items()},
        changed=len(passage.publication.changed) if passage.publication else 0,
        failed=passage.failed,
        rows_in=passage.rows_in,
        quarantined=passage.quarantined,
        outcomes=passage.outcomes,
        phases={**passage.phases, rest: max(0.0, seconds - sum(passage.phases.values()))},
        ended=ended_steps(context),
        step=str(node.key),
    )
    return range_report(facts)


def _quarantine_events(node: LakeAsset, passage: Passage) -> dict[str, PartitionEvent]:
    """One for each partition that was published, also where nothing was held back."""
    written = passage.quarantine.versions if passage.quarantine else {}
    rows = rows_label(node)
    nothing = PartitionEvent("empty", {rows: 0, "rows_open": 0, "rows_discarded": 0})
    found: dict[str, PartitionEvent] = {}
    for key in passage.publication.versions if passage.publication else ():
        if key not in written:
            found[key] = nothing
            continue
        version, discarded = written[key], passage.discarded.get(key, 0)
        figures = {
            rows: version.rows,
            "rows_open": version.rows - discarded,
            "rows_discarded": discarded,
        }
        found[key] = PartitionEvent(version.data_version, figures)
    return found


def _totals(passage: Passage) -> dict[str, int]:
    publication = passage.publication
    published = {**passage.unchanged, **(publication.versions if publication else {})}
    return {
        "partitions": len(published),
        "changed": len(publication.changed) if publication else 0,
        "rows_in": sum(passage.rows_in.values()),
        "rows_out": sum(version.rows for version in published.values()),
        "rows_quarantined": sum(passage.quarantined.values()),
        **({"partitions_kept": len(passage.kept)} if passage.kept else {}),
        **({"partitions_skipped": len(passage.skipped)} if passage.skipped else {}),
        **({"partitions_unchanged": len(passage.unchanged)} if passage.unchanged else {}),
    }
