"""Analytics assets in Dagster."""

from collections.abc import Sequence

import dagster as dg

from data_platform.analytics.computing import compute
from data_platform.lake_steps import lake_asset
from data_platform.plan.nodes import AnalyticsNode
from data_platform.quality.gate import Passage
from data_platform.storage.workbench import Workbench


def analytics_asset(node: AnalyticsNode) -> dg.AssetsDefinition:
    """The asset of an analytics node."""

    def work(
        _: dg.AssetExecutionContext,
        keys: Sequence[str],
        workbench: Workbench,
        metadata: dict[str, str],
    ) -> Passage:
        return compute(node, keys, workbench, metadata)

    return lake_asset(node, work, set())
