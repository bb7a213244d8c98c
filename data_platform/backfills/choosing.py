"""Which of the partitions that were asked for are meant: failed, missing or stale ones.

Called by the command before a backfill is kept. Asks Dagster's event log for what runs did, the
lake and the ledgers for what is published; changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    get_input_data_version_tag,
)
from dagster._core.storage.dagster_run import DagsterRunStatus, RunsFilter

from data_platform.asset_specs import asset_key
from data_platform.engine.inputs import partitions_read
from data_platform.loading import Loaded
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode, DestinationNode
from data_platform.plan.relations import relation_of
from data_platform.range_runs.outcomes import outcomes_of
from data_platform.range_runs.parts import Wanted
from data_platform.reporting.events import inputs_of
from data_platform.storage.lake import Lake
from data_platform.storage.snapshots import snapshots_of
from data_platform.targets.answering import held

Which = Literal["failed", "missing", "stale"]
LOOKED_AT = 1000
"""Failed runs that are looked at, the newest first."""

_Chosen = dict[Key, tuple[str, ...]]


def chosen(
    which: Which,
    nodes: Sequence[AnyNode],
    wanted: Wanted,
    instance: dg.DagsterInstance,
    loaded: Loaded,
) -> _Chosen:
    """Those of the partitions that are meant, by asset.

    Args:
        which: `failed`: whose last run failed; `missing`: that aren't published; `stale`: built by
            other code or from other inputs than stand now, and those that read one of these.
        nodes: upstreams first.
        wanted: what was asked for.
        instance: Dagster's.
        loaded: the pipelines.

    Raises:
        StorageUnavailable: a destination can't be reached.
    """
    match which:
        case "failed":
            found = _failed(nodes, wanted, instance)
        case "missing":
            found = _missing(nodes, wanted, loaded)
        case "stale":
            found = _stale(nodes, wanted, instance, loaded.lake())
    return {
        node.key: tuple(key for key in wanted[node.key] if key in found[node.key])
        for node in nodes
        if node.key in wanted and found.get(node.key)
    }


def _failed(
    nodes: Sequence[AnyNode], wanted: Wanted, instance: dg.DagsterInstance
) -> dict[Key, set[str]]:
    """Partitions that a run was to make and didn't, unless a later one did."""
    keys = {asset_key(node.key) for node in nodes}
    statuses = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
    records = instance.get_run_records(RunsFilter(statuses=statuses), limit=LOOKED_AT)
    found: dict[Key, set[str]] = {}
    known: dict[Key, Mapping[str, dg.EventLogRecord]] = {}
    for record in records:
        run = record.dagster_run
        if keys.isdisjoint(run.asset_selection or ()):
            continue
        ended = record.end_time or record.update_timestamp.timestamp()
        for key, outcome in outcomes_of(instance, run, nodes).items():
            if key not in known:
                known[key] = _newest(instance, key, wanted.get(key, ()))
            undone = {one for one in outcome.partitions if one not in outcome.done}
            later = {one for one, made in known[key].items() if made.timestamp > ended}
            found.setdefault(key, set()).update(undone - later)
    return found


def _newest(
    instance: dg.DagsterInstance, key: Key, keys: Collection[str]
) -> dict[str, dg.EventLogRecord]:
    """The newest materialization of each partition that has one."""
    if WHOLE in keys:
        records = instance.fetch_materializations(asset_key(key), limit=1).records
        return {WHOLE: records[0]} if records else {}
    ids = instance.event_log_storage.get_latest_storage_id_by_partition(
        asset_key(key), dg.DagsterEventType.ASSET_MATERIALIZATION, set(keys)
    )
    wanted, found = list(ids.values()), dict[str, dg.EventLogRecord]()
    for start in range(0, len(wanted), LOOKED_AT):
        some = dg.AssetRecordsFilter(asset_key(key), storage_ids=wanted[start : start + LOOKED_AT])
        for record in instance.fetch_materializations(some, limit=LOOKED_AT).records:
            found[record.partition_key or WHOLE] = record
    return found


def _missing(nodes: Sequence[AnyNode], wanted: Wanted, loaded: Loaded) -> dict[Key, set[str]]:
    """Partitions that the lake, or the ledger of a destination, doesn't have."""
    lake, outside = loaded.lake(), loaded.outside()
    found: dict[Key, set[str]] = {}
    for node in nodes:
        if isinstance(node, DestinationNode):
            there: Iterable[str] = held(node, outside)
        else:
            snapshot = lake.table(node.key).snapshot()
            there = snapshot.partitions if snapshot else ()
        found[node.key] = set(wanted.get(node.key, ())) - set(there)
    return found


def _stale(
    nodes: Sequence[AnyNode], wanted: Wanted, instance: dg.DagsterInstance, lake: Lake
) -> dict[Key, set[str]]:
    """Published partitions that would be built by other code or from other rows today.

    What reads one of them is stale too: its inputs change when that is built.
    """
    found: dict[Key, set[str]] = {}
    for node in nodes:
        own = wanted.get(node.key, ())
        built = _built(instance, node, own)
        code = node.code_version
        stale = {key for key, tags in built.items() if tags.get(CODE_VERSION_TAG) != code}
        stale |= from_others(node, lake, {k: t for k, t in built.items() if k not in stale})
        rest = [key for key in built if key not in stale]
        found[node.key] = stale | {key for key in rest if _reads_stale(node, key, found, wanted)}
    return found


def _built(
    instance: dg.DagsterInstance, node: AnyNode, keys: Collection[str]
) -> dict[str, Mapping[str, str]]:
    """What the newest materialization of each partition says it was built by and from."""
    newest = _newest(instance, node.key, keys)
    made = {key: record.asset_materialization for key, record in newest.items()}
    return {key: one.tags for key, one in made.items() if one and one.tags}


def from_others(node: AnyNode, lake: Lake, built: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Those that were built from other versions of their inputs than stand now.

    Args:
        node: the asset.
        lake: tells what stands.
        built: tags of the newest materialization of each partition.
    """
    if not node.inputs or not built:
        return set()
    upstreams = snapshots_of(node, lake)
    if any(relation_of(given) not in upstreams for given in node.inputs):
        return set()
    found: set[str] = set()
    for key, tags in built.items():
        wanted = {
            given: partitions_read(given, node, [key], upstreams[relation_of(given)].partitions)
            for given in node.inputs
        }
        whole = all(
            set(some) <= upstreams[relation_of(given)].partitions.keys()
            for given, some in wanted.items()
        )
        if whole and any(
            tags.get(get_input_data_version_tag(asset_key(upstream)))
            not in {None, now.data_version}
            for upstream, now in inputs_of(node, key, upstreams, {}).items()
        ):
            found.add(key)
    return found


def _reads_stale(node: AnyNode, key: str, stale: Mapping[Key, set[str]], wanted: Wanted) -> bool:
    return any(
        stale.get(given.key, set())
        & set(partitions_read(given, node, [key], wanted.get(given.key, ())))
        for given in node.inputs
    )
