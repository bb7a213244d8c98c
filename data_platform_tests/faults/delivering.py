"""Deliveries of versions of rows, through `targets.answering` as a destination's are.

Their rows are their own in place of a lake's, so that thousands of them take minutes.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import pyarrow as pa
from factories import Project
from versions_of_rows import COLUMNS, Numbers, arrow_of, rows_of
from versions_of_rows import version_of as named

from data_platform.engine.outside import Outside
from data_platform.engine.work import Work
from data_platform.plan.destinations.kinds import AnyTarget, added_columns
from data_platform.plan.nodes import DestinationNode
from data_platform.spec.platform import DatabaseConnection
from data_platform.targets.answering import deliver as to_target
from data_platform.targets.deliveries import Delivery, Version

PATIENCE = 15.0
DECLARED = """
staging:
  orders: {from: raw.orders}
destinations:
  orders:
    from: staging.orders
    type: database
    connection: shop
    table: shop.orders
"""


@dataclass(frozen=True)
class Nodes:
    """Destinations as the plan makes them, for targets of all kinds and modes.

    Attributes:
        daily, whole: one with partitions, one without.
    """

    daily: DestinationNode
    whole: DestinationNode

    @classmethod
    def of(cls, project: Project) -> "Nodes":
        """From pipelines on disk."""
        project.platform("connections: {shop: {type: database, url: 'postgresql://nowhere'}}\n")
        found: list[DestinationNode] = []
        for daily in (True, False):
            project.declare(DECLARED, daily=daily)
            node = project.node("destinations/orders")
            assert isinstance(node, DestinationNode)
            found.append(node)
        return cls(*found)

    def node(self, target: AnyTarget, *, partitioned: bool) -> DestinationNode:
        """One with this target."""
        return replace(self.daily if partitioned else self.whole, target=target)


@dataclass(frozen=True)
class Sending:
    """One delivery; it can be sent to another process.

    Attributes:
        node: the destination.
        numbers: the version of each partition.
        url: of the database.
        scratch: a folder.
        reading: set as soon as rows are asked for.
        go_on: rows come once it is set.
    """

    node: DestinationNode
    numbers: Numbers
    url: str
    scratch: Path
    reading: Event | None = None
    go_on: Event | None = None

    def deliver(self, work: Work | None = None) -> list[str]:
        """Deliver it; gives the partitions that were loaded."""
        versions = {
            key: Version(named(number), len(rows_of(key, number)))
            for key, number in self.numbers.items()
        }
        outside = Outside(
            lambda _: DatabaseConnection(type="database", url=self.url), lambda text: text
        )
        self.scratch.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.scratch) as scratch:
            return to_target(
                Delivery(
                    self.node, versions, COLUMNS, self._rows, outside, Path(scratch), "run",
                    work or Work(),
                )
            )  # fmt: skip

    def _rows(self, due: Sequence[str]) -> pa.RecordBatchReader:
        if self.reading is not None and self.go_on is not None:
            self.reading.set()
            assert self.go_on.wait(PATIENCE)
        [column] = added_columns(self.node.target, self.node.partitions, COLUMNS) or [None]
        return arrow_of({key: self.numbers[key] for key in due}, column)
