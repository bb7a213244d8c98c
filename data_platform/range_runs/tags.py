"""Which partitions a run is of: as tags that Dagster understands, and read back from them.

Called by whoever starts runs over ranges, and by `range_runs.outcomes`. The tags say the first and
the last partition; a range of two dimensions is all combinations of a range of each.
"""

from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from data_platform.partitioning.definitions import definition_of
from data_platform.plan.naming import WHOLE
from data_platform.plan.partitions import Partitions


def partition_tags(partitions: Partitions | None, keys: Sequence[str]) -> dict[str, str]:
    """The tags of a run over `keys`.

    Args:
        partitions: of the assets; None where they have none.
        keys: what `Partitions.contiguous` gives as one part.
    """
    if partitions is None:
        return {}
    if len(keys) == 1:
        tags = definition_of(partitions).get_tags_for_partition_key(keys[0])
        return {**tags, PARTITION_NAME_TAG: keys[0]}
    return {
        ASSET_PARTITION_RANGE_START_TAG: keys[0],
        ASSET_PARTITION_RANGE_END_TAG: keys[-1],
    }


def partitions_of(
    tags: Mapping[str, str], partitions: Partitions | None, instance: dg.DagsterInstance
) -> list[str]:
    """The partitions that a run with these tags is of; none where the tags name others.

    Args:
        tags: of the run.
        partitions: of the asset in question; None where it has none.
        instance: knows the registered keys.
    """
    if partitions is None:
        return [WHOLE]
    if name := tags.get(PARTITION_NAME_TAG):
        return [name] if partitions.is_key(name) else []
    first, last = (
        tags.get(ASSET_PARTITION_RANGE_START_TAG),
        tags.get(ASSET_PARTITION_RANGE_END_TAG),
    )
    if not (first and last and partitions.is_key(first) and partitions.is_key(last)):
        return []
    with partition_loading_context(dynamic_partitions_store=instance):
        between = dg.PartitionKeyRange(first, last)
        return list(definition_of(partitions).get_partition_keys_in_range(between))
