"""Checks of a step that had nothing to judge: they stand as they were judged last.

Called by `lake_steps` and `destinations.assets`: Dagster wants a result of every check of a step
that succeeds, and neither a pass nor a failure would be true of rows that nobody looked at.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.plan.nodes import Node


def as_judged_before(
    context: dg.AssetExecutionContext, node: Node, names: Sequence[str], why: str
) -> Iterator[dg.AssetCheckResult]:
    """The last results of checks again.

    Args:
        context: of the step.
        node: the asset.
        names: of its checks.
        why: nothing was judged.
    """
    keys = {name: dg.AssetCheckKey(asset_key(node.key), name) for name in names}
    if not keys:
        return
    summaries = context.instance.event_log_storage.get_asset_check_summary_records(
        list(keys.values())
    )
    for name, key in keys.items():
        record = summaries[key].last_completed_check_execution_record if key in summaries else None
        event = record.event.dagster_event if record and record.event else None
        last = event.asset_check_evaluation_data if event else None
        yield dg.AssetCheckResult(
            asset_key=asset_key(node.key),
            check_name=name,
            passed=last.passed if last else True,
            severity=last.severity if last else dg.AssetCheckSeverity.WARN,
            metadata={**(last.metadata if last else {}), "as_before": why},
        )
