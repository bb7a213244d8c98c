"""Pools of platform.yaml, kept in step with Dagster's instance.

Called by `definitions` as a sensor and by `running` before a run.
"""

from collections.abc import Mapping

import dagster as dg


def apply_limits(instance: dg.DagsterInstance, pools: Mapping[str, int]) -> list[str]:
    """Set the limits that differ; gives the names of those that were set."""
    storage = instance.event_log_storage
    known = {limit.name: limit.limit for limit in storage.get_pool_limits()}
    changed = [name for name, limit in pools.items() if known.get(name) != limit]
    for name in changed:
        storage.set_concurrency_slots(name, pools[name])
    return changed


def pools_sensor(pools: Mapping[str, int]) -> dg.SensorDefinition:
    """Sets the limits a minute after platform.yaml has changed at the latest."""

    @dg.sensor(
        name="pools",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=60,
        description="Keeps the limits of pools as platform.yaml says.",
        asset_selection=dg.AssetSelection.assets(dg.AssetKey("platform")),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        changed = apply_limits(context.instance, pools)
        return dg.SkipReason(f"set {', '.join(changed)}" if changed else "nothing has changed")

    return sensor
