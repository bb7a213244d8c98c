"""A table made fit for what is to be loaded: made, widened by columns, or refused.

Called by `loading` within its transaction, so that a table which is refused stays as it was. Only
what can't hurt anybody who reads the table is done: a new column, an index, a grant.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from data_platform.errors import StorageError
from data_platform.plan.destinations.column_types import declared_type, without_type
from data_platform.plan.destinations.kinds import TableTarget, added_columns
from data_platform.plan.destinations.narrowing import INTEGERS, narrowed
from data_platform.plan.destinations.statements import (
    column_comments,
    index_statement,
    required_columns,
    table_statements,
)
from data_platform.plan.destinations.tables import TableName
from data_platform.plan.schemas import Masking
from data_platform.plan.sql.expressions import quoted
from data_platform.targets.databases.ledgers import Ledger, LoadedColumn
from data_platform.targets.databases.transactions import TableColumn, Transaction
from data_platform.targets.deliveries import Delivery

EXAMPLES = 5
ARROW = dict(zip(INTEGERS, (pa.int8(), pa.int16(), pa.int32(), pa.int64()), strict=True))


@dataclass(frozen=True)
class Form:
    """A table that is fit.

    Attributes:
        columns: its types, in the database's words, of what is loaded.
        casts: those of columns whose values have to be cast on their way.
        fresh: whether it was made just now.
        changes: what was done to it, in words.
    """

    columns: Mapping[str, str]
    casts: Mapping[str, str] = field(default_factory=dict[str, str])
    fresh: bool = False
    changes: Sequence[str] = ()


class Preparing:
    """One table and what is to be loaded into it."""

    def __init__(
        self,
        transaction: Transaction,
        delivery: Delivery,
        target: TableTarget,
        table: TableName,
        ledger: Ledger,
    ) -> None:
        self._transaction, self._delivery, self._target = transaction, delivery, target
        self._table, self._ledger = table, ledger
        self.kinds = dict(delivery.columns)
        """DuckDB's types of what is loaded, the added partition column included; integers as small
        as they are to be, once the table is prepared."""
        self._told = added_columns(target, delivery.node.partitions, delivery.columns)
        self.kinds |= dict.fromkeys(self._told, "VARCHAR")
        self._small: Mapping[str, str] = {}
        self._required = {*required_columns(delivery.node), *target.keys}

    def prepare(self) -> Form:
        """Make the table, or make it fit.

        Raises:
            StorageError: it can't be made fit without a person's say; nothing was changed.
        """
        self._require_keys()
        there = self._transaction.columns(self._table)
        self.kinds |= self._narrowed(there or [])
        wanted = {name: self._declared(name, kind) for name, kind in self.kinds.items()}
        if there is None:
            return self._made(wanted)
        if self._target.write == "create" and not self._is_own():
            raise StorageError(
                f"table {self._table.full} is there already, and `create` makes its table: "
                "name another one, or say by `write` what is to become of its rows"
            )
        form = self._fitted({column.name: column for column in there}, wanted)
        return Form(form.columns, form.casts, changes=[*form.changes, *self._furnished()])

    def narrow(self, reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Rows with integers in the types of `kinds`, which hold all their values."""
        types = {name: ARROW[kind] for name, kind in self._small.items()}
        fields = [field.with_type(types.get(field.name, field.type)) for field in reader.schema]
        return reader.cast(pa.schema(fields)) if self._small else reader

    def note(self) -> None:
        """Remember what was loaded."""
        columns = {
            name: LoadedColumn(self._delivery.columns.get(name, kind), name not in self._required)
            for name, kind in self.kinds.items()
        }
        if columns != self._ledger.columns():
            self._ledger.note(str(self._delivery.node.key), columns)

    def _narrowed(self, there: Sequence[TableColumn]) -> Mapping[str, str]:
        """The types of integers by what they hold; SQLite's take the bytes of each value anyway."""
        if self._target.narrow and self._transaction.dialect != "sqlite":
            integers = [name for name, kind in self._delivery.columns.items() if kind in INTEGERS]
            ranges = self._delivery.ranges(integers) if integers else {}
            types = {column.name: column.declared for column in there}
            self._small = narrowed(self._delivery.columns, ranges, types)
        return self._small

    def _made(self, wanted: Mapping[str, str]) -> Form:
        node = self._delivery.node
        for statement in table_statements(node, self._target, self._table, wanted):
            self._transaction.execute(statement)
        # Whoever dropped the table dropped its rows: what the ledger says of them is no longer so.
        self._ledger.forget()
        self._grant()
        return Form(wanted, fresh=True)

    def _fitted(self, there: Mapping[str, TableColumn], wanted: Mapping[str, str]) -> Form:
        added = [name for name in wanted if name not in there]
        loaded = self._ledger.columns() or {}
        lost = [name for name in loaded if name not in wanted and name in there]
        casts: dict[str, str] = {}
        reasons, statements = self._lost(lost, added)
        for name, kind in self.kinds.items():
            column = there.get(name)
            if column is None:
                continue
            match self._fit(name, kind, column.declared):
                case "cast":
                    casts[name] = column.declared
                case "alter":
                    reasons.append(
                        f"column {name} is {column.declared}, and {wanted[name]} in the rows"
                    )
                    retyped = self._transaction.retyped(self._table, name, wanted[name])
                    statements.append(retyped)
                case "direct":
                    pass
            if self._may_be_null_now(name, column, loaded):
                reasons.append(f"column {name} is NOT NULL, and may be NULL now")
                statements.append(self._nullable(name, column))
        if reasons:
            raise StorageError(
                f"table {self._table.full} doesn't fit what is to be loaded, and nothing was "
                f"changed: {'; '.join(reasons)}. To change the table, run: {'; '.join(statements)}"
            )
        changes = self._added(added, wanted)
        types = {name: there[name].declared if name in there else wanted[name] for name in wanted}
        return Form(types, casts, changes=changes)

    def _fit(self, name: str, kind: str, declared: str) -> str:
        fit = self._transaction.fit(kind, declared)
        # The key of a partition may stand in a column of dates that somebody made.
        if fit != "alter" or name not in self._told or declared.lower() != "date":
            return fit
        return "direct" if self._transaction.dialect == "sqlite" else "cast"  # a text there, too

    def _nullable(self, name: str, column: TableColumn) -> str:
        """The statement that a person runs to let a column be NULL."""
        if self._transaction.dialect == "sqlite":
            return self._transaction.retyped(self._table, name, column.declared)
        return f"ALTER TABLE {self._table.sql} ALTER COLUMN {quoted(name)} DROP NOT NULL"

    def _may_be_null_now(
        self, name: str, column: TableColumn, loaded: Mapping[str, LoadedColumn]
    ) -> bool:
        """Whether a contract that promised values no longer does; others' NOT NULL is theirs."""
        before = loaded.get(name)
        return (
            before is not None
            and not before.nullable
            and not column.nullable
            and name not in self._required
        )

    def _lost(self, lost: Sequence[str], added: Sequence[str]) -> tuple[list[str], list[str]]:
        """What to say of columns that are loaded no more; one of them may be a new one by name."""
        reasons = [f"column {name} isn't in the rows any more" for name in lost]
        table = f"ALTER TABLE {self._table.sql}"
        if lost and added:
            reasons += [f"column {name} is new" for name in added]
        statements: list[str] = []
        for number, name in enumerate(lost):
            drop = f"{table} DROP COLUMN {quoted(name)}"
            if number < len(added):
                new = quoted(added[number])
                rename = f"{table} RENAME COLUMN {quoted(name)} TO {new}"
                statements.append(f"{rename} (if it is the same by another name, else: {drop})")
            else:
                statements.append(drop)
        return reasons, statements

    def _added(self, names: Sequence[str], wanted: Mapping[str, str]) -> list[str]:
        """Add columns: nullable, since rows that are there have none."""
        for name in names:
            self._transaction.execute(
                f"ALTER TABLE {self._table.sql} ADD COLUMN {quoted(name)} {wanted[name]}"
            )
        if self._transaction.dialect != "sqlite":
            for statement in column_comments(self._delivery.node, self._table, names):
                self._transaction.execute(statement)
        return [
            f"added column {name} {wanted[name]}"
            + (", which may be NULL: rows of before have none" if name in self._required else "")
            for name in names
        ]

    def _furnished(self) -> list[str]:
        """Indexes and grants that the table doesn't have yet."""
        target, changes = self._target, list[str]()
        known = self._transaction.indexes(self._table) if target.indexes or target.keys else []
        if target.keys and not any(
            index.unique and set(index.columns) == set(target.keys) for index in known
        ):
            self._require_apart()
            self._index(target.keys, unique=True)
            changes.append(f"made a unique index on {', '.join(target.keys)}")
        for columns in target.indexes:
            if not any(index.columns == columns for index in known):
                self._index(columns)
                changes.append(f"made an index on {', '.join(columns)}")
        return [*changes, *self._grant()]

    def _index(self, columns: Sequence[str], *, unique: bool = False) -> None:
        dialect = self._transaction.dialect
        self._transaction.execute(index_statement(self._table, columns, dialect, unique=unique))

    def _grant(self) -> list[str]:
        statements = self._transaction.missing_grants(self._table, self._target.grants)
        for statement in statements:
            self._transaction.execute(statement)
        return statements

    def _require_apart(self) -> None:
        """A table that is there gets its keys' index only where no two rows have the same key."""
        keys = ", ".join(quoted(key) for key in self._target.keys)
        twice = self._transaction.query(
            f"SELECT {keys}, count(*) FROM {self._table.sql} GROUP BY {keys} "
            f"HAVING count(*) > 1 LIMIT {EXAMPLES}"
        )
        if twice:
            *values, count = twice[0]
            example = key_words(self._target.keys, values, self._delivery.node.masking)
            raise StorageError(
                f"table {self._table.full} has rows with the same keys, {count} of "
                f"{example}: `merge` would change all of them; remove "
                "what is there twice, or choose other keys"
            )

    def _require_keys(self) -> None:
        for key in self._target.keys:
            if key not in self.kinds:
                raise StorageError(
                    f"table {self._table.full}: the rows have no column {key}, which `keys` "
                    f"names; they have {', '.join(self._delivery.columns)}"
                )

    def _declared(self, name: str, kind: str) -> str:
        declared = declared_type(kind, self._transaction.dialect)
        if declared is None:
            about = without_type(name, kind, self._transaction.dialect)
            raise StorageError(f"table {self._table.full}: {about}")
        return declared

    def _is_own(self) -> bool:
        return self._ledger.columns() is not None or bool(self._ledger.versions())


def key_words(keys: Sequence[str], values: Sequence[object], masking: Masking) -> str:
    """A key as messages show it: `id = 1, day = 2024-01-01`; nothing that tells of a person."""
    return ", ".join(
        f"{key} = {'(hidden)' if masking.hides(key) else value}"
        for key, value in zip(keys, values, strict=True)
    )
