"""What the pipelines say of their runs and pools, for the definitions and for Dagster's instance.

Called by `definitions` for the metadata and the sensor, and by the command before it runs.
"""

import dagster as dg

from data_platform.asset_steps import priority_of
from data_platform.instance.pool_limits import apply_limits
from data_platform.instance.run_limits import RunLimits
from data_platform.plan.nodes import Plan
from data_platform.plan.retrying import tries_after_the_first
from data_platform.spec.platform import Platform


def limits_of(plan: Plan, platform: Platform) -> RunLimits:
    """Of all pipelines."""
    nodes = plan.nodes
    return RunLimits(
        platform.lake.root,
        platform.pools,
        {one.name: one.max_active_runs for one in plan.pipelines if one.max_active_runs},
        {str(node.key): priority for node in nodes if (priority := priority_of(node))},
        {
            str(node.key): node.resources.model_dump(exclude_none=True)
            for node in nodes
            if node.resources
        },
        {str(node.key): tries for node in nodes if (tries := tries_after_the_first(node.retries))},
    )


def set_pools(instance: dg.DagsterInstance, platform: Platform) -> list[str]:
    """Bring the instance's pools in step with platform.yaml; gives what was changed, in words."""
    return apply_limits(instance, platform.pools, platform.lake.root)


def pools_sensor(limits: RunLimits) -> dg.SensorDefinition:
    """Sets the limits a minute after platform.yaml has changed at the latest."""

    @dg.sensor(
        name="pools",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=60,
        description="Keeps the limits of pools as platform.yaml says.",
        asset_selection=dg.AssetSelection.assets(dg.AssetKey("platform")),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        changed = apply_limits(context.instance, limits.pools, limits.owner)
        return dg.SkipReason(f"set {', '.join(changed)}" if changed else "nothing has changed")

    return sensor
