"""What Dagster takes for the upstream partitions of a partition, against what a step reads."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import product
from typing import Any, cast

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.partitions.utils import get_builtin_partition_mapping_types
from dagster._serdes import deserialize_value, serialize_value
from dagster._utils.warnings import disable_dagster_warnings

from data_platform.partitioning.definitions import definition_of
from data_platform.partitioning.mappings import mapping_of
from data_platform.plan.keys import Key
from data_platform.plan.nodes import Input
from data_platform.plan.partitions import (
    Dimension,
    Every,
    Partitions,
    TimePartitions,
    alike,
    disagreement,
)

NOW = datetime(2024, 4, 10, 7, 30, tzinfo=UTC)
REGION = Dimension("region", "region", ("eu", "us"))
KIND = Dimension("kind", "kind", ("a", "b", "c"))
STARTS: dict[Every, date] = {
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


class Graph:
    """Two assets in Dagster's graph, with a mapping that came from another process."""

    def __init__(self, upstream: Partitions, reader: Partitions, given: Input) -> None:
        told = mapping_of(given, reader)
        if told is not None:
            with disable_dagster_warnings():
                told = cast("Any", deserialize_value(serialize_value(cast("Any", told))))
        self.upstream, self.reader = definition_of(upstream), definition_of(reader)
        above = dg.AssetSpec("above", partitions_def=self.upstream)
        below = dg.AssetSpec(
            "below",
            partitions_def=self.reader,
            deps=[dg.AssetDep("above", partition_mapping=told)],
        )
        graph = dg.Definitions(assets=[above, below]).resolve_asset_graph()
        self.mapping = graph.get_partition_mapping(below.key, above.key)
        assert isinstance(self.mapping, get_builtin_partition_mapping_types())
        self.mapping.validate_partition_mapping(self.upstream, self.reader)

    def read_by(self, key: str) -> set[str]:
        """The upstream's partitions that a partition reads."""
        with partition_loading_context(effective_dt=NOW):
            found = self.mapping.get_upstream_mapped_partitions_result_for_partitions(
                self.reader.subset_with_partition_keys([key]), self.reader, self.upstream
            )
            # Backfills refuse such a partition.
            assert found.required_but_nonexistent_subset.is_empty
            return set(found.partitions_subset.get_partition_keys())

    def reading(self, key: str) -> set[str]:
        """The reader's partitions that read one of the upstream's."""
        with partition_loading_context(effective_dt=NOW):
            found = self.mapping.get_downstream_partitions_for_partitions(
                self.upstream.subset_with_partition_keys([key]), self.upstream, self.reader
            )
            return set(found.get_partition_keys())


def test_dagster_sees_what_a_partition_reads() -> None:
    chance = random.Random(20240410)
    some = list(pairs())
    assert len(some) > 300
    for upstream, reader in chance.sample(some, 120):
        kind = "same" if alike(reader, upstream) else "matching"
        graph = Graph(
            upstream, reader, Input(Key("raw", "shop", "above"), kind, partitions=upstream)
        )
        due = upstream.due(NOW)
        for key in chance.sample(reader.due(NOW), 2):
            wanted = set(upstream.reads(reader, key, due)) & set(due)
            assert graph.read_by(key) == wanted, (upstream, reader, key)
            for one in sorted(wanted)[:1]:
                assert key in graph.reading(one), (upstream, reader, key)


@pytest.mark.parametrize("last", [1, 3, 30])
def test_dagster_sees_all_of_a_window(last: int) -> None:
    """Whole partitions of the reader, where shorter ones are counted."""
    chance = random.Random(last)
    for upstream, reader in chance.sample(list(pairs()), 150):
        if upstream.time is None or reader.time is None:
            continue
        given = Input(Key("raw", "shop", "above"), "last", last, upstream)
        graph = Graph(upstream, reader, given)
        due = upstream.due(NOW)
        key = chance.choice(reader.due(NOW))
        wanted = set(upstream.reads(reader, key, due, last)) & set(due)
        seen = graph.read_by(key)
        assert seen >= wanted, (upstream, reader, key)
        if upstream.time.every == reader.time.every:
            assert seen == wanted, (upstream, reader, key)
        for one in sorted(wanted)[:1]:
            assert key in graph.reading(one), (upstream, reader, key)


@pytest.mark.parametrize("turned", [False, True], ids=["from days", "from days by value"])
def test_days_of_a_window_wake_all_that_read_them(turned: bool) -> None:
    days = TimePartitions("day", date(2024, 2, 20), None, "Europe/Berlin")
    one, both = Partitions(days), Partitions(days, (REGION,))
    upstream, reader = (both, one) if turned else (one, both)
    graph = Graph(upstream, reader, Input(Key("raw", "shop", "above"), "last", 3, upstream))
    # Clocks are put on the 31st.
    given = "2024-03-30|eu" if turned else "2024-03-30"
    wanted = ["2024-03-30", "2024-03-31", "2024-04-01"]
    assert graph.reading(given) == {
        *(wanted if turned else [f"{day}|{region}" for day in wanted for region in ("eu", "us")])
    }
