"""Any other database that SQLAlchemy has a dialect for: rows by a cursor on the server's side.

Called by `databases`. Nothing but the values tells their types here: they are read twice, first for
the types, in one transaction.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import (
    Connection,
    CursorResult,
    Inspector,
    create_engine,
    exc,
    inspect,
    pool,
    text,
)
from sqlalchemy.engine import make_url

from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.sources.queries import dialect_of, filled, placeholders
from data_platform.sources.database.columns import SourceColumn, direct
from data_platform.sources.database.rows import batches_of
from data_platform.sources.database.statements import Statement, quoted_by

_ISOLATION = ("SNAPSHOT", "REPEATABLE READ", "SERIALIZABLE")
"""The first of these that the database has: all that is read is of one state then."""
SCANNED = 10_000
"""Rows that are looked at at once for their types."""
_DRIVERS = {
    "mssql": "pyodbc",
    "oracle": "oracledb",
    "mysqldb": "mysqlclient",
    "snowflake": "snowflake-sqlalchemy",
    "redshift": "sqlalchemy-redshift",
    "bigquery": "sqlalchemy-bigquery",
    "clickhouse": "clickhouse-sqlalchemy",
    "trino": "trino[sqlalchemy]",
    "databricks": "databricks-sqlalchemy",
}
"""What to install, where its name isn't that of the dialect or driver."""


@contextmanager
def open_alchemy(url: str, what: str) -> "Generator[Alchemy]":
    """A database in one transaction."""
    try:
        address = make_url(url)
    except exc.ArgumentError:
        raise SourceError(f"{what}: the connection's url isn't one that SQLAlchemy takes") from None
    shown = f"{address.drivername}://{address.host or ''}/{address.database or ''}"
    try:
        engine = create_engine(address, poolclass=pool.NullPool)
    except (exc.NoSuchModuleError, ImportError):
        backend, _, driver = address.drivername.partition("+")
        package = _DRIVERS.get(driver or backend, driver or backend)
        raise SourceError(
            f"{what} in {shown}: there is no driver for {address.drivername}; install one, such as "
            f"`pip install {package}`"
        ) from None
    try:
        levels = engine.dialect.get_isolation_level_values(None)  # type: ignore[arg-type]
    except NotImplementedError:
        levels = ()
    level = next((level for level in _ISOLATION if level in levels), None)
    try:
        with engine.connect() as connection:
            if level is not None:
                connection.execution_options(isolation_level=level)
            yield Alchemy(connection, url, what)
    except exc.SQLAlchemyError as error:
        about = str(getattr(error, "orig", None) or error).splitlines()[0]
        message = f"{what} in {shown}: {about}"
        if isinstance(error, exc.OperationalError | exc.InterfaceError):
            raise SourceUnavailable(message) from None
        raise SourceError(message) from None


class Alchemy:
    """An open database."""

    def __init__(self, connection: Connection, url: str, what: str) -> None:
        self._connection = connection
        self._what = what
        self.dialect = dialect_of(url)
        self.quote = connection.dialect.identifier_preparer.initial_quote

    def columns(
        self, statements: Sequence[Statement], known: Mapping[str, str]
    ) -> list[SourceColumn]:
        """The columns of a statement, in the types of their values."""
        kinds: dict[str, set[type]] = {}
        for statement in statements:
            with self._executed(statement, SCANNED) as result:
                found = [kinds.setdefault(name, set()) for name in result.keys()]  # noqa: SIM118
                for rows in result.partitions(SCANNED):
                    for seen, values in zip(found, zip(*rows, strict=True), strict=True):
                        seen.update(map(type, values))
        return [
            _column(name, seen - {type(None)}, known.get(name), quoted_by(name, self.quote))
            for name, seen in kinds.items()
        ]

    def batches(
        self, statement: Statement, columns: Sequence[SourceColumn], fetch_size: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a statement."""
        with self._executed(statement, fetch_size) as result:
            yield from batches_of(result.fetchmany, columns, fetch_size, self._what)

    def rows(self, statement: Statement) -> Sequence[Sequence[Any]]:
        """The few rows that a statement gives."""
        with self._executed(statement, SCANNED) as result:
            return [tuple(row) for row in result]

    @property
    def inspector(self) -> Inspector:
        """What SQLAlchemy tells of the database's catalogue."""
        return inspect(self._connection)

    def cancel(self) -> None:
        """Ask the driver to end what runs, where it can; else close under it."""
        driver = self._connection.connection.driver_connection
        stop = getattr(driver, "cancel", None) or getattr(driver, "interrupt", None)
        if stop is not None:
            stop()
        else:
            self._connection.invalidate()

    @contextmanager
    def _executed(self, statement: Statement, size: int) -> Generator[CursorResult[Any]]:
        named = {one.name for one in placeholders(statement.sql, self.dialect)}
        marked = filled(statement.sql, self.dialect, lambda name: f"\0{name}\0")
        # SQLAlchemy finds names in strings too, unless their colons are escaped.
        parts = marked.replace(":", "\\:").split("\0")
        sql = "".join(f":{part}" if n % 2 else part for n, part in enumerate(parts))
        values = {name: statement.values[name] for name in named}
        options = {"stream_results": True, "yield_per": size}
        result = self._connection.execute(text(sql), values, execution_options=options)
        try:
            yield result
        finally:
            result.close()


def _column(name: str, seen: set[type], known: str | None, asked: str) -> SourceColumn:
    """A column in the type that all its values have; a mixture is text."""
    kinds = {_KINDS.get(kind, "VARCHAR") for kind in seen}
    if kinds == {"BIGINT", "DOUBLE"}:
        kinds = {"DOUBLE"}
    kind = kinds.pop() if len(kinds) == 1 else "VARCHAR"
    if not seen and known is not None and known in _WIRES:
        kind = known
    column = direct(
        name, ", ".join(sorted(one.__name__ for one in seen)), kind, _WIRES[kind], asked
    )
    return replace(column, convert=str) if kind == "VARCHAR" and seen != {str} else column


_KINDS: Mapping[type, str] = {
    bool: "BOOLEAN",
    int: "BIGINT",
    float: "DOUBLE",
    Decimal: "VARCHAR",
    str: "VARCHAR",
    bytes: "BLOB",
    memoryview: "BLOB",
    date: "DATE",
    datetime: "TIMESTAMP",
    time: "VARCHAR",
    UUID: "VARCHAR",
}
_WIRES: Mapping[str, pa.DataType] = {
    "BOOLEAN": pa.bool_(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
    "BLOB": pa.binary(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
}
