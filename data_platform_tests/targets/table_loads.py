"""Loads of one table without a lake: rows are SELECTs, versions their hashes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from days import daily as days
from factories import DAY, NEXT_DAY, database_outside

from data_platform.engine.postgres import connected
from data_platform.errors import Location
from data_platform.plan.destinations.kinds import TableTarget
from data_platform.plan.destinations.narrowing import Range
from data_platform.plan.keys import Key
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.nodes import DestinationNode
from data_platform.plan.schemas import NO_MASKING, Column, Masking, Schema
from data_platform.targets import answering
from data_platform.targets.deliveries import Delivery, Judge, Version
from data_platform.targets.deliveries import Rows as DeliveredRows

THIRD_DAY = "2024-01-03"
_DUCKDB = duckdb.connect()
Rows = list[tuple[Any, ...]]

__all__ = ["DAY", "NEXT_DAY", "THIRD_DAY", "WHOLE", "Loads"]


@dataclass
class Loads:
    """A table of a database.

    Attributes:
        url: of the database.
        target: the table and how it is written.
        columns: its contract.
        timezone: of its partitions.
        said: what loads told.
    """

    url: str
    target: TableTarget = field(
        default_factory=lambda: TableTarget("shop", "postgres", "shop.orders", "replace")
    )
    columns: tuple[Column, ...] = ()
    timezone: str = "UTC"
    description: str | None = None
    masking: Masking = NO_MASKING
    said: list[str] = field(default_factory=list)

    def given(self, write: str, **about: Any) -> "Loads":
        """The same table, written in another way."""
        return replace(self, target=replace(self.target, write=write, **about), said=[])

    def daily(self, write: str = "replace_partition", **about: Any) -> "Loads":
        """The same table, by days."""
        own = "partition_column" in about
        column = about.pop("partition_column", PARTITION)
        return self.given(write, partition_column=column, adds_partition_column=not own, **about)

    def promising(self, *columns: Column) -> "Loads":
        """The same table with a contract."""
        return replace(self, columns=columns)

    @property
    def node(self) -> DestinationNode:
        daily = self.target.partition_column is not None
        return DestinationNode(
            key=Key("destinations", "shop", "orders"),
            location=Location(Path("pipeline.yaml"), 1, 1),
            description=self.description,
            owner="team:shop",
            criticality="medium",
            tags={},
            runbook=None,
            partitions=days(date(2024, 1, 1), None, self.timezone) if daily else None,
            source=Key("staging", "shop", "orders"),
            target=self.target,
            masking=self.masking,
            contract=Schema(self.columns, closed=True) if self.columns else None,
        )

    def bring(self, content: Mapping[str, str] | str, judge: Judge | None = None) -> list[str]:
        """Load partitions, each the rows of a SELECT; gives those that were loaded."""
        selects = {WHOLE: content} if isinstance(content, str) else content
        with _DUCKDB.cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            first = next(iter(selects.values()))
            described = connection.execute(f"DESCRIBE {first}").fetchall()

            def rows(due: Sequence[str]) -> pa.RecordBatchReader:
                added = f", '{{}}' AS {PARTITION}" if self.target.adds_partition_column else ""
                asked = (f"SELECT *{added.format(key)} FROM ({selects[key]}) AS t" for key in due)
                return connection.sql(" UNION ALL ".join(asked)).to_arrow_reader(1000)

            def ranges(columns: Sequence[str]) -> dict[str, Range]:
                found: dict[str, Range] = {}
                union = " UNION ALL ".join(
                    f"SELECT * FROM ({one}) AS t" for one in selects.values()
                )
                for name in columns:
                    asked = f'SELECT min("{name}"), max("{name}") FROM ({union}) AS t'
                    [(low, high)] = connection.execute(asked).fetchall()
                    found[name] = None if low is None else (low, high)
                return found

            versions = {key: _version(sql) for key, sql in selects.items()}
            columns = {str(name): str(kind) for name, kind, *_ in described}
            return self.deliver(versions, columns, rows, judge=judge, ranges=ranges)

    def deliver(
        self,
        versions: Mapping[str, Version],
        columns: Mapping[str, str],
        rows: DeliveredRows,
        **about: Any,
    ) -> list[str]:
        """Load versions whose rows are given."""
        return answering.deliver(
            Delivery(
                node=self.node,
                versions=versions,
                columns=columns,
                rows=rows,
                outside=database_outside(self.url),
                scratch=Path(),
                run_id="run",
                say=self.said.append,
                **about,
            )
        )

    def held(self) -> dict[str, int]:
        """Rows of each partition, as the ledger has them."""
        found = answering.held(self.node, database_outside(self.url))
        return {key: version.rows for key, version in found.items()}

    def ask(self, query: str = "SELECT * FROM shop.orders ORDER BY 1") -> Rows:
        with connected(self.url, autocommit=True) as (_, cursor):
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]

    def execute(self, *statements: str) -> None:
        with connected(self.url, autocommit=True) as (_, cursor):
            for statement in statements:
                cursor.execute(statement)

    def form(self) -> Rows:
        """Names, types and nullability of the table's columns."""
        return self.ask(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute "
            "WHERE attrelid = 'shop.orders'::regclass AND attnum > 0 AND NOT attisdropped "
            "ORDER BY attnum"
        )


def _version(sql: str) -> Version:
    with _DUCKDB.cursor() as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM ({sql}) AS t").fetchone() or (0,)
    return Version(hashlib.sha256(sql.encode()).hexdigest(), count)
