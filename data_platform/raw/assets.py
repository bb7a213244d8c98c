"""Raw assets in Dagster: one a source."""

from collections.abc import Sequence

import dagster as dg

from data_platform.lake_steps import lake_asset
from data_platform.plan.nodes import RawNode
from data_platform.plan.notices import notice_check, notices_of
from data_platform.plan.sources import connection_of
from data_platform.quality.gate import Passage
from data_platform.raw.extraction import extract
from data_platform.resources import outside_of
from data_platform.storage.workbench import Workbench


def raw_asset(node: RawNode) -> dg.AssetsDefinition:
    """The asset of a source."""
    connection = connection_of(node.source)
    connections = {connection} if connection else set[str]()

    def work(
        context: dg.AssetExecutionContext,
        keys: Sequence[str],
        workbench: Workbench,
        metadata: dict[str, str],
    ) -> Passage:
        return extract(node, keys, workbench, outside_of(context.resources), metadata)

    notices = [notice_check(name, node.location) for name in notices_of(node)]
    return lake_asset(node, work, connections, notices)
