"""Raw assets in Dagster: one a source."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from data_platform.engine.discretion import discreet_about, unread_words
from data_platform.instance.circuit_store import CircuitStore
from data_platform.lake_steps import lake_asset
from data_platform.plan.naming import SOURCE_FILES
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources.kinds import PythonSource, connection_of
from data_platform.quality.gate import Passage
from data_platform.raw.extraction import extract
from data_platform.raw.last_good import or_last_good
from data_platform.reporting.tries import is_last_try
from data_platform.resources import outside_of
from data_platform.sources.circuits import circuit_of, guarded
from data_platform.storage.workbench import Workbench


def raw_asset(node: RawNode, spec: dg.AssetSpec) -> dg.AssetsDefinition:
    """The asset of a source, with its spec."""
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
            store = CircuitStore(context.instance)
            with guarded(store, circuit, lambda: datetime.now(UTC)), discreet_about(node):
                return _discreet(node, extract(node, keys, workbench, outside, metadata))

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
        return replace(passage, said=_shown(passage.said))

    return lake_asset(node, spec, work, connections)


def _discreet(node: RawNode, passage: Passage) -> Passage:
    """What came of a source of personal data, without its own words; functions leave them out."""
    if not node.discreet or isinstance(node.source, PythonSource):
        return passage
    unread = dict.fromkeys(passage.unread, unread_words(node))
    failed = {key: unread.get(key, why) for key, why in passage.failed.items()}
    return replace(passage, unread=unread, failed=failed)


def _shown(said: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What a source says of each partition; the files of the newest one as a table.

    Each row of every partition knows its file; a year of tables would be in the event log for good.
    """
    shown = {key: dict(facts) for key, facts in said.items()}
    for key, facts in shown.items():
        files = facts.pop(SOURCE_FILES, None)
        if files and key == max(shown):
            records = [dg.TableRecord(file) for file in files]
            facts[SOURCE_FILES] = dg.MetadataValue.table(records)
    return shown
