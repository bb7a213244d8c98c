"""Raw assets in Dagster: one a source."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from data_platform.instance.circuit_store import CircuitStore
from data_platform.lake_steps import lake_asset
from data_platform.plan.nodes import RawNode
from data_platform.plan.notices import notice_check, notices_of
from data_platform.plan.sources import connection_of
from data_platform.quality.gate import Passage
from data_platform.raw.extraction import extract
from data_platform.raw.last_good import or_last_good
from data_platform.reporting.tries import is_last_try
from data_platform.resources import outside_of
from data_platform.sources.circuits import circuit_of, guarded
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
        outside = outside_of(context.resources)
        circuit = circuit_of(node.source, outside.expand)

        def guarded_extract() -> Passage:
            with guarded(CircuitStore(context.instance), circuit, lambda: datetime.now(UTC)):
                return extract(node, keys, workbench, outside, metadata)

        passage = or_last_good(
            guarded_extract,
            node,
            keys,
            workbench.lake.table(node.key),
            datetime.now(UTC),
            last_try=is_last_try(context, node.retries),
        )
        for key, why in passage.kept.items():
            context.log.warning("%s: its last good version stands: %s", key or node.key, why)
        if passage.skipped:
            why = next(iter(passage.skipped.values()))
            context.log.info("not read, in %d cases: %s", len(passage.skipped), why)
        return passage

    notices = [notice_check(name, node.location) for name in notices_of(node)]
    return lake_asset(node, work, connections, notices)
