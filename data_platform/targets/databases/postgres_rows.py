"""Rows of a table in PostgreSQL, read back within the transaction that loads it.

Asked by `destinations.judging`, before the commit. Every value comes as the table has it: of an
exact number that has no declared precision it is measured first, so that nothing is rounded.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow and the driver come without types.

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data_platform.engine.postgres_types import DIRECT, TIMES
from data_platform.engine.session import Session
from data_platform.errors import StorageError
from data_platform.plan.destinations.kinds import TableTarget
from data_platform.plan.destinations.partition_rows import PartitionRows
from data_platform.plan.destinations.tables import TableName, table_name
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.partitions import Partitions
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.targets.databases.reading_back import is_read, kept, partitions_in

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection

MAX_PRECISION = 38
"""Digits of a decimal in Arrow and in DuckDB."""
BATCH_BYTES = 16 * 1024 * 1024
"""Of a batch that the driver gives, about."""

_DECLARED = re.compile(r"numeric\((\d+),(-?\d+)\)")
_COLUMNS = """
WITH RECURSIVE types AS (
  SELECT attname, attnum, atttypid AS kind, atttypmod AS modifier FROM pg_attribute
  WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT attname, attnum, typbasetype, typtypmod
  FROM types JOIN pg_type ON pg_type.oid = kind WHERE typtype = 'd'
)
SELECT attname, format_type(kind, NULL), format_type(kind, modifier)
FROM types JOIN pg_type ON pg_type.oid = kind WHERE typtype <> 'd' ORDER BY attnum
"""
"""The columns of a table; of a domain, the type that it is made of."""


@dataclass(frozen=True)
class _Column:
    """A column as the table has it, and as it is read.

    Attributes:
        name: of the column.
        declared: the table's own type.
        type: in DuckDB's words; None where it has to be measured.
        wire: the type in which it travels.
        asked: PostgreSQL's expression that gives it.
        before: what is before all times that there are, where it is a time.
    """

    name: str
    declared: str
    type: str | None
    wire: pa.DataType
    asked: str
    before: str | None = None

    @property
    def taken(self) -> str:
        """DuckDB's expression over what travelled."""
        name = quoted(self.name)
        if self.before is not None:
            message = literal(f"column {self.name} holds infinity, or a time that is none in Arrow")
            return f"CASE WHEN {name} < {self.before} THEN ERROR({message}) ELSE {name} END"
        return f"CAST({name} AS {self.type})" if self.declared.startswith("numeric") else name


@dataclass(frozen=True)
class TableRows:
    """A table within a transaction; see `LoadedRows`.

    Attributes:
        connection: whose transaction it is.
        target: the table.
        partitions: of the destination.
    """

    connection: "Connection"
    target: TableTarget
    partitions: Partitions | None

    @property
    def _name(self) -> TableName:
        return table_name(self.target.table, "postgres")

    def keep(
        self,
        session: Session,
        relation: str,
        keys: Sequence[str],
        columns: Collection[str] | None,
    ) -> None:
        """Keep the rows of some partitions in a session, with `_partition`."""
        self._keep(session, relation, columns, *self._of(keys))

    def keep_others(
        self, session: Session, relation: str, keys: Sequence[str], columns: Collection[str]
    ) -> bool:
        """Keep some columns of the rows of all other partitions; False where there are none."""
        rows = self._partition_rows()
        if rows is None:
            return False
        _, from_ = self._of(keys, "LEFT JOIN")
        where = f"{from_} WHERE due.key IS NULL"
        self._keep(session, relation, columns, f"{rows.key_of('held')}::text", where)
        return True

    def _of(self, keys: Sequence[str], join: str = "JOIN") -> tuple[str, str]:
        """What tells the partition of a row, and from where the rows come."""
        from_ = f"FROM {self._name.sql} AS held"
        rows = self._partition_rows()
        if rows is None:
            return f"{literal(WHOLE)}::text", from_
        values, names, belongs = rows.due(keys)
        return (
            "due.key::text",
            f"{from_} {join} ({values}) AS due({names}) ON {belongs}",
        )

    def _partition_rows(self) -> PartitionRows | None:
        def types() -> dict[str, str]:
            return {name: full for name, _, full in self._declared()}

        return partitions_in(self.target, self.partitions, types, "postgres")

    def _keep(
        self,
        session: Session,
        relation: str,
        wanted: Collection[str] | None,
        partition: str,
        from_: str,
    ) -> None:
        columns = self._measured(self._read(wanted), from_)
        asked = "".join(f"{column.asked} AS {quoted(column.name)}, " for column in columns)
        taken = "".join(f"{column.taken} AS {quoted(column.name)}, " for column in columns)
        schema = pa.schema(
            [*((column.name, column.wire) for column in columns), (PARTITION, pa.string())]
        )
        batches = self._batches(f"SELECT {asked}{partition} {from_}", schema, session)
        kept(session, relation, schema, batches, f"{taken}{PARTITION}")

    def _batches(self, sql: str, schema: pa.Schema, session: Session) -> Iterator[pa.RecordBatch]:
        from adbc_driver_postgresql import StatementOptions  # noqa: PLC0415

        with self.connection.cursor() as cursor:
            hint = {StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)}
            cursor.adbc_statement.set_options(**hint)
            cursor.execute(sql)
            for batch in cursor.fetch_record_batch():
                session.work.go_on()
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    def _read(self, columns: Collection[str] | None) -> list[_Column]:
        return [
            _column(name, kind, declared)
            for name, kind, declared in self._declared()
            if is_read(self.target, name, columns)
        ]

    def _declared(self) -> list[tuple[str, str, str]]:
        with self.connection.cursor() as cursor:
            cursor.execute(_COLUMNS, (self._name.sql,))
            return [(str(name), str(kind), str(full)) for name, kind, full in cursor.fetchall()]

    def _measured(self, columns: Sequence[_Column], from_: str) -> list[_Column]:
        """The columns, exact numbers as wide as what they hold in these rows."""
        unmeasured = [column for column in columns if column.type is None]
        if not unmeasured:
            return list(columns)
        measures = ", ".join(
            f"max(min_scale({held})), max(length(trunc(abs({held}))::text)), "
            f"count(*) FILTER (WHERE {held} IS NOT NULL AND scale({held}) IS NULL)"
            for held in (f"held.{quoted(column.name)}" for column in unmeasured)
        )
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {measures} {from_}")
            found: list[Any] = list(cursor.fetchone() or ())
        types = {
            column.name: self._exact(column.name, *found[3 * number : 3 * number + 3])
            for number, column in enumerate(unmeasured)
        }
        return [
            _Column(column.name, column.declared, types[column.name], column.wire, column.asked)
            if column.type is None
            else column
            for column in columns
        ]

    def _exact(self, name: str, scale: int | None, whole: int | None, endless: int) -> str:
        about = f"table {self._name.full}: column {name} holds"
        if endless:
            raise StorageError(f"{about} NaN or infinity, which no decimal is: find out what wrote")
        scale, whole = scale or 0, whole or 1
        if scale + whole > MAX_PRECISION:
            message = f"{about} numbers of {scale + whole} digits; a rule reads {MAX_PRECISION}"
            raise StorageError(f"{message}: round them, or leave the column out of rules")
        return f"DECIMAL({scale + whole},{scale})"


def _column(name: str, kind: str, declared: str) -> _Column:
    held = f"held.{quoted(name)}"
    if kind in DIRECT:
        type_, wire = DIRECT[kind]
        return _Column(name, kind, type_, wire, f"{held}::{kind}")
    if kind in TIMES:
        type_, wire, before = TIMES[kind]
        return _Column(name, kind, type_, wire, f"{held}::{kind}", before)
    element = DIRECT.get(kind.removesuffix("[]"))
    if kind.endswith("[]") and element is not None:
        return _Column(name, kind, f"{element[0]}[]", pa.list_(element[1]), f"{held}::{kind}")
    if kind == "numeric":
        return _Column(name, declared, _decimal(declared), pa.string(), f"{held}::text")
    return _Column(name, kind, "VARCHAR", pa.string(), f"{held}::text")


def _decimal(declared: str) -> str | None:
    """DuckDB's type of a numeric with a precision that fits."""
    found = _DECLARED.fullmatch(declared)
    if found is None:
        return None
    precision, scale = int(found[1]), int(found[2])
    return f"DECIMAL({precision},{scale})" if 0 <= scale <= precision <= MAX_PRECISION else None
