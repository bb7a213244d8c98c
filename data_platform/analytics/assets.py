"""Analytics assets in Dagster."""

import dagster as dg

from data_platform.analytics.computing import compute
from data_platform.lake_steps import lake_asset
from data_platform.plan.nodes import AnalyticsNode


def analytics_asset(node: AnalyticsNode, spec: dg.AssetSpec) -> dg.AssetsDefinition:
    """The asset of an analytics node, with its spec."""
    return lake_asset(
        node,
        spec,
        lambda _, keys, workbench, metadata: compute(node, keys, workbench, metadata),
        set(),
    )
