"""Destinations in Dagster: tables outside that follow assets of the lake."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from data_platform.asset_events import (
    PartitionEvent,
    failure_of,
    inputs_of,
    newest_events,
    record_materializations,
    results,
)
from data_platform.asset_specs import asset_spec, step_options
from data_platform.destinations.loading import deliver
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DestinationNode
from data_platform.resources import LAKE


def destination_asset(node: DestinationNode) -> dg.AssetsDefinition:
    """The asset of a destination."""

    @dg.multi_asset(specs=[asset_spec(node)], **step_options(node, {LAKE, node.connection}))
    def step(context: dg.AssetExecutionContext) -> Iterator[Any]:
        keys = list(context.partition_keys) if node.partitions else [WHOLE]
        workbench = getattr(context.resources, LAKE).workbench()
        url = getattr(context.resources, node.connection).resolved_url()
        before = newest_events(context, node)
        try:
            loading = deliver(node, keys, workbench, url, context.run.run_id)
        except Exception as error:
            raise failure_of(error) from error
        rows = "dagster/partition_row_count" if node.partitions else "dagster/row_count"
        events = {
            key: PartitionEvent(
                version.data_version,
                {
                    rows: version.rows,
                    "dagster/table_name": node.table,
                    **({} if key in loading.loaded else {"unchanged": True}),
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
        yield from results(node, [], loading.failed, {}, figures)

    return step
