"""Which partitions of an upstream belong to one of its reader, as Dagster's own mappings.

Called by `asset_specs` for the dependencies of an asset. They give what `Partitions.reads` gives,
which a test compares over random partitions. Of a window in which hours or days are counted for
longer partitions Dagster sees whole ones.
"""

import dagster as dg
from dagster._utils.warnings import disable_dagster_warnings

from data_platform.partitioning.windows import TimeAloneMapping
from data_platform.plan.nodes import Input
from data_platform.plan.partitions import TIME, Partitions, TimePartitions

_HOURS = {"hour": 1, "day": 24, "week": 7 * 24, "month": 28 * 24}
"""That are surely in a partition, but for days on which clocks change."""


def mapping_of(given: Input, reader: Partitions | None) -> dg.PartitionMapping | None:
    """The mapping of a dependency; None where Dagster finds it by itself.

    Args:
        given: the upstream and what is read of it.
        reader: the partitions of who reads.
    """
    match given.reads:
        case "whole":
            return None
        case "all":
            return dg.AllPartitionMapping()
        case "same" | "matching" | "last":
            upstream = given.partitions or reader
            if upstream is None or reader is None or (upstream == reader and given.reads == "same"):
                return None
            with disable_dagster_warnings():
                return _between(upstream, reader, given.last if given.reads == "last" else 1)


def _between(upstream: Partitions, reader: Partitions, last: int) -> dg.PartitionMapping | None:
    if upstream.dynamic is not None or reader.dynamic is not None:
        return None if upstream.dynamic == reader.dynamic else dg.AllPartitionMapping()
    shared = [name for name in upstream.dimensions if name in reader.dimensions]
    if not shared:
        return dg.AllPartitionMapping()
    ways = {name: _of_dimension(name, upstream, reader, last) for name in shared}
    match len(upstream.dimensions), len(reader.dimensions):
        case 1, 1:
            return ways[shared[0]]
        case 2, 2:
            return dg.MultiPartitionMapping(_named(ways))
        case _ if TIME not in ways or (last == 1 and upstream.time == reader.time):
            return dg.MultiToSingleDimensionPartitionMapping(shared[0])
        case _:
            return TimeAloneMapping(_named(ways))


def _named(ways: dict[str, dg.PartitionMapping]) -> dict[str, dg.DimensionPartitionMapping]:
    return {name: dg.DimensionPartitionMapping(name, way) for name, way in ways.items()}


def _of_dimension(
    name: str, upstream: Partitions, reader: Partitions, last: int
) -> dg.PartitionMapping:
    if name != TIME:
        return dg.IdentityPartitionMapping()
    return dg.TimeWindowPartitionMapping(
        start_offset=_offset(upstream.timed, reader.timed, last),
        # A month may begin before the days that there are.
        allow_nonexistent_upstream_partitions=True,
    )


def _offset(upstream: TimePartitions, reader: TimePartitions, last: int) -> int:
    """By how many of the reader's partitions a window begins earlier."""
    counted = min(_HOURS[upstream.every], _HOURS[reader.every])
    return 1 - -(-last * counted // _HOURS[reader.every])
