"""Checks of a step that had nothing to judge: they stand as they were judged last.

Called by `lake_steps` and `destinations.assets`: Dagster wants a result of every check of a step
that succeeds, and neither a pass nor a failure would be true of rows that nobody looked at.
"""

from collections.abc import Iterator, Sequence

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
)

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
    for name in names:
        last = last_result(context, node, name)
        yield dg.AssetCheckResult(
            asset_key=asset_key(node.key),
            check_name=name,
            passed=last.passed if last else True,
            severity=last.severity if last else dg.AssetCheckSeverity.WARN,
            metadata={**(last.metadata if last else {}), "as_before": why},
        )


def last_result(
    context: dg.AssetExecutionContext, node: Node, name: str
) -> dg.AssetCheckEvaluation | None:
    """What came of a check when it was judged last; None where it never was.

    Dagster's own summary asks twice: what the run plans is newer than what was judged.
    """
    records = context.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(asset_key(node.key), name),
        limit=1,
        status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
    )
    event = records[0].event.dagster_event if records and records[0].event else None
    return event.asset_check_evaluation_data if event else None
