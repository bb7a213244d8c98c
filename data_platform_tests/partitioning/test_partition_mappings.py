"""What Dagster takes for the upstream partitions of a partition, against what a step reads."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import product

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from data_platform.partitioning.definitions import definition_of
from data_platform.partitioning.mappings import mapping_of
from data_platform.plan.keys import Key
from data_platform.plan.nodes import Input
from data_platform.plan.partitions import (
    Dimension,
    Partitions,
    TimePartitions,
    alike,
    disagreement,
)

NOW = datetime(2024, 4, 10, 7, 30, tzinfo=UTC)
REGION = Dimension("region", "region", ("eu", "us"))
KIND = Dimension("kind", "kind", ("a", "b", "c"))
STARTS = {
    "hour": date(2024, 3, 29),
    "day": date(2024, 2, 20),
    "week": date(2024, 2, 5),
    "month": date(2024, 1, 1),
}


def times(zone: str) -> list[TimePartitions]:
    return [TimePartitions(every, start, None, zone) for every, start in STARTS.items()]


def all_kinds(zone: str) -> list[Partitions]:
    found = [Partitions(by=(REGION,)), Partitions(by=(KIND,)), Partitions(by=(KIND, REGION))]
    for time in times(zone):
        found += [Partitions(time), Partitions(time, (REGION,)), Partitions(time, (KIND,))]
    return found


def pairs() -> Iterator[tuple[Partitions, Partitions]]:
    for zone in ("UTC", "Europe/Berlin"):
        for upstream, reader in product(all_kinds(zone), all_kinds(zone)):
            if disagreement(reader, upstream) is None:
                yield upstream, reader


def seen_by_dagster(upstream: Partitions, reader: Partitions, given: Input, key: str) -> set[str]:
    above = dg.AssetSpec("above", partitions_def=definition_of(upstream))
    below = dg.AssetSpec(
        "below",
        partitions_def=definition_of(reader),
        deps=[dg.AssetDep("above", partition_mapping=mapping_of(given, reader))],
    )
    graph = dg.Definitions(assets=[above, below]).resolve_asset_graph()
    with partition_loading_context(effective_dt=NOW):
        mapping = graph.get_partition_mapping(below.key, above.key)
        own, other = graph.get(below.key).partitions_def, graph.get(above.key).partitions_def
        assert own is not None
        assert other is not None
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(
            own.subset_with_partition_keys([key]), own, other
        )
        return set(found.partitions_subset.get_partition_keys())


def test_dagster_sees_what_a_partition_reads() -> None:
    chance = random.Random(20240410)
    some = list(pairs())
    assert len(some) > 300
    for upstream, reader in chance.sample(some, 120):
        kind = "same" if alike(reader, upstream) else "matching"
        given = Input(Key("raw", "shop", "above"), kind, partitions=upstream)
        due = upstream.due(NOW)
        for key in chance.sample(reader.due(NOW), 2):
            wanted = set(upstream.reads(reader, key, due)) & set(due)
            assert seen_by_dagster(upstream, reader, given, key) == wanted, (upstream, reader, key)


@pytest.mark.parametrize("last", [1, 3, 30])
def test_dagster_sees_all_of_a_window(last: int) -> None:
    """Whole partitions of the reader, where shorter ones are counted."""
    chance = random.Random(last)
    for upstream, reader in chance.sample(list(pairs()), 150):
        if upstream.time is None or reader.time is None:
            continue
        if len(upstream.dimensions) != len(reader.dimensions):
            continue
        given = Input(Key("raw", "shop", "above"), "last", last, upstream)
        due = set(upstream.due(NOW))
        key = chance.choice(reader.due(NOW))
        wanted = set(upstream.reads(reader, key, due, last)) & due
        seen = seen_by_dagster(upstream, reader, given, key)
        assert seen >= wanted, (upstream, reader, key)
        if upstream.time.every == reader.time.every or last == 1:
            assert len(wanted) <= last * len(upstream.due(NOW)) // max(
                1, len(upstream.timed.due(NOW))
            )
