"""What the platform keeps in a database: which versions a table holds, and of which columns.

Written by `loading` in the transaction that loads, so both are as true as the table. `loads` has a
row for each partition that the table holds; `tables` one for each table, with the columns that were
loaded last: those that a table has besides are somebody else's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_platform.plan.destinations.tables import TableName, own_table
from data_platform.plan.sql.expressions import literal
from data_platform.targets.databases.transactions import Transaction
from data_platform.targets.deliveries import Version

LOADS, TABLES = "loads", "tables"


@dataclass(frozen=True)
class LoadedColumn:
    """A column as it was loaded last.

    Attributes:
        type: in DuckDB's words.
        nullable: as the contract said.
    """

    type: str
    nullable: bool


class Ledger:
    """What is kept about one table."""

    def __init__(self, transaction: Transaction, table: TableName) -> None:
        self._transaction = transaction
        self._loads = own_table(LOADS, transaction.dialect)
        self._tables = own_table(TABLES, transaction.dialect)
        self._mine = f"table_name = {literal(table.full)}"
        self._name = literal(table.full)

    def versions(self) -> dict[str, Version]:
        """Which versions the table holds, by partition; none where there is no ledger."""
        if self._transaction.columns(self._loads) is None:
            return {}
        found = self._transaction.query(
            f"SELECT partition, data_version, rows FROM {self._loads.sql} WHERE {self._mine}"
        )
        return {str(key): Version(str(version), int(count)) for key, version, count in found}

    def columns(self) -> dict[str, LoadedColumn] | None:
        """The columns that were loaded last; None where that was never noted."""
        if self._transaction.columns(self._tables) is None:
            return None
        found = self._transaction.query(
            f"SELECT columns FROM {self._tables.sql} WHERE {self._mine}"
        )
        if not found:
            return None
        noted: dict[str, dict[str, object]] = json.loads(str(found[0][0]))
        return {
            name: LoadedColumn(str(one["type"]), bool(one["nullable"]))
            for name, one in noted.items()
        }

    def enter(self, versions: Mapping[str, Version], run_id: str) -> None:
        """Note versions that were loaded."""
        self.forget(list(versions))
        run = literal(run_id)
        values = ", ".join(
            f"({self._name}, {literal(key)}, {literal(version.data_version)}, {run}, "
            f"{version.rows})"
            for key, version in versions.items()
        )
        self._transaction.execute(
            f"INSERT INTO {self._loads.sql} (table_name, partition, data_version, run_id, rows) "
            f"VALUES {values}"
        )

    def note(self, destination: str, columns: Mapping[str, LoadedColumn]) -> None:
        """Note the columns that are loaded."""
        noted = {
            name: {"type": one.type, "nullable": one.nullable} for name, one in columns.items()
        }
        told = json.dumps(noted, ensure_ascii=False)
        self._transaction.execute(f"DELETE FROM {self._tables.sql} WHERE {self._mine}")
        self._transaction.execute(
            f"INSERT INTO {self._tables.sql} (table_name, destination, columns) "
            f"VALUES ({self._name}, {literal(destination)}, {literal(told)})"
        )

    def forget(self, keys: Sequence[str] | None = None) -> None:
        """Strike out partitions; None means all of them."""
        some = "" if keys is None else f" AND partition IN ({', '.join(map(literal, keys))})"
        self._transaction.execute(f"DELETE FROM {self._loads.sql} WHERE {self._mine}{some}")

    def statement_to_forget(self, key: str) -> str:
        """What a person runs so that a partition counts as not loaded."""
        return f"DELETE FROM {self._loads.sql} WHERE {self._mine} AND partition = {literal(key)}"
