"""What targets hold, read past the platform by other drivers, and what loads left behind in them.

One class a kind of target, each with the URL or path that deliveries get.
"""

import io
import json
import sqlite3
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg2
import psycopg2.extensions
from pyarrow import parquet
from versions_of_rows import COLUMNS, PARTITIONED, Held, Row, in_order

from data_platform.plan.destinations.kinds import AnyTarget, Dialect, FileTarget, TableTarget
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.spec.destinations import CsvOutput, WriteMode

PATIENCE = 15.0
NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
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
LEDGER = "SELECT partition, data_version, rows FROM {ledger} WHERE table_name = '{table}'"
OWN = {"loads", "tables"}
"""The platform's tables in a database, besides those that are loaded."""


class Look(Protocol):
    """What a table holds at one moment; None where that can't be told then."""

    def __call__(self, table: str) -> Held | None: ...


class Tables(Protocol):
    """The tables of one database, or the files of a folder."""

    whole: bool
    """Whether all partitions of a load are there, or none."""
    pause: float
    """Seconds between two looks, which take time from what is being looked at."""

    @property
    def url(self) -> str:
        """That deliveries get."""
        ...

    def target(self, mode: WriteMode, table: str) -> AnyTarget:
        """A table of it, written in a mode."""
        ...

    def held(self, table: str) -> Held:
        """What a table holds."""
        ...

    def looking(self) -> AbstractContextManager[Look]:
        """For somebody who looks all the time."""
        ...

    def leftovers(self) -> list[str]:
        """What is left of loads that have ended."""
        ...


def table_target(dialect: Dialect, mode: WriteMode, table: str) -> TableTarget:
    """As the plan makes it."""
    partitioned = PARTITIONED[mode]
    return TableTarget(
        "shop",
        dialect,
        table,
        mode,
        keys=("id",) if mode == "merge" else (),
        partition_column=PARTITION if partitioned else None,
        adds_partition_column=partitioned,
    )


class PostgresTables:
    """The tables of a database in PostgreSQL.

    Args:
        url: of it, past all that is in the way of deliveries.
    """

    whole = True
    pause = 0.004

    def __init__(self, url: str) -> None:
        self.url = url

    def target(self, mode: WriteMode, table: str) -> AnyTarget:
        """A table of it, written in a mode."""
        return table_target("postgres", mode, f"shop.{table}")

    def held(self, table: str) -> Held:
        """What a table holds."""
        with self.looking() as look:
            return look(table)

    @contextmanager
    def looking(self) -> "Generator[_PostgresLook]":
        """Looks through one connection, each at one moment."""
        with closing(psycopg2.connect(self.url)) as connection:
            connection.set_session("REPEATABLE READ", readonly=True)
            yield _PostgresLook(connection)

    def leftovers(self) -> list[str]:
        """Sessions, locks, temporary tables; a server needs a moment to see that a client ended."""
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


class _PostgresLook:
    def __init__(self, connection: psycopg2.extensions.connection) -> None:
        self._connection = connection

    def __call__(self, table: str) -> Held:
        with self._connection, self._connection.cursor() as cursor:
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
                cursor.execute(f"SELECT {NAMES}, {partition} FROM shop.{table}")
                rows = cursor.fetchall()
            if has_ledger:
                name = f"shop.{table}"
                cursor.execute(LEDGER.format(ledger="data_platform.loads", table=name))
                ledger = {key: (version, count) for key, version, count in cursor.fetchall()}
        return Held(in_order(rows), ledger)


class SqliteTables:
    """The tables of a file of SQLite.

    Args:
        path: of it.
    """

    whole = True
    pause = 0.004

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"sqlite:///{path}"

    def target(self, mode: WriteMode, table: str) -> AnyTarget:
        """A table of it, written in a mode."""
        return table_target("sqlite", mode, table)

    def held(self, table: str) -> Held:
        """What a table holds."""
        with self.looking() as look:
            return look(table) or Held()

    @contextmanager
    def looking(self) -> Generator[Look]:
        """Looks through one connection, each in one transaction."""
        with closing(self._connected()) as connection:

            def look(table: str) -> Held:
                connection.execute("BEGIN")
                try:
                    return _held_by_sqlite(connection, table)
                finally:
                    connection.execute("ROLLBACK")

            yield look

    def leftovers(self) -> list[str]:
        """Whether somebody still has it, or something strange is in it."""
        with closing(self._connected()) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                return [str(error)]
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
            sound = connection.execute("PRAGMA integrity_check").fetchall()
            connection.execute("ROLLBACK")
        found = [str(row[0]) for row in sound if row[0] != "ok"]
        return found + [name for name in names if not _is_expected(name)]

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, isolation_level=None, timeout=PATIENCE)


def _held_by_sqlite(connection: sqlite3.Connection, table: str) -> Held:
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    rows: list[Row] = []
    ledger: dict[str, tuple[str, int]] = {}
    if table in names:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        partition = PARTITION if PARTITION in columns else f"'{WHOLE}'"
        query = f"SELECT {NAMES}, {partition} FROM {table}"
        rows = [_row(row) for row in connection.execute(query)]
    if "data_platform_loads" in names:
        query = LEDGER.format(ledger="data_platform_loads", table=table)
        ledger = {key: (version, count) for key, version, count in connection.execute(query)}
    return Held(in_order(rows), ledger)


def _row(row: tuple[Any, ...]) -> Row:
    """A row as text or numbers, with its own types."""
    row_id, number, amount, name, at, partition = row
    exact = None if amount is None else Decimal(str(amount)).quantize(Decimal("0.01"))
    return int(row_id), int(number), exact, name, datetime.fromisoformat(str(at)), str(partition)


def _is_expected(name: str) -> bool:
    return name.startswith(("orders", "data_platform_", "sqlite_"))


class DuckDBTables:
    """The tables of a file of DuckDB, which nobody can read while it is written.

    Args:
        path: of it.
    """

    whole = True
    pause = 0.05

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"duckdb:///{path}"

    def target(self, mode: WriteMode, table: str) -> AnyTarget:
        """A table of it, written in a mode."""
        return table_target("duckdb", mode, f"shop.{table}")

    def held(self, table: str) -> Held:
        """What a table holds."""
        limit = time.monotonic() + PATIENCE
        with self.looking() as look:
            while (held := look(table)) is None:
                assert time.monotonic() < limit, "somebody keeps the file"
                time.sleep(0.01)
        return held

    @contextmanager
    def looking(self) -> Generator[Look]:
        """Looks whenever nobody writes."""

        def look(table: str) -> Held | None:
            if not self._path.exists():
                return Held()
            try:
                connection = duckdb.connect(str(self._path), read_only=True)
            except duckdb.Error:
                return None
            with connection:
                return _held_by_duckdb(connection, table)

        yield look

    def leftovers(self) -> list[str]:
        """Tables that are nobody's."""
        if not self._path.exists():
            return []
        with duckdb.connect(str(self._path)) as connection:
            names = connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()
        return [str(row[0]) for row in names if not (_is_expected(row[0]) or row[0] in OWN)]


def _held_by_duckdb(connection: duckdb.DuckDBPyConnection, table: str) -> Held:
    found = connection.sql("SELECT table_name, column_name FROM duckdb_columns()").fetchall()
    names = {row[0] for row in found}
    rows: list[Row] = []
    ledger: dict[str, tuple[str, int]] = {}
    if table in names:
        partition = PARTITION if (table, PARTITION) in found else f"'{WHOLE}'"
        query = f"SELECT {NAMES}, {partition} FROM shop.{table}"
        rows = [_row(row) for row in connection.sql(query).fetchall()]
    if "loads" in names:
        query = LEDGER.format(ledger="data_platform.loads", table=f"shop.{table}")
        ledger = {key: (version, n) for key, version, n in connection.sql(query).fetchall()}
    return Held(in_order(rows), ledger)


class FileTables:
    """Files of Parquet in a folder, one a partition, whose manifests are the ledger.

    Args:
        folder: of them.
    """

    whole = False
    pause = 0.004

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = "none:"

    def target(self, mode: WriteMode, table: str) -> AnyTarget:
        """Files of it."""
        name = "{partition_key}" if PARTITIONED[mode] else "whole"
        path = str(self._folder / table / f"{name}.parquet")
        return FileTarget(path, None, "parquet", "zstd", CsvOutput())

    def held(self, table: str) -> Held:
        """What files hold whose manifests tell of them; those of others count as not there."""
        rows: list[Row] = []
        ledger: dict[str, tuple[str, int]] = {}
        for path in sorted((self._folder / table).glob("*.parquet")):
            content = path.read_bytes()
            beside = path.with_name(f"{path.name}.manifest.json")
            manifest = json.loads(beside.read_bytes()) if beside.exists() else {}
            if manifest.get("sha256") != sha256(content).hexdigest():
                continue
            key = manifest["partition"]
            ledger[key] = (manifest["data_version"], manifest["rows"])
            found = parquet.read_table(io.BytesIO(content), columns=list(COLUMNS))
            columns = zip(*(column.to_pylist() for column in found.columns), strict=True)
            rows += [_row((*row, key)) for row in columns]
        return Held(in_order(rows), ledger)

    @contextmanager
    def looking(self) -> Generator[Look]:
        """Looks without any lock: nothing prevents that a file is another one the moment after."""
        yield self.held

    def leftovers(self) -> list[str]:
        """Files that are neither data nor manifests."""
        files = [path for path in self._folder.rglob("*") if path.is_file()]
        return [path.name for path in files if not path.name.endswith((".parquet", ".json"))]
