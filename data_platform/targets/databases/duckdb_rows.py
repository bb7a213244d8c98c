"""Rows of a table in a file of DuckDB, read back within the transaction that loads it.

Asked by `destinations.judging`, before the commit. They come as the table has them.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from data_platform.engine.session import Session
from data_platform.plan.conversions import stored_type
from data_platform.plan.destinations.kinds import TableTarget
from data_platform.plan.destinations.partition_rows import PartitionRows
from data_platform.plan.destinations.tables import table_name
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.partitions import Partitions
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.targets.databases.reading_back import is_read, kept, partitions_in

BATCH_ROWS = 122_880
"""DuckDB's own row group."""


@dataclass(frozen=True)
class DuckDBRows:
    """A table within a transaction; see `LoadedRows`.

    Attributes:
        connection: whose transaction it is.
        target: the table.
        partitions: of the destination.
    """

    connection: duckdb.DuckDBPyConnection
    target: TableTarget
    partitions: Partitions | None

    def keep(
        self,
        session: Session,
        relation: str,
        keys: Sequence[str],
        columns: Collection[str] | None,
    ) -> None:
        """Keep the rows of some partitions in a session, with `_partition`."""
        rows = self._partition_rows()
        if rows is None:
            self._keep(session, relation, columns, literal(WHOLE), "")
        else:
            self._keep(session, relation, columns, "due.key", f"JOIN {_due(rows, keys)}")

    def keep_others(
        self, session: Session, relation: str, keys: Sequence[str], columns: Collection[str]
    ) -> bool:
        """Keep some columns of the rows of all other partitions; False where there are none."""
        rows = self._partition_rows()
        if rows is None:
            return False
        joined = f"LEFT JOIN {_due(rows, keys)} WHERE due.key IS NULL"
        partition = f"CAST({rows.key_of('held')} AS VARCHAR)"
        self._keep(session, relation, columns, partition, joined)
        return True

    def _partition_rows(self) -> PartitionRows | None:
        """Which rows belong to which partition; None where there are none."""
        return partitions_in(self.target, self.partitions, self._declared, "duckdb")

    def _keep(
        self,
        session: Session,
        relation: str,
        columns: Collection[str] | None,
        partition: str,
        joined: str,
    ) -> None:
        listed = "".join(
            f"{_asked(name, kind)} AS {quoted(name)}, "
            for name, kind in self._declared().items()
            if is_read(self.target, name, columns)
        )
        table = table_name(self.target.table, "duckdb").sql
        sql = f"SELECT {listed}{partition} AS {PARTITION} FROM {table} AS held {joined}"
        reader = self.connection.sql(sql).to_arrow_reader(BATCH_ROWS)
        kept(session, relation, reader.schema, _watched(reader, session))

    def _declared(self) -> dict[str, str]:
        table = table_name(self.target.table, "duckdb").sql
        found = self.connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
        return {str(row[0]): str(row[1]) for row in found}


def _due(rows: PartitionRows, keys: Sequence[str]) -> str:
    """The partitions to join with, and how rows join them."""
    values, names, belongs = rows.due(keys)
    return f"({values}) AS due({names}) ON {belongs}"


def _asked(name: str, kind: str) -> str:
    """A column in the type in which the lake would keep it; what it has no type for as text."""
    held, stored = f"held.{quoted(name)}", stored_type(kind)
    return held if stored == kind else f"CAST({held} AS {stored or 'VARCHAR'})"


def _watched(reader: pa.RecordBatchReader, session: Session) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        session.work.go_on()
        yield batch
