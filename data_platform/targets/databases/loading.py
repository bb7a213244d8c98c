"""A table in a database that follows an asset of the lake: each version of a partition once.

Called by `targets.answering`; one algorithm for all databases, over a `Transaction`. Making the
table fit, removing, ingesting and writing the ledger are one transaction under a lock: readers see
the old rows or the new ones, views and grants live on since nothing is dropped, renamed or
truncated, and a version that the ledger names is not loaded again.
"""

from collections.abc import Sequence
from dataclasses import replace

from data_platform.engine.outside import Outside
from data_platform.engine.work import Work
from data_platform.errors import StorageError
from data_platform.plan.destinations.column_types import declared_type
from data_platform.plan.destinations.kinds import TableTarget
from data_platform.plan.destinations.partition_rows import PartitionRows
from data_platform.plan.destinations.tables import TableName, table_name
from data_platform.plan.sql.expressions import quoted
from data_platform.spec.platform import DatabaseConnection
from data_platform.targets.databases.ledgers import Ledger
from data_platform.targets.databases.merging import Merging
from data_platform.targets.databases.opening import begun
from data_platform.targets.databases.preparing import EXAMPLES, Form, Preparing
from data_platform.targets.databases.reading_back import partitions_in
from data_platform.targets.databases.transactions import Transaction
from data_platform.targets.deliveries import Delivery, Version

ARRIVING = TableName("", "_data_platform_rows")
"""A temporary table for rows that need more than to be appended."""


def deliver(delivery: Delivery, target: TableTarget) -> list[str]:
    """Bring versions of partitions into the table, those that are there already left out.

    Returns:
        The partitions that were loaded.

    Raises:
        StorageUnavailable: the database can't be reached, or broke off.
        StorageError: the table can't take the rows, or the database refuses.
    """
    url = _url(target, delivery.outside)
    with begun(url, f"table {_full_name(target)}", delivery.work) as transaction:
        # The URL tells at last: a variable's default may be another database.
        target = replace(target, dialect=transaction.dialect)
        load = _Load(transaction, delivery, target)
        transaction.lock(load.table)
        form = load.preparing.prepare()
        due = load.due(form)
        if due:
            load.bring(due, form)
            rows = transaction.rows_of(target, delivery.node.partitions)
            if delivery.judge is not None and not delivery.judge(rows, due):
                return []
        elif not form.changes:
            return []
        transaction.commit()
    for change in form.changes:
        delivery.say(change)
    return due


def held(target: TableTarget, outside: Outside) -> dict[str, Version]:
    """What the ledger says of a table; empty where there is none.

    Raises:
        StorageUnavailable: the database can't be reached.
    """
    url, what = _url(target, outside), f"table {_full_name(target)}"
    with begun(url, what, Work(), reads=True) as transaction:
        return Ledger(transaction, table_name(target.table, transaction.dialect)).versions()


class _Load:
    """One load within its transaction."""

    def __init__(self, transaction: Transaction, delivery: Delivery, target: TableTarget) -> None:
        self._transaction, self._delivery, self._target = transaction, delivery, target
        self.table = table_name(target.table, transaction.dialect)
        self._ledger = Ledger(transaction, self.table)
        self.preparing = Preparing(transaction, delivery, target, self.table, self._ledger)

    def due(self, form: Form) -> list[str]:
        """The partitions whose version the table doesn't hold.

        Raises:
            StorageError: one that was added has changed, and `write` adds each once.
        """
        standing = {} if form.fresh else self._ledger.versions()
        versions = self._delivery.versions
        due = [
            key
            for key, version in versions.items()
            if key not in standing or standing[key].data_version != version.data_version
        ]
        changed = [key for key in due if key in standing]
        if changed and self._target.write in {"append", "create"}:
            raise StorageError(self._changed(changed, self._partition_rows(form)))
        return due

    def bring(self, due: Sequence[str], form: Form) -> None:
        """Take the old rows away and bring the new ones, with what the ledger says of them."""
        target, rows = self._target, self._partition_rows(form)
        match target.write:
            case "replace_partition" if rows is not None:
                where = rows.condition(due)
                self._transaction.execute(f"DELETE FROM {self.table.sql} WHERE {where}")
            case "replace" | "replace_partition":
                self._transaction.execute(f"DELETE FROM {self.table.sql}")
                self._ledger.forget()
            case "merge" | "append" | "create":
                pass
        reader = self.preparing.narrow(self._delivery.rows(due))
        if target.write == "merge" or form.casts:
            self._transaction.execute(self._arriving())
            self._transaction.ingest(ARRIVING, reader)
            self._take_over(form, rows, several=len(due) > 1)
        else:
            self._transaction.ingest(self.table, reader)
        versions = {key: self._delivery.versions[key] for key in due}
        self._ledger.enter(versions, self._delivery.run_id)
        self.preparing.note()

    def _arriving(self) -> str:
        """Makes the temporary table, in the rows' own types."""
        dialect = self._transaction.dialect
        columns = ", ".join(
            f"{quoted(name)} {declared_type(kind, dialect)}"
            for name, kind in self.preparing.kinds.items()
        )
        return f"CREATE TEMP TABLE {ARRIVING.sql} ({columns})"

    def _take_over(self, form: Form, rows: PartitionRows | None, *, several: bool) -> None:
        columns = list(self.preparing.kinds)
        taken = {
            name: f"CAST({quoted(name)} AS {form.casts[name]})"
            if name in form.casts
            else quoted(name)
            for name in columns
        }
        if self._target.write == "merge":
            merging = Merging(self._transaction, self._delivery.node, self.table, ARRIVING, rows)
            merging.require_one_of_each(self._target.keys)
            self._transaction.execute(merging.statement(self._target.keys, taken, several=several))
        else:
            listed = ", ".join(map(quoted, columns))
            self._transaction.execute(
                f"INSERT INTO {self.table.sql} ({listed}) "
                f"SELECT {', '.join(taken.values())} FROM {ARRIVING.sql}"
            )
        self._transaction.execute(f"DROP TABLE {ARRIVING.sql}")

    def _partition_rows(self, form: Form) -> PartitionRows | None:
        """Which rows belong to which partition; None where there are none."""
        partitions, dialect = self._delivery.node.partitions, self._transaction.dialect
        return partitions_in(self._target, partitions, lambda: form.columns, dialect)

    def _changed(self, keys: Sequence[str], rows: PartitionRows | None) -> str:
        """What to do where rows that were added once are others now."""
        write = self._target.write
        if rows is None:
            what, where, other = "its rows were", "", "replace"
        else:
            listed = ", ".join(keys[:EXAMPLES]) + (", ..." if len(keys) > EXAMPLES else "")
            what = f"partition{'s'[: len(keys) > 1]} {listed} {'were' if len(keys) > 1 else 'was'}"
            where, other = f" WHERE {rows.condition(keys[:1])}", "replace_partition"
        return (
            f"table {self.table.full}: {what} added before and changed since, and `{write}` adds "
            f"each once. Let the table follow by `write: {other}` or `merge`; or, to add it anew, "
            f"run: DELETE FROM {self.table.sql}{where}; "
            f"{self._ledger.statement_to_forget(keys[0])}"
        )


def _url(target: TableTarget, outside: Outside) -> str:
    connection = outside.connection(target.connection)
    assert isinstance(connection, DatabaseConnection)  # noqa: S101 -- the plan has seen to it
    return connection.url


def _full_name(target: TableTarget) -> str:
    return table_name(target.table, target.dialect).full
