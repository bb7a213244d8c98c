"""Staging assets in Dagster."""

from collections.abc import Sequence

import dagster as dg

from data_platform.lake_steps import lake_asset
from data_platform.plan.nodes import StagingNode
from data_platform.quality.gate import Passage
from data_platform.staging.computing import compute
from data_platform.storage.workbench import Workbench


def staging_asset(node: StagingNode) -> dg.AssetsDefinition:
    """The asset of a staging node."""

    def work(
        _: dg.AssetExecutionContext,
        keys: Sequence[str],
        workbench: Workbench,
        metadata: dict[str, str],
    ) -> Passage:
        return compute(node, keys, workbench, metadata)

    return lake_asset(node, work, set())
