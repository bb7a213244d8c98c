"""A pipeline's schedule: its sources at the ticks of a cron, for the newest due partition.

Called by `definitions`. What lies below the sources follows by its own automation.
"""

from collections.abc import Sequence

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.plan.nodes import PipelinePlan, RawNode


def pipeline_schedule(pipeline: PipelinePlan) -> dg.ScheduleDefinition | None:
    """The schedule of a pipeline, on from the first start; None where it has none."""
    sources = [
        node for node in pipeline.nodes if isinstance(node, RawNode) and node.automation is None
    ]
    if pipeline.schedule is None or not sources:
        return None
    name = f"{pipeline.name}_sources"

    @dg.schedule(
        name=name,
        target=dg.AssetSelection.assets(*[asset_key(node.key) for node in sources]),
        cron_schedule=pipeline.schedule.cron,
        execution_timezone=pipeline.schedule.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"The sources of {pipeline.name}, for the newest due partition.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        return _requests(sources, context)

    return schedule


def _requests(
    sources: Sequence[RawNode], context: dg.ScheduleEvaluationContext
) -> list[dg.RunRequest] | dg.SkipReason:
    """One request a partition, and one for the sources that have none."""
    tick = context.scheduled_execution_time
    by_partition: dict[str | None, list[dg.AssetKey]] = {}
    over: list[str] = []
    for node in sources:
        partitions = node.partitions.newest_due(tick) if node.partitions else [None]
        if not partitions or (node.partitions and node.partitions.has_ended(tick)):
            over.append(node.key.name)
            continue
        for partition in partitions:
            by_partition.setdefault(partition, []).append(asset_key(node.key))
    if not by_partition:
        return dg.SkipReason(f"nothing is due for {', '.join(over)}")
    return [
        dg.RunRequest(
            run_key=f"{tick.isoformat()}/{partition or 'whole'}",
            asset_selection=keys,
            partition_key=partition,
        )
        for partition, keys in by_partition.items()
    ]
