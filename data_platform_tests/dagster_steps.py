"""Steps of Dagster over a test's project: its assets, run as Dagster runs them."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
from factories import Project

from data_platform.asset_specs import asset_key
from data_platform.definitions import asset_of
from data_platform.plan.nodes import AnyNode, PythonNode
from data_platform.resources import LAKE, LakeResource, platform_resources

NOW = datetime(2024, 3, 1, tzinfo=UTC)


def assets_of(project: Project, *names: str) -> list[dg.AssetsDefinition]:
    """The assets of `layer/name`, as Dagster sees them."""
    nodes: list[AnyNode] = [project.node(name) for name in names]
    return [asset_of(node, NOW) for node in nodes if not isinstance(node, PythonNode)]


def run_assets(
    project: Project, instance: dg.DagsterInstance, *names: str, **given: Any
) -> dg.ExecuteInProcessResult:
    """Run assets in one run.

    Args:
        project: with the pipeline.
        instance: where it is recorded.
        names: of the assets, `layer/name`.
        given: to `dagster.materialize`, such as `partition_key`.
    """
    resources = platform_resources(project.workspace().platform)
    return dg.materialize(
        assets_of(project, *names),
        instance=instance,
        resources={**resources, LAKE: LakeResource(root=str(project.workbench.lake.root))},
        raise_on_error=False,
        **given,
    )


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step says."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data
    assert data.user_failure_data is not None, data.error
    return data.user_failure_data.description or ""


def retries_of(result: dg.ExecuteInProcessResult) -> list[tuple[float, str]]:
    """The seconds of each wait for another try, and what it was told with."""
    events = [event for event in result.all_events if event.is_step_up_for_retry]
    return [
        (event.step_retry_data.seconds_to_wait or 0, str(event.step_retry_data.error))
        for event in events
    ]


def materialized(instance: dg.DagsterInstance, project: Project, name: str) -> list[str | None]:
    """The partitions of an asset's materializations, oldest first."""
    key = asset_key(project.node(name).key)
    records = instance.fetch_materializations(key, limit=1_000).records
    return [record.partition_key for record in reversed(records)]
