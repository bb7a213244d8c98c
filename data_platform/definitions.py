"""The one entry point of Dagster: settings -> specs -> plan -> assets.

Loaded by the code server and by the command. One broken pipeline never hides the others.
"""

import functools
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import assert_never

import dagster as dg
from dagster._core.definitions.definitions_load_context import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
)

from data_platform.analytics.assets import analytics_asset
from data_platform.asset_specs import asset_key, asset_spec, external_spec, quarantine_spec
from data_platform.automation.conditions import condition_of
from data_platform.automation.endings import endings_sensor
from data_platform.automation.evaluation.sensor import AutomationSensor
from data_platform.automation.follow_ups import follow_ups_sensor
from data_platform.automation.pools import about_of, limits_of, pools_sensor
from data_platform.automation.schedules import pipeline_schedule
from data_platform.automation.sensors.building import outside_sensors
from data_platform.destinations.assets import destination_asset
from data_platform.handwritten.assets import handwritten_assets
from data_platform.instance.step_pods import platform_executor
from data_platform.io_manager import IO_MANAGER, LakeIOManager
from data_platform.loading import Loaded, collecting_nothing, load
from data_platform.logs.output import masked_errors
from data_platform.observability.alerts.sensor import alerts_sensor
from data_platform.observability.freshness_policies import policy_of
from data_platform.observability.openlineage.sensor import lineage_sensor
from data_platform.observability.retention.kinds import retention_sensor
from data_platform.observability.validity import broken_asset_specs, platform_definitions
from data_platform.plan.nodes import (
    AnalyticsNode,
    DestinationNode,
    LakeNode,
    PythonNode,
    RawNode,
    StagingNode,
)
from data_platform.raw.assets import raw_asset
from data_platform.reporting.tries import make_waiting_endable
from data_platform.repository import PlatformDefinitions
from data_platform.resources import lake_connection, platform_resources
from data_platform.settings import Settings, environment, load_settings
from data_platform.spec.automation import Schedule
from data_platform.staging.assets import staging_asset

# Code references and pools are in beta in Dagster; whoever loads a pipeline can't change that.
warnings.filterwarnings("ignore", category=dg.BetaWarning, module="data_platform")
# Dagster's client of Pipes asks its own reader what is new there.
warnings.filterwarnings("ignore", category=dg.PreviewWarning, module="dagster._core.pipes")


YamlNode = RawNode | StagingNode | AnalyticsNode | DestinationNode


def build_definitions(settings: Settings, environ: Mapping[str, str]) -> dg.Definitions:
    """Everything that Dagster shows and runs."""
    return definitions_of(load(settings, environ), datetime.now(UTC))


def definitions_of(loaded: Loaded, now: datetime) -> dg.Definitions:
    """The definitions of what was loaded.

    Args:
        loaded: the pipelines.
        now: aware; decides which partitions have ended.
    """
    make_waiting_endable()
    with collecting_nothing():
        return _definitions_of(loaded, now)


def _definitions_of(loaded: Loaded, now: datetime) -> dg.Definitions:
    nodes = loaded.plan.nodes
    quarantines = [
        quarantine_spec(node)
        for node in nodes
        if isinstance(node, LakeNode) and node.has_quarantine
    ]
    schedules = [pipeline_schedule(pipeline) for pipeline in loaded.plan.pipelines]
    files = [loaded.assets_files.get(pipeline.name) for pipeline in loaded.plan.pipelines]
    others = [entry for file in files if file for entry in file.others]
    limits = limits_of(loaded.plan, loaded.workspace.platform)
    named = [*(pipeline.name for pipeline in loaded.plan.pipelines), *loaded.broken]
    about = about_of(named, loaded.workspace.platform)
    endings = endings_sensor(loaded.plan.pipelines)
    alerts = alerts_sensor(
        loaded.plan,
        loaded.workspace.platform.alerts,
        {name: loaded.problems_of(name) for name in loaded.broken},
        loaded.outside().expand,
    )
    lineage = lineage_sensor(loaded)
    retention = retention_sensor(loaded)
    external = loaded.workspace.platform.external_assets
    pipelines = dg.Definitions(
        assets=[
            *(
                asset_of(node, now, pipeline.schedule)
                for pipeline in loaded.plan.pipelines
                for node in pipeline.nodes
                if not isinstance(node, PythonNode)
            ),
            *_handwritten(loaded, now),
            *quarantines,
            *(external_spec(key, one) for key, one in external.items()),
            *broken_asset_specs(_broken_keys(loaded)),
        ],
        asset_checks=[check for file in files if file for check in file.checks],
        schedules=[
            *(schedule for schedule in schedules if schedule),
            *(entry for entry in others if isinstance(entry, dg.ScheduleDefinition)),
        ],
        sensors=[
            AutomationSensor(),
            pools_sensor(about),
            *([endings] if endings else []),
            *([alerts] if alerts else []),
            *([lineage] if lineage else []),
            *([retention] if retention else []),
            *([follow_ups_sensor(loaded.plan)] if nodes else []),
            *outside_sensors(loaded),
            *(entry for entry in others if isinstance(entry, dg.SensorDefinition)),
        ],
        jobs=[entry for entry in others if isinstance(entry, dg.JobDefinition)],
        resources={
            **platform_resources(loaded.workspace.platform),
            IO_MANAGER: LakeIOManager(
                root=loaded.workspace.platform.lake.root,
                connection=lake_connection(loaded.workspace.platform),
            ),
        },
        executor=platform_executor,
        metadata=limits.metadata(),
    )
    merged = dg.Definitions.merge(pipelines, platform_definitions(loaded.problems))
    return PlatformDefinitions.of(merged)


def asset_of(
    node: YamlNode, now: datetime, schedule: Schedule | None = None
) -> dg.AssetsDefinition:
    """The asset of a node, with its condition and freshness policy.

    Args:
        node: the asset.
        now: aware; decides whether its partitions have ended.
        schedule: of its pipeline.
    """
    spec = asset_spec(node, condition_of(node, schedule), policy_of(node, now))
    match node:
        case RawNode():
            return raw_asset(node, spec)
        case StagingNode():
            return staging_asset(node, spec)
        case AnalyticsNode():
            return analytics_asset(node, spec)
        case DestinationNode():
            return destination_asset(node, spec)
        case _:
            assert_never(node)


def _handwritten(loaded: Loaded, now: datetime) -> Iterator[dg.AssetsDefinition]:
    """The assets of all `assets.py`, and the functions that check any assets."""
    for pipeline in loaded.plan.pipelines:
        file = loaded.assets_files.get(pipeline.name)
        nodes = {asset_key(n.key): n for n in pipeline.nodes if isinstance(n, PythonNode)}
        for step in file.steps if file else ():
            made = handwritten_assets(step, [nodes[key] for key in step.keys.values()])
            yield made.map_asset_specs(lambda spec, nodes=nodes: _timed(spec, nodes[spec.key], now))


def _timed(spec: dg.AssetSpec, node: PythonNode, now: datetime) -> dg.AssetSpec:
    """With the condition and policy of the node, unless its decorator has others."""
    return spec.replace_attributes(
        automation_condition=spec.automation_condition or condition_of(node),
        freshness_policy=spec.freshness_policy or policy_of(node, now),
    )


def _broken_keys(loaded: Loaded) -> list[tuple[str, ...]]:
    read = [tuple(name) for pipeline in loaded.workspace.broken for name in pipeline.assets]
    planned = [tuple(key) for keys in loaded.built.broken.values() for key in keys]
    return list(dict.fromkeys([*read, *planned]))


@functools.cache
def _of_this_process() -> dg.Definitions:
    return build_definitions(load_settings(), environment())


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads.

    The process of a run asks twice, for the job and for what of it is selected, and must find the
    same; a code server asks anew for each reload.
    """
    with masked_errors():
        if DefinitionsLoadContext.get().load_type is DefinitionsLoadType.RECONSTRUCTION:
            return _of_this_process()
        return build_definitions(load_settings(), environment())
