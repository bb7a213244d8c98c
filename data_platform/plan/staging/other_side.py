"""The other asset of a join or union, as far as a step needs to know it.

Made by `plan.staging.nodes`, which resolves references; read by `plan.staging.steps`.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class OtherSide:
    """An asset that a join or union reads.

    Attributes:
        relation: the name under which it is read.
        columns: those that are known.
        by_partition: whether its rows are matched by partition.
        into_partitions: whether the asset that reads it has partitions.
        unique_on: keys that are known to be unique in what is read.
    """

    relation: str
    columns: tuple[str, ...]
    by_partition: bool
    into_partitions: bool
    unique_on: tuple[frozenset[str], ...]

    @property
    def fits_row_by_row(self) -> bool:
        """Whether its rows can become rows of the asset: each belongs to one partition of it."""
        return self.by_partition or not self.into_partitions

    def is_unique_on(self, columns: Sequence[str]) -> bool:
        """Whether no two rows agree on `columns`."""
        return any(key <= set(columns) for key in self.unique_on)
