"""Destinations in Dagster: what follows assets of the lake."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from data_platform.asset_specs import place_metadata
from data_platform.asset_steps import step_asset
from data_platform.destinations.loading import Loading, deliver
from data_platform.instance.circuit_store import CircuitStore
from data_platform.plan.destinations.kinds import circuit_of, resources_of
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DestinationNode
from data_platform.reporting.budgets import budget_result
from data_platform.reporting.events import (
    PartitionEvent,
    ended_steps,
    inputs_of,
    newest_events,
    record_materializations,
    results,
)
from data_platform.reporting.failure_texts import rollback_text
from data_platform.reporting.figures import rows_label
from data_platform.reporting.lineage import lineage_metadata
from data_platform.reporting.range_reports import RangeFacts, range_report
from data_platform.reporting.taken import Meter
from data_platform.reporting.tries import trying
from data_platform.reporting.unjudged import as_judged_before
from data_platform.resources import LAKE, outside_of
from data_platform.sources.circuits import guarded


def destination_asset(node: DestinationNode, spec: dg.AssetSpec) -> dg.AssetsDefinition:
    """The asset of a destination, with its spec."""

    def step(context: dg.AssetExecutionContext) -> Iterator[Any]:
        keys = list(context.partition_keys) if node.partitions else [WHOLE]
        workbench = getattr(context.resources, LAKE).workbench()
        outside = outside_of(context.resources)
        before = newest_events(context, node)
        meter = Meter()
        circuits = CircuitStore(context.instance)
        with (
            trying(context, node) as work,
            guarded(circuits, circuit_of(node.target), lambda: datetime.now(UTC)),
        ):
            loading = deliver(
                node, keys, replace(workbench, work=work), outside, context.run.run_id
            )
        taken = meter.read()
        text = _range_report(context, node, loading, taken.seconds)
        newest = max(loading.versions, default=None)
        events = {
            key: PartitionEvent(
                version.data_version,
                {
                    **_figures(node, loading, key, taken.seconds),
                    **place_metadata(node.target),
                    **({"table_changes": "\n".join(loading.said)} if loading.said else {}),
                    **({"report": dg.MetadataValue.md(text)} if text and key == newest else {}),
                    **(lineage_metadata(node, loading.upstreams) if key == newest else {}),
                    **(taken.metadata() if key == newest else {}),
                },
                inputs_of(node, key, loading.upstreams, before),
            )
            for key, version in loading.versions.items()
        }
        record_materializations(context, node.key, node.code_version, events)
        delivered = sum(version.rows for version in loading.versions.values())
        figures = {
            "partitions": len(loading.versions),
            "changed": len(loading.loaded),
            "rows_in": delivered,
            "rows_out": delivered,
        }
        yield from results(
            node,
            loading.outcomes,
            {**loading.failed, **dict.fromkeys(loading.undone, "rolled back with another")},
            loading.standing if loading.rolled_back else None,
            figures,
            text,
            _why(node, loading),
        )
        if not loading.outcomes:
            names = [check.name for check in node.checks]
            yield from as_judged_before(context, node, names, "the table had all that there is")
        yield from budget_result(context, node, taken, len(loading.loaded))

    return step_asset(node, spec, step, {LAKE, *resources_of(node.target)})


def _why(node: DestinationNode, loading: Loading) -> str | None:
    """Why a load was rolled back; None where it wasn't."""
    if not loading.rolled_back:
        return None
    return rollback_text(node, loading.broken, len(loading.undone), loading.standing)


def _figures(
    node: DestinationNode, loading: Loading, key: str, seconds: float
) -> dict[str, int | float | bool]:
    """The numbers of a partition that Dagster plots; partitions share the time by their rows."""
    rows = loading.versions[key].rows
    if key not in loading.loaded:
        return {rows_label(node): rows, "unchanged": True, "rows_loaded": 0}
    loaded = sum(loading.versions[one].rows for one in loading.loaded)
    share = rows / loaded if loaded else 1 / len(loading.loaded)
    return {
        rows_label(node): rows,
        "rows_loaded": rows,
        "rows_per_second": round(loaded / seconds, 1) if seconds else 0.0,
        "seconds": round(seconds * share, 4),
    }


def _range_report(
    context: dg.AssetExecutionContext, node: DestinationNode, loading: Loading, seconds: float
) -> str | None:
    """The report of a load of several partitions."""
    if len(loading.versions) + len(loading.failed) + len(loading.undone) <= 1:
        return None
    rows = {key: version.rows for key, version in loading.versions.items()}
    facts = RangeFacts(
        rows_out=rows,
        changed=len(loading.loaded),
        failed=loading.failed,
        rows_in=rows,
        outcomes=loading.outcomes,
        phases={"load": seconds - loading.judging, "judge": loading.judging}
        if loading.outcomes
        else {"load": seconds},
        ended=ended_steps(context),
        step=str(node.key),
    )
    return range_report(facts)
