"""A table in a database that follows an asset of the lake: each version of a partition once.

Called by `targets.answering`; one algorithm for all databases, over a `Transaction`. Removing,
ingesting and writing the ledger are one transaction under a lock: readers see the old rows or the
new ones, views and grants live on, and a version that the ledger names is not loaded again.
"""

from collections.abc import Mapping, Sequence

from data_platform.engine.outside import Outside
from data_platform.engine.work import Work
from data_platform.errors import StorageError
from data_platform.plan.destinations.column_types import declared_type
from data_platform.plan.destinations.kinds import TableTarget
from data_platform.plan.destinations.statements import table_statements
from data_platform.plan.destinations.tables import TableName, own_table, table_name
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.spec.platform import DatabaseConnection
from data_platform.targets.databases.opening import begun
from data_platform.targets.databases.transactions import Transaction
from data_platform.targets.deliveries import Delivery, Version

LEDGER = "loads"
"""The platform's own table with a row for each version that a table holds."""


def deliver(delivery: Delivery, target: TableTarget) -> list[str]:
    """Bring versions of partitions into the table, those that are there already left out.

    Returns:
        The partitions that were loaded.

    Raises:
        StorageUnavailable: the database can't be reached, or broke off.
        StorageError: the table has other columns, or the database refuses.
    """
    url, versions = _url(target, delivery.outside), delivery.versions
    with begun(url, f"table {_full_name(target)}", delivery.work) as transaction:
        load = _Load(transaction, delivery, target)
        transaction.lock(load.table)
        standing = load.prepare()
        due = [key for key, one in versions.items() if standing.get(key) != one.data_version]
        if not due:
            return []
        load.remove(due)
        transaction.ingest(load.table, delivery.rows(due))
        load.enter(due)
        if delivery.judge is not None and not delivery.judge(transaction.rows_of(target), due):
            return []
        transaction.commit()
        return due


def held(target: TableTarget, outside: Outside) -> dict[str, Version]:
    """What the ledger says of a table; empty where there is none.

    Raises:
        StorageUnavailable: the database can't be reached.
    """
    url, what = _url(target, outside), f"table {_full_name(target)}"
    with begun(url, what, Work(), reads=True) as transaction:
        return _entries(transaction, table_name(target.table, transaction.dialect))


class _Load:
    """One load within its transaction."""

    def __init__(self, transaction: Transaction, delivery: Delivery, target: TableTarget) -> None:
        self._transaction, self._delivery, self._target = transaction, delivery, target
        dialect = transaction.dialect
        self.table = table_name(target.table, dialect)
        self._ledger = own_table(LEDGER, dialect).sql
        self._mine = f"table_name = {literal(self.table.full)}"

    def prepare(self) -> Mapping[str, str]:
        """Make the table where it is missing; one that is there needs the columns.

        Returns:
            Data versions that it holds, by partition.
        """
        wanted = self._wanted()
        there = self._transaction.columns(self.table)
        if there is not None:
            self._require_columns({column.name for column in there}, wanted)
            entries = _entries(self._transaction, self.table)
            return {key: version.data_version for key, version in entries.items()}
        contract = self._delivery.node.contract
        for statement in table_statements(self._target, self.table, wanted, contract):
            self._transaction.execute(statement)
        # Whoever dropped the table dropped its rows: what the ledger says of them is no longer so.
        self._transaction.execute(f"DELETE FROM {self._ledger} WHERE {self._mine}")
        return {}

    def remove(self, keys: Sequence[str]) -> None:
        """Take away the rows of partitions, or all rows, and what the ledger says of them."""
        where, entries, column = "", "", self._target.partition_column
        if self._target.write == "replace_partition" and column:
            listed = ", ".join(literal(key) for key in keys)
            where = f" WHERE {quoted(column)} IN ({listed})"
            entries = f" AND partition IN ({listed})"
        self._transaction.execute(f"DELETE FROM {self.table.sql}{where}")
        self._transaction.execute(f"DELETE FROM {self._ledger} WHERE {self._mine}{entries}")

    def enter(self, keys: Sequence[str]) -> None:
        """Write the ledger's rows."""
        name, run = literal(self.table.full), literal(self._delivery.run_id)
        versions = {key: self._delivery.versions[key] for key in keys}
        values = ", ".join(
            f"({name}, {literal(key)}, {literal(version.data_version)}, {run}, {version.rows})"
            for key, version in versions.items()
        )
        self._transaction.execute(
            f"INSERT INTO {self._ledger} (table_name, partition, data_version, run_id, rows) "
            f"VALUES {values}"
        )

    def _wanted(self) -> dict[str, str]:
        """The columns that are loaded, and their types in the database's words."""
        wanted = {name: self._declared(kind) for name, kind in self._delivery.columns.items()}
        if self._target.adds_partition_column and self._target.partition_column:
            wanted[self._target.partition_column] = self._declared("VARCHAR")
        return wanted

    def _declared(self, kind: str) -> str:
        declared = declared_type(kind, self._transaction.dialect)
        if declared is None:
            raise StorageError(
                f"table {self.table.full}: PostgreSQL has no type for {kind}; "
                "convert the column to varchar"
            )
        return declared

    def _require_columns(self, there: set[str], wanted: Mapping[str, str]) -> None:
        missing = [
            f"ADD COLUMN {quoted(name)} {kind}"
            for name, kind in wanted.items()
            if name not in there
        ]
        if missing:
            raise StorageError(
                f"table {self.table.full} lacks columns that are to be loaded; run: "
                f"ALTER TABLE {self.table.sql} {', '.join(missing)}"
            )


def _url(target: TableTarget, outside: Outside) -> str:
    connection = outside.connection(target.connection)
    assert isinstance(connection, DatabaseConnection)  # noqa: S101 -- the plan has seen to it
    return connection.url


def _full_name(target: TableTarget) -> str:
    return table_name(target.table, target.dialect).full


def _entries(transaction: Transaction, table: TableName) -> dict[str, Version]:
    """What the ledger says of a table; empty where there is none."""
    ledger = own_table(LEDGER, transaction.dialect)
    if transaction.columns(ledger) is None:
        return {}
    found = transaction.query(
        f"SELECT partition, data_version, rows FROM {ledger.sql} "
        f"WHERE table_name = {literal(table.full)}"
    )
    return {str(key): Version(str(version), int(count)) for key, version, count in found}
