"""Tables in a real database to which versions are delivered, looked at, and searched for leftovers.

Deliveries go through `targets.answering`, as a destination's do, with rows of their own in place of
a lake's.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import psycopg2
import psycopg2.extensions
import pyarrow as pa
from factories import Project
from versions_of_rows import COLUMNS, PARTITIONED, Held, Numbers, arrow_of, in_order, rows_of
from versions_of_rows import version_of as named

from data_platform.engine.outside import Outside
from data_platform.engine.work import Work
from data_platform.plan.destinations.kinds import TableTarget
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.nodes import DestinationNode
from data_platform.spec.destinations import WriteMode
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
SESSIONS = """
SELECT 'session: ' || state || ', ' || left(query, 80) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
UNION ALL
SELECT 'lock: ' || locktype || ' ' || mode || ' ' || coalesce(relation::regclass::text, '')
FROM pg_locks WHERE pid <> pg_backend_pid()
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'temporary: ' || relname FROM pg_class WHERE relpersistence = 't'
UNION ALL
SELECT 'prepared: ' || gid FROM pg_prepared_xacts WHERE database = current_database()
"""


@dataclass(frozen=True)
class Nodes:
    """Destinations by mode, as the plan makes them.

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

    def node(self, mode: WriteMode, table: str = "orders") -> DestinationNode:
        """One that writes a table in a mode."""
        node = self.daily if PARTITIONED[mode] else self.whole
        assert isinstance(node.target, TableTarget)
        keys = ("id",) if mode == "merge" else ()
        target = replace(node.target, table=f"shop.{table}", write=mode, keys=keys)
        return replace(node, target=target)


@dataclass(frozen=True)
class Sending:
    """One delivery; it can be sent to another process.

    Attributes:
        node: the destination.
        numbers: the version of each partition.
        url: of the database.
        scratch: a folder of its own.
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

        def rows(due: Sequence[str]) -> pa.RecordBatchReader:
            if self.reading is not None and self.go_on is not None:
                self.reading.set()
                assert self.go_on.wait(PATIENCE)
            wanted = {key: self.numbers[key] for key in due}
            return arrow_of(wanted, partitioned=self.node.partitions is not None)

        outside = Outside(
            lambda _: DatabaseConnection(type="database", url=self.url), lambda text: text
        )
        return to_target(
            Delivery(
                self.node, versions, COLUMNS, rows, outside, self.scratch, "run", work or Work()
            )
        )


def keys_of(mode: WriteMode, *partitions: str) -> tuple[str, ...]:
    """The partitions of a mode that has some, or the one that stands for none."""
    return partitions if PARTITIONED[mode] else (WHOLE,)


class PostgresTables:
    """The tables of a database in PostgreSQL.

    Args:
        url: of it, past all that is in the way of deliveries.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def connect(self) -> psycopg2.extensions.connection:
        """For `held`: looks of one reader go through one connection."""
        connection = psycopg2.connect(self.url)
        connection.set_session("REPEATABLE READ", readonly=True)
        return connection

    def held(self, table: str, connection: psycopg2.extensions.connection | None = None) -> Held:
        """A table and its ledger, at one moment."""
        if connection is None:
            with closing(self.connect()) as own:
                return self.held(table, own)
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT to_regclass(%s) IS NOT NULL, to_regclass('data_platform.loads') "
                "IS NOT NULL, EXISTS (SELECT FROM pg_attribute WHERE attname = %s "
                "AND attrelid = to_regclass(%s))",
                (f"shop.{table}", PARTITION, f"shop.{table}"),
            )
            has_table, has_ledger, partitioned = cursor.fetchone() or (False, False, False)
            rows, ledger = [], {}
            if has_table:
                partition = PARTITION if partitioned else f"'{WHOLE}'"
                cursor.execute(f"SELECT {', '.join(COLUMNS)}, {partition} FROM shop.{table}")
                rows = cursor.fetchall()
            if has_ledger:
                cursor.execute(
                    "SELECT partition, data_version, rows FROM data_platform.loads "
                    "WHERE table_name = %s",
                    (f"shop.{table}",),
                )
                ledger = {key: (version, count) for key, version, count in cursor.fetchall()}
        return Held(in_order(rows), ledger)

    def leftovers(self) -> list[str]:
        """What is left of loads that have ended; a server needs a moment to see that one has."""
        limit = time.monotonic() + PATIENCE
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                while True:
                    cursor.execute(SESSIONS)
                    found = [str(row[0]) for row in cursor.fetchall()]
                    if not found or time.monotonic() > limit:
                        return found
                    time.sleep(0.01)
