"""One snapshot of each upstream, and which of its partitions a step misses.

Called by the stages before they compute: a partition is only built from published ones.
"""

from collections.abc import Mapping, Sequence

from data_platform.engine.inputs import partitions_read
from data_platform.plan.nodes import Node
from data_platform.plan.relations import relation_of
from data_platform.storage.lake import Lake
from data_platform.storage.versions import Snapshot


def snapshots_of(node: Node, lake: Lake) -> dict[str, Snapshot]:
    """The current snapshot of every input by its relation, without those never published."""
    taken = {given.key: lake.table(given.key).snapshot() for given in node.inputs}
    found = {relation_of(given): taken[given.key] for given in node.inputs}
    return {relation: snapshot for relation, snapshot in found.items() if snapshot is not None}


def missing_inputs(
    node: Node, keys: Sequence[str], snapshots: Mapping[str, Snapshot]
) -> dict[str, str]:
    """Which of the partitions can't be built, because something that they read isn't published."""
    missing: dict[str, str] = {}
    for given in node.inputs:
        snapshot = snapshots.get(relation_of(given))
        if snapshot is None:
            for key in keys:
                missing.setdefault(key, f"{given.key} has never been published")
            continue
        for key in keys:
            wanted = partitions_read(given, node, [key], snapshot.partitions)
            absent = [past for past in wanted if past not in snapshot.partitions]
            if not wanted and given.reads != "all":
                missing.setdefault(key, f"{given.key} has no partition that belongs to {key}")
            if absent:
                missing.setdefault(
                    key, f"{given.key} has no published partition {', '.join(absent[:3])}"
                )
    return missing


def rows_read(node: Node, key: str, snapshots: Mapping[str, Snapshot]) -> int:
    """Rows of what belongs to a partition; what all partitions read alike isn't counted again."""
    own = [given for given in node.inputs if given.reads != "whole"] or node.inputs
    rows = 0
    for given in own:
        snapshot = snapshots[relation_of(given)]
        wanted = partitions_read(given, node, [key], snapshot.partitions)
        rows += sum(snapshot.partitions[past].rows for past in wanted)
    return rows
