"""A pipeline's schedule: its sources at the ticks of a cron, for the newest due partitions.

Called by `definitions`. What lies below the sources follows by its own automation; what history a
schedule with `catchup` fills is in `conditions`, since that goes on between the ticks.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME

from data_platform.asset_specs import asset_key
from data_platform.plan.nodes import RawNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.pipelines import PipelinePlan
from data_platform.range_runs.tags import partition_tags
from data_platform.run_tags import CAUSE_TAG


def pipeline_schedule(pipeline: PipelinePlan) -> dg.ScheduleDefinition | None:
    """The schedule of a pipeline, on from the first start; None where it starts nothing."""
    sources = [
        node
        for node in pipeline.nodes
        if isinstance(node, RawNode) and node.automation is None and node.enabled
    ]
    if pipeline.schedule is None or not sources:
        return None
    name = f"{pipeline.name}_sources"
    crons = pipeline.schedule.crons
    several = len({node.partitions for node in sources if node.partitions}) > 1

    @dg.schedule(
        name=name,
        # Dagster shows a target, and makes none of assets with several kinds of partitions.
        target=None if several else dg.AssetSelection.assets(*[asset_key(n.key) for n in sources]),
        job_name=IMPLICIT_ASSET_JOB_NAME if several else None,
        cron_schedule=list(crons) if len(crons) > 1 else "".join(crons),
        execution_timezone=pipeline.schedule.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"The sources of {pipeline.name}, for the newest due partitions.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        return list(_requests(name, sources, context)) or dg.SkipReason(
            f"nothing is due for {', '.join(node.key.name for node in sources)}"
        )

    return schedule


def _requests(
    name: str, sources: Sequence[RawNode], context: dg.ScheduleEvaluationContext
) -> Iterator[dg.RunRequest]:
    """One request for each range of partitions, and one for the sources that have none."""
    tick = context.scheduled_execution_time
    together: dict[tuple[Partitions | None, tuple[str, ...]], list[dg.AssetKey]] = {}
    for node in sources:
        for part in _due(node.partitions, tick, context):
            together.setdefault((node.partitions, part), []).append(asset_key(node.key))
    for number, ((partitions, part), keys) in enumerate(together.items()):
        several = len(part) > 1
        yield dg.RunRequest(
            run_key=f"{tick.isoformat()}/{number}",
            asset_selection=keys,
            partition_key=part[0] if len(part) == 1 else None,
            tags={
                CAUSE_TAG: f"schedule {name}",
                **(partition_tags(partitions, part) if several else {}),
            },
        )


def _due(
    partitions: Partitions | None, tick: datetime, context: dg.ScheduleEvaluationContext
) -> list[tuple[str, ...]]:
    """What one run each is to read; time asks for nothing after the partitions' end."""
    if partitions is None:
        return [()]
    if partitions.has_ended(tick):
        return []
    registered = (
        context.instance.get_dynamic_partitions(partitions.dynamic) if partitions.dynamic else ()
    )
    return [tuple(part) for part in partitions.contiguous(partitions.newest_due(tick, registered))]
