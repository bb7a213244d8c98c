"""From what a step did to what Dagster records of it: materializations, check results, failures.

Called by the stages' `assets.py`. Every partition gets a materialization of its own with its own
data version, in batches, also when others of the range failed: this takes internals of Dagster,
which are kept here and watched by a test.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.metadata import normalize_metadata
from dagster._core.definitions.partitions.utils import get_tags_from_multi_partition_key
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata

from data_platform.asset_specs import asset_key
from data_platform.engine.full_disks import full_disk
from data_platform.engine.inputs import partitions_read
from data_platform.errors import PlatformError, TransientError
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import Node
from data_platform.plan.relations import relation_of
from data_platform.quality.outcomes import Outcome
from data_platform.reporting.check_results import check_result
from data_platform.reporting.failure_texts import failure_text
from data_platform.run_tags import pinned_events
from data_platform.storage.versions import Snapshot

BATCH = 500
FAILED = "failed_partitions"
"""In a failure's metadata: the partitions that weren't published."""

_INTERRUPTED = (
    "Query interrupted",  # DuckDB, where a signal's handler raised
    "INTERRUPT Error",  # DuckDB
    "canceling statement due to user request",  # PostgreSQL, asked by the driver
)


@dataclass(frozen=True)
class PartitionEvent:
    """What is recorded of a partition.

    Attributes:
        data_version: a hash of its rows.
        metadata: figures for people.
        inputs: what it was built from, by upstream.
    """

    data_version: str
    metadata: Mapping[str, Any]
    inputs: "Mapping[Key, InputVersion]" = field(default_factory=dict)


@dataclass(frozen=True)
class InputVersion:
    """What a partition was built from, as Dagster asks for it to tell what is stale.

    Attributes:
        data_version: of the upstream; Dagster compares it where the upstream has no partitions.
        event: the upstream's newest materialization in the event log before it was read; partitions
            of it with newer ones that changed them make this one stale. None where there was none.
    """

    data_version: str
    event: int | None


def record_materializations(
    context: dg.AssetExecutionContext,
    key: Key,
    code_version: str,
    partitions: Mapping[str, PartitionEvent],
) -> None:
    """Write a materialization for each partition, with its own data version.

    Args:
        context: of the step.
        key: of the asset, which may also be a by-product of the step.
        code_version: of the asset.
        partitions: by key; `WHOLE` for an asset that has none.
    """
    step = context.get_step_execution_context()
    entries = list(partitions.items())
    for start in range(0, len(entries), BATCH):
        batch = entries[start : start + BATCH]
        batch_id = f"{step.step.key}-{context.run.run_id}-{'-'.join(key)}-{start}"
        for number, (partition, event) in enumerate(batch):
            materialization = dg.AssetMaterialization(
                asset_key(key),
                partition=None if partition == WHOLE else partition,
                metadata=normalize_metadata(dict(event.metadata)),
                tags={**_tags(event, code_version), **_dimensions(context, partition)},
            )
            in_batch = (
                DagsterEventBatchMetadata(batch_id, number == len(batch) - 1)
                if len(batch) > 1
                else None
            )
            DagsterEvent.asset_materialization(step, materialization, in_batch)


def results(
    node: Node,
    outcomes: Sequence[Outcome],
    failed: Mapping[str, str],
    standing: Mapping[str, str] | None,
    figures: Mapping[str, int],
    report: str | None = None,
    why: str | None = None,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """What a step yields after its materializations: check results, then success or failure.

    Args:
        node: the asset.
        outcomes: of its checks.
        failed: why a partition wasn't published, by partition.
        standing: the data version that stands instead, by partition; None where it isn't known.
        figures: of the step as a whole, for its log and the closing table of a run.
        report: Markdown about the range of partitions, where there was one.
        why: it failed, in words, where that is more than a reason a partition.

    Raises:
        dagster.Failure: partitions failed; it names them, and isn't retried.
    """
    # A log shows the first lines of an event only.
    told = {**({"report": dg.MetadataValue.md(report)} if report else {}), **figures}
    if not failed:
        # The flag tells Dagster that the materializations are written already.
        metadata = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True, **told}
        yield dg.MaterializeResult(asset_key(node.key), metadata=metadata)
    for outcome in outcomes:
        yield check_result(node, outcome, failed, standing or {})
    if failed:
        metadata = {**told, FAILED: dg.MetadataValue.json(sorted(failed))}
        rows_shown = any(outcome.offending for outcome in outcomes)
        text = why or failure_text(node, failed, standing, rows_shown=rows_shown)
        raise dg.Failure(text, metadata, allow_retries=False)


def joined(failures: Sequence[dg.Failure]) -> dg.Failure:
    """One failure of a step that publishes several assets; it names all partitions that failed."""
    if len(failures) == 1:
        return failures[0]
    failed = sorted({key for one in failures for key in _failed_of(one)})
    return dg.Failure(
        "\n\n".join(one.description or "" for one in failures),
        {FAILED: dg.MetadataValue.json(failed)},
        allow_retries=False,
    )


def _failed_of(failure: dg.Failure) -> list[str]:
    value = failure.metadata[FAILED].value
    return [str(key) for key in value] if isinstance(value, list) else []


def failure_of(error: Exception) -> dg.Failure | KeyboardInterrupt:
    """What a step raises for an error: only one that can pass by itself is tried again.

    PostgreSQL's driver takes Ctrl-C during a query for itself, so that `engine.work` doesn't hear
    of it, and reports an error of the query, as DuckDB does outside of such work: here it becomes
    what it was, or the run would go on, and the step be tried again.
    """
    if asks_for_end(error):
        return KeyboardInterrupt()
    error = full_disk(error) or error
    text = str(error) if isinstance(error, PlatformError) else f"{type(error).__name__}: {error}"
    return dg.Failure(text, allow_retries=isinstance(error, TransientError))


def asks_for_end(error: Exception) -> bool:
    """Whether it is what a query makes of Ctrl-C."""
    return any(sign in str(error) for sign in _INTERRUPTED)


def newest_events(context: dg.AssetExecutionContext, node: Node) -> dict[Key, int | None]:
    """The newest materialization of each upstream in the event log.

    To be asked before the lake is read: what is published in between then counts as newer, and at
    worst a partition is called stale that isn't, never the other way round.
    """
    upstreams = {asset_key(given.key): given.key for given in node.inputs}
    if not upstreams:
        return {}
    entries = [record.asset_entry for record in context.instance.get_asset_records(list(upstreams))]
    known = {upstreams[entry.asset_key]: entry.last_materialization_storage_id for entry in entries}
    # A run that reads an older version has seen nothing of what came since.
    return {key: known.get(key) for key in upstreams.values()} | {
        key: event
        for key, event in pinned_events(context.run.tags).items()
        if key in upstreams.values()
    }


def ended_steps(context: dg.AssetExecutionContext) -> dict[str, float]:
    """Seconds of the steps of this run that have succeeded, by the asset's key as text."""
    found = context.instance.get_records_for_run(
        context.run.run_id, of_type=dg.DagsterEventType.STEP_SUCCESS
    )
    events = [record.event_log_entry.dagster_event for record in found.records]
    return {
        event.step_key.replace("__", "/"): event.step_success_data.duration_ms / 1000
        for event in events
        if event and event.step_key
    }


def inputs_of(
    node: Node, partition: str, upstreams: Mapping[str, Snapshot], events: Mapping[Key, int | None]
) -> dict[Key, InputVersion]:
    """What a partition was built from.

    Args:
        node: the asset.
        partition: its key.
        upstreams: the snapshots that were read, by relation.
        events: as `newest_events` gives them.
    """
    found: dict[Key, InputVersion] = {}
    for given in node.inputs:
        snapshot = upstreams[relation_of(given)]
        wanted = partitions_read(given, node, [partition], snapshot.partitions)
        versions = [snapshot.partitions[key].data_version for key in sorted(wanted)]
        version = (
            hashlib.sha256("".join(versions).encode()).hexdigest()
            if snapshot.partitioned
            else versions[0]
        )
        found[given.key] = InputVersion(version, events.get(given.key))
    return found


def _dimensions(context: dg.AssetExecutionContext, partition: str) -> Mapping[str, str]:
    """A key of two dimensions as Dagster tags it: without them its pages show no partition."""
    definition = context.assets_def.partitions_def
    if not isinstance(definition, dg.MultiPartitionsDefinition):
        return {}
    return get_tags_from_multi_partition_key(definition.get_partition_key_from_str(partition))


def _tags(event: PartitionEvent, code_version: str) -> dict[str, str]:
    tags = {
        CODE_VERSION_TAG: code_version,
        DATA_VERSION_TAG: event.data_version,
        DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
    }
    for key, given in event.inputs.items():
        # Without both, Dagster takes the dependency for a new one and everything for stale.
        tags[get_input_data_version_tag(asset_key(key))] = given.data_version
        pointer = str(given.event) if given.event else NULL_EVENT_POINTER
        tags[get_input_event_pointer_tag(asset_key(key))] = pointer
    return tags
