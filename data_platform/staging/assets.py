"""Staging assets in Dagster."""

import dagster as dg

from data_platform.lake_steps import lake_asset
from data_platform.plan.nodes import StagingNode
from data_platform.staging.computing import compute


def staging_asset(node: StagingNode, spec: dg.AssetSpec) -> dg.AssetsDefinition:
    """The asset of a staging node, with its spec."""
    return lake_asset(
        node,
        spec,
        lambda _, keys, workbench, metadata: compute(node, keys, workbench, metadata),
        set(),
    )
