"""What the pipelines say of their runs and pools, for the definitions and for Dagster's instance.

Called by `definitions` for the metadata and the sensor, and by the command before it runs. The
sensor notes the code location, too, for the others of the same Dagster.
"""

from collections.abc import Iterable

import dagster as dg

from data_platform.asset_specs import platform_key
from data_platform.asset_steps import priority_of
from data_platform.code_locations import About, clashes, namesakes
from data_platform.instance.location_names import named, own_location
from data_platform.instance.locations import known_locations, note_location
from data_platform.instance.pool_limits import apply_limits
from data_platform.instance.run_limits import RunLimits
from data_platform.plan.pipelines import Plan
from data_platform.plan.retrying import tries_after_the_first
from data_platform.spec.platform import Platform


def limits_of(plan: Plan, platform: Platform) -> RunLimits:
    """Of all pipelines."""
    nodes = plan.nodes
    return RunLimits(
        _owner(platform),
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
    return apply_limits(instance, platform.pools, _owner(platform))


def about_of(pipelines: Iterable[str], platform: Platform) -> About:
    """What other code locations know of this one.

    Args:
        pipelines: the names of all, sound or not.
        platform: its platform.yaml.
    """
    kept = {name: age.total_seconds() if age else None for name, age in platform.retention}
    return About(_owner(platform), sorted(pipelines), platform.pools, kept)


def pools_sensor(about: About) -> dg.SensorDefinition:
    """Sets the limits a minute after platform.yaml has changed at the latest.

    Args:
        about: the code location.
    """

    @dg.sensor(
        name="pools",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=60,
        description="Keeps the limits of pools as platform.yaml says.",
        asset_selection=dg.AssetSelection.assets(platform_key()),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        origin = context.code_location_origin
        note_location(context.instance, origin.location_name if origin else "", about)
        changed = apply_limits(context.instance, about.pools, about.owner)
        told = [f"set {', '.join(changed)}" if changed else "nothing has changed"]
        known = known_locations(context.instance)
        told += [one for one in (namesakes(known, own_location()),) if one]
        told += clashes(known, own_location(), about.pipelines).values()
        return dg.SkipReason("; ".join(told))

    return sensor


def _owner(platform: Platform) -> str:
    """Who says what the pools are: the lake's root, and the code location behind it."""
    return named(platform.lake.root)
