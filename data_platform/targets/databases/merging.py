"""Rows merged into a table by their keys: what is new is added, what is there is changed.

Called by `loading`, with the rows in a temporary table. Of rows with the same keys in several
partitions that of the latest partition stands, in whatever order the partitions are loaded.
"""

from collections.abc import Mapping, Sequence

from data_platform.errors import StorageError
from data_platform.plan.destinations.partition_rows import PartitionRows
from data_platform.plan.destinations.tables import TableName
from data_platform.plan.nodes import DestinationNode
from data_platform.plan.sql.expressions import quoted
from data_platform.targets.databases.preparing import key_words
from data_platform.targets.databases.transactions import Transaction


class Merging:
    """The rows of one load.

    Args:
        transaction: of the load.
        node: the destination.
        table: into which they are merged.
        arriving: the temporary table that has them.
        rows: which of them belong to which partition; None where there are no partitions.
    """

    def __init__(
        self,
        transaction: Transaction,
        node: DestinationNode,
        table: TableName,
        arriving: TableName,
        rows: PartitionRows | None,
    ) -> None:
        self._transaction, self._node = transaction, node
        self._table, self._arriving, self._rows = table, arriving, rows

    def require_one_of_each(self, keys: Sequence[str]) -> None:
        """See to it that the rows of a partition have keys, and each once.

        Raises:
            StorageError: they don't.
        """
        listed = [f"arriving.{quoted(key)}" for key in keys]
        empty = " OR ".join(f"{key} IS NULL" for key in listed)
        from_ = f"FROM {self._arriving.sql} AS arriving"
        missing = self._transaction.query(f"SELECT count(*) {from_} WHERE {empty}")
        if missing[0][0]:
            raise StorageError(
                f"table {self._table.full}: {missing[0][0]:,} rows have no value of "
                f"{' or '.join(keys)}, by which they are merged; nothing was loaded"
            )
        by = ", ".join([*listed, *([self._rows.key_of("arriving")] if self._rows else [])])
        twice = self._transaction.query(
            f"SELECT {', '.join(listed)}, count(*) AS times {from_} GROUP BY {by} "
            "HAVING count(*) > 1 ORDER BY times DESC LIMIT 1"
        )
        if twice:
            *values, times = twice[0]
            within = "of one partition " if self._rows else ""
            raise StorageError(
                f"table {self._table.full}: {times:,} rows {within}have the keys "
                f"{key_words(keys, values, self._node.masking)}, and only one of them can stand; "
                f"nothing was loaded. Let {self._node.source} have one by `deduplicate`, or "
                "choose other `keys`"
            )

    def statement(self, keys: Sequence[str], taken: Mapping[str, str], *, several: bool) -> str:
        """What merges the rows.

        Args:
            keys: the columns that name a row.
            taken: expressions over the arriving rows, by column.
            several: whether they are of several partitions, which may have the same keys.
        """
        columns = ", ".join(map(quoted, taken))
        from_ = f"{self._arriving.sql} AS arriving"
        if several and self._rows is not None:
            by = ", ".join(f"arriving.{quoted(key)}" for key in keys)
            order = self._rows.key_of("arriving")
            latest = f"row_number() OVER (PARTITION BY {by} ORDER BY {order} DESC)"
            from_ = f"(SELECT *, {latest} AS _latest FROM {from_}) AS arriving WHERE _latest = 1"
        elif self._transaction.dialect == "sqlite":
            from_ = f"{from_} WHERE TRUE"  # else SQLite takes ON for a join's
        changed = [name for name in taken if name not in keys]
        assigned = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in changed)
        update = f"DO UPDATE SET {assigned}{self._unless_later()}" if changed else "DO NOTHING"
        return (
            f"INSERT INTO {self._table.sql} AS standing ({columns}) "
            f"SELECT {', '.join(taken.values())} FROM {from_} "
            f"ON CONFLICT ({', '.join(map(quoted, keys))}) {update}"
        )

    def _unless_later(self) -> str:
        if self._rows is None:
            return ""
        standing, new = self._rows.key_of("standing"), self._rows.key_of("excluded")
        unknown = " OR ".join(f"standing.{quoted(name)} IS NULL" for name in self._rows.names)
        return f" WHERE {unknown} OR {standing} <= {new}"
