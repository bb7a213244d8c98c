"""What a tick requests, as runs: one for each part of the graph that hangs together.

Called by `ticking`. Dagster would put all assets of a partition into one run, so that what fails or
waits in one pipeline would hold up all others.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from dagster import RunRequest
from dagster._core.asset_graph_view.entity_subset import EntitySubset
from dagster._core.definitions.asset_key import AssetKey, EntityKey
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.automation_tick_evaluation_context import build_run_requests
from dagster._core.definitions.partitions.subset import KeyRangesPartitionsSubset

CAUSE = "data_platform/cause"


def runs_for(
    subsets: Sequence[EntitySubset], graph: AssetGraph, *, tags: Mapping[str, str], backfills: bool
) -> list[RunRequest]:
    """The runs of a tick.

    Args:
        subsets: what is requested.
        graph: all assets.
        tags: of each run.
        backfills: whether several partitions of an asset become a backfill.
    """
    found: list[RunRequest] = []
    for part in parts_of([_listed(one) for one in subsets], graph):
        own = {**tags, CAUSE: _cause(part, graph)}
        found += build_run_requests(part, graph, own, emit_backfills=backfills)
    return found


def _listed(subset: EntitySubset) -> EntitySubset:
    """A subset with its keys, where it came out of the cursor as ranges of registered keys.

    A backfill compares subsets of several assets by their form, too, and can't begin otherwise.
    """
    if not isinstance(subset.get_internal_value(), KeyRangesPartitionsSubset):
        return subset
    keys = subset.expensively_compute_partition_keys()
    return subset.compute_intersection_with_partition_keys(keys)


def parts_of(subsets: Sequence[EntitySubset], graph: AssetGraph) -> list[list[EntitySubset]]:
    """What is requested, parted: a pipeline stays together, and so does what reads one another."""
    parts: dict[object, list[EntitySubset]] = defaultdict(list)
    of = together([subset.key for subset in subsets], graph)
    for subset in subsets:
        parts[of[subset.key]].append(subset)
    return list(parts.values())


def together(keys: Iterable[EntityKey], graph: AssetGraph) -> dict[EntityKey, object]:
    """What stays together: the part of each key, by something that all of the part have.

    Args:
        keys: among which something may read another.
        graph: all assets.
    """
    known = dict.fromkeys(keys)
    leaders: dict[object, object] = {}

    def leader(one: object) -> object:
        while leaders.setdefault(one, one) != one:
            leaders[one] = one = leaders[leaders[one]]
        return one

    for key in known:
        for other in _beside(key, graph):
            if not isinstance(other, AssetKey) or other in known:
                leaders[leader(key)] = leader(other)
    return {key: leader(key) for key in known}


def _beside(key: EntityKey, graph: AssetGraph) -> Iterable[object]:
    """What must not be parted from a key: other keys, and the name of its pipeline."""
    if not isinstance(key, AssetKey):
        return [getattr(key, "asset_key", key)]
    node = graph.get(key)
    return [*node.parent_keys, *node.execution_set_entity_keys, node.group_name]


def _cause(part: Iterable[EntitySubset], graph: AssetGraph) -> str:
    conditions = [graph.get(subset.key).automation_condition for subset in part]
    labels = {one.get_label() or one.name for one in conditions if one}
    return f"automation: {', '.join(sorted(labels))}"
