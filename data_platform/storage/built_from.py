"""Whether partitions would be built from the same again: then a step needn't do any work.

Called by `lake_steps` before a step works. Pure but for reading the lake: inputs by the versions of
their rows, code, contract, values of parameters, decisions about rows, and the key that masks.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types.

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from data_platform.engine.inputs import partitions_read
from data_platform.plan.checks.value_kinds import DriftCheck
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import Input, LakeNode, StagingNode
from data_platform.plan.parameters import values_of
from data_platform.plan.relations import relation_of
from data_platform.storage.decisions import decisions_table
from data_platform.storage.lake import LakeTable
from data_platform.storage.prints import Kept, Prints, kept_in
from data_platform.storage.schemas import columns_hash
from data_platform.storage.snapshots import missing_inputs, snapshots_of
from data_platform.storage.versions import PartitionVersion, Snapshot
from data_platform.storage.workbench import Workbench

FORM = "1"
"""Of a print; another one makes every partition be built once more."""


@dataclass(frozen=True)
class Standing:
    """What a step finds before it works.

    Attributes:
        prints: of what its partitions would be built from.
        own: the asset's snapshot.
        inputs: the snapshots of what it reads, but of itself.
        upstreams: the snapshots of all that it reads, by relation.
        unchanged: partitions that stand as they would be built again.
        run: which built the newest of them; "" where there is none.
    """

    prints: Prints
    own: Snapshot | None
    inputs: Mapping[Key, Snapshot]
    upstreams: Mapping[str, Snapshot]
    unchanged: Mapping[str, PartitionVersion]
    run: str


def standing_of(
    node: LakeNode, keys: Sequence[str], workbench: Workbench, configuration: str = ""
) -> Standing:
    """Find what stands of partitions, and what they would be built from.

    Args:
        node: the asset; the same inputs give it the same rows.
        keys: its partitions, or `WHOLE` alone.
        workbench: with the lake and the values of the run.
        configuration: what else decides about the rows, as text.
    """
    lake = workbench.lake
    snapshots = snapshots_of(node, lake)
    table = lake.table(node.key)
    own = table.snapshot()
    absent = missing_inputs(node, keys, snapshots)
    ready = [key for key in keys if key not in absent]
    prints = _prints(node, ready, snapshots, workbench, configuration)
    pinned = {given.key: snapshots.get(relation_of(given)) for given in node.inputs}
    found = {key: one for key, one in pinned.items() if one is not None and key != node.key}
    runs = _runs(table, own, prints) if own else {}
    unchanged = {key: own.partitions[key] for key in ready if own and key in runs}
    return Standing(prints, own, found, snapshots, unchanged, next(iter(runs.values()), ""))


def _prints(
    node: LakeNode,
    keys: Sequence[str],
    snapshots: Mapping[str, Snapshot],
    workbench: Workbench,
    configuration: str,
) -> Prints:
    if not keys:
        return Prints()
    common = "|".join([*_common(node, workbench), configuration])
    tables = {given.key: _table_words(snapshots[relation_of(given)]) for given in node.inputs}
    shared = {
        given.key: _versions_read(node, given, keys[0], snapshots)
        for given in node.inputs
        if given.reads in {"whole", "all"}
    }
    found: dict[str, str] = {}
    for key in keys:
        inputs = [
            f"{given.key} {tables[given.key]} "
            f"{shared.get(given.key) or _versions_read(node, given, key, snapshots)}"
            for given in node.inputs
        ]
        text = "|".join([common, key, _window(node, key), *inputs])
        found[key] = hashlib.sha256(text.encode()).hexdigest()[:16]
    drifts = [check.against for check in node.checks if isinstance(check, DriftCheck)]
    return Prints(found, max(drifts, default=0) if node.partitions else 0)


def _common(node: LakeNode, workbench: Workbench) -> Iterator[str]:
    """What all partitions of a step are built with."""
    yield from (FORM, duckdb.__version__, node.code_version)
    yield f"{node.contract}{node.contract_version}"
    yield str(sorted(values_of(node.run_parameters, workbench.given).items()))
    if node.masks and workbench.masking_key is not None:
        key = workbench.masking_key()
        yield hmac.new(key.encode(), b"identity", hashlib.sha256).hexdigest()
    if isinstance(node, StagingNode):
        decided = decisions_table(workbench.lake, node.key).snapshot()
        yield str(decided.version if decided else "")


def _window(node: LakeNode, key: str) -> str:
    partitions = node.partitions
    if partitions is None or partitions.time is None or key == WHOLE:
        return ""
    return f"{partitions.timezone} {partitions.local_window(key)}"


def _table_words(snapshot: Snapshot) -> str:
    """What all partitions read alike of an input: its columns, and which of its rows count."""
    return f"{columns_hash(snapshot.schema)} {snapshot.batches.newest if snapshot.batches else ''}"


def _versions_read(
    node: LakeNode, given: Input, key: str, snapshots: Mapping[str, Snapshot]
) -> str:
    """The versions of the rows that a partition reads of an input."""
    partitions = snapshots[relation_of(given)].partitions
    read = partitions_read(given, node, [key], partitions)
    return str([f"{one} {partitions[one].data_version}" for one in sorted(read)])


def _runs(table: LakeTable, own: Snapshot, prints: Prints) -> dict[str, str]:
    """The partitions of which a commit says that their version was built from the same, by whom."""
    versions = own.partitions
    wanted = {key: prints.of(key, versions) for key in prints.by_key if key in versions}
    found = _said(table, own, wanted)
    # What is built anew may change what the partitions after it are compared with.
    anew = prints.by_key.keys() - found.keys()
    for key in sorted(found):
        if anew.intersection(prints.trailing(key, {*versions, *anew})):
            anew.add(key)
    return {key: run for key, run in found.items() if key not in anew}


def _said(table: LakeTable, own: Snapshot, wanted: Mapping[str, Kept]) -> dict[str, str]:
    """The partitions of which the newest commit that tells of them says just this, and its run."""
    told: dict[str, str | None] = {}
    history = table.history(own)
    while told.keys() < wanted.keys() and (commit := next(history, None)) is not None:
        kept = kept_in(commit)
        for key in kept.keys() & (wanted.keys() - told.keys()):
            told[key] = str(commit.get("run_id", "")) if kept[key] == wanted[key] else None
    return {key: run for key, run in told.items() if run is not None}
