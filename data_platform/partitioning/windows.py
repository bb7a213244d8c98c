"""A mapping that none of Dagster's is: other times, or windows, between one dimension and two.

Made by `partitioning.mappings`. Dagster shows its graph and fills history in processes that don't
load pipelines: they know the class since `instance.storage`, which each of them loads, imports it.
"""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.partitions.mapping.multi.base import DimensionDependency
from dagster._serdes import whitelist_for_serdes

from data_platform.plan.partitions import TIME


@whitelist_for_serdes
class TimeAloneMapping(dg.MultiPartitionMapping):
    """Times of an asset that has named values besides, and times of one that has none.

    Dagster's own for two dimensions wants two on both sides; the one for a single dimension has no
    windows, and lets backfills fail where the other times begin later or end later. This is a kind
    of the former, as Dagster keeps mappings of no kind of its own out of its graph.
    """

    @property
    def description(self) -> str:
        """For Dagster's pages."""
        return f"{self._of_time.description} All values of the other dimension belong to it."

    def validate_partition_mapping(
        self,
        upstream_partitions_def: dg.PartitionsDefinition[str],
        downstream_partitions_def: dg.PartitionsDefinition[str] | None,
    ) -> None:
        """Whether times of both can be compared."""
        if downstream_partitions_def is None:
            raise dg.DagsterInvalidDefinitionError("the reader has no partitions of time")
        self._of_time.validate_partition_mapping(
            self.get_partitions_def(upstream_partitions_def, TIME),
            self.get_partitions_def(downstream_partitions_def, TIME),
        )

    def get_dimension_dependencies(
        self,
        upstream_partitions_def: dg.PartitionsDefinition[str],
        downstream_partitions_def: dg.PartitionsDefinition[str],
    ) -> Sequence[DimensionDependency]:
        """Which dimension is which: the only one of an asset has no name."""
        return [
            DimensionDependency(
                self._of_time, _name(upstream_partitions_def), _name(downstream_partitions_def)
            )
        ]

    @property
    def _of_time(self) -> dg.PartitionMapping:
        return self.downstream_mappings_by_upstream_dimension[TIME].partition_mapping


def _name(definition: dg.PartitionsDefinition[str]) -> str | None:
    return TIME if isinstance(definition, dg.MultiPartitionsDefinition) else None
