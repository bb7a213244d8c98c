"""What is to be delivered: the one form that all kinds of targets share.

`destinations.loading` makes a delivery; each kind's `deliver(delivery, target)` brings it where it
belongs, and its `held` says what is there. Knows no kind.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownVariableType=false
# pyarrow comes without types.

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from data_platform.engine.outside import Outside
from data_platform.engine.session import Session
from data_platform.engine.work import Work
from data_platform.plan.destinations.narrowing import Range
from data_platform.plan.nodes import DestinationNode


@dataclass(frozen=True)
class Version:
    """What a partition of the lake holds."""

    data_version: str
    rows: int


class LoadedRows(Protocol):
    """What a target holds within a load that isn't committed yet, read back as it made it."""

    def keep(
        self,
        session: Session,
        relation: str,
        keys: Sequence[str],
        columns: Collection[str] | None,
    ) -> None:
        """Keep the rows of some partitions in a session, with `_partition`.

        Args:
            session: of DuckDB.
            relation: their name in it.
            keys: the partitions, or `WHOLE` alone.
            columns: which are read, those that the table doesn't have left out; None means all.

        Raises:
            StorageError: a column holds what can't be read exactly.
        """
        ...

    def keep_others(
        self, session: Session, relation: str, keys: Sequence[str], columns: Collection[str]
    ) -> bool:
        """Keep some columns of the rows of all other partitions; False where there are none."""
        ...


Rows = Callable[[Sequence[str]], pa.RecordBatchReader]
"""Gives the rows of some partitions, with the partition column where the target adds one. They are
read from the lake while they are taken, and counted."""
Ranges = Callable[[Sequence[str]], Mapping[str, Range]]
"""Gives the range of values of columns of integers, by column."""
Judge = Callable[[LoadedRows, Sequence[str]], bool]
"""Looks at the partitions that were loaded, before the commit: whether they may stay."""


@dataclass(frozen=True)
class Delivery:
    """Partitions of an asset on their way to a target.

    Attributes:
        node: the destination.
        versions: what the lake holds of each partition that is to be there.
        columns: names and DuckDB types of the rows, the added partition column not included.
        rows: reads them.
        outside: what the target connects to.
        scratch: a folder of this step's own.
        run_id: for the ledger.
        work: by which it is ended from outside; then nothing of it stays.
        ranges: tells the least and the greatest value of columns of integers, over all versions;
            it reads these columns alone.
        judge: asked before the commit; where it says no, nothing of it stays. None where there
            are no rules.
        say: takes what a person should know of a load that succeeded, as a column that was added.
    """

    node: DestinationNode
    versions: Mapping[str, Version]
    columns: Mapping[str, str]
    rows: Rows
    outside: Outside
    scratch: Path
    run_id: str
    work: Work = field(default_factory=Work)
    judge: Judge | None = None
    say: Callable[[str], None] = field(default=lambda _: None)
    ranges: Ranges = field(default=lambda _: {})
