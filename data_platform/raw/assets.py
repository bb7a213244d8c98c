"""Raw assets in Dagster: one a source."""

from collections.abc import Sequence

import dagster as dg

from data_platform.lake_steps import lake_asset
from data_platform.plan.nodes import DatabaseTable, RawNode
from data_platform.quality.gate import Passage
from data_platform.raw.extraction import NEW_COLUMNS, OUTSIDE, extract, notice_check
from data_platform.storage.workbench import Workbench


def raw_asset(node: RawNode) -> dg.AssetsDefinition:
    """The asset of a source."""
    connections = {node.source.connection} if isinstance(node.source, DatabaseTable) else set()
    notices = [NEW_COLUMNS]
    if isinstance(node.source, DatabaseTable) and node.partitions:
        notices.append(OUTSIDE)

    def work(
        context: dg.AssetExecutionContext,
        keys: Sequence[str],
        workbench: Workbench,
        metadata: dict[str, str],
    ) -> Passage:
        return extract(
            node,
            keys,
            workbench,
            lambda name: getattr(context.resources, name).resolved_url(),
            metadata,
        )

    return lake_asset(
        node, work, connections, [notice_check(name, node.location) for name in notices]
    )
