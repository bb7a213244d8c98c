"""Loads of one table in a file of SQLite or of DuckDB, asked by the databases themselves."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from table_loads import Loads, Rows

from data_platform.plan.destinations.kinds import Dialect, TableTarget

KINDS: tuple[Dialect, ...] = ("sqlite", "duckdb")


@dataclass
class FileLoads(Loads):
    """A table of a file."""

    @property
    def dialect(self) -> Dialect:
        return self.target.dialect

    @property
    def file(self) -> Path:
        return Path(self.url.partition("///")[2])

    def ask(self, query: str = "SELECT * FROM shop.orders ORDER BY 1") -> Rows:
        return self._run([query])

    def execute(self, *statements: str) -> None:
        self._run(statements)

    def form(self) -> Rows:
        """Names, types and whether they are required, of the table's columns."""
        return self.ask(
            f"SELECT name, lower(type), \"notnull\" FROM pragma_table_info('{self.target.table}')"
        )

    def types(self) -> dict[str, str]:
        """The types of the table's columns, as the database has them."""
        name = self.target.table
        if self.dialect == "sqlite":
            found = self.ask(f"SELECT name, type FROM pragma_table_info('{name}')")
        else:
            found = self.ask(f"SELECT column_name, column_type FROM (DESCRIBE {name})")
        return {str(column): str(kind) for column, kind in found}

    def _run(self, statements: Any) -> Rows:
        asked = [self._own(one) for one in statements]
        if self.dialect == "sqlite":
            with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
                return [connection.execute(one).fetchall() for one in asked if one][-1]
        with duckdb.connect() as connection:
            # As itself, the file's name would be its schema's too.
            connection.execute(f"ATTACH '{self.file}' AS asked")
            connection.execute("USE asked")
            return [connection.execute(one).fetchall() for one in asked][-1]

    def _own(self, statement: str) -> str:
        """A statement about PostgreSQL's `shop.orders`, where there may be no schemas."""
        if self.dialect == "duckdb":
            return statement
        statement = statement.replace("::text", "").replace("shop.orders", "orders")
        return "" if "SCHEMA" in statement else statement


def loads_in(kind: Dialect, folder: Path) -> FileLoads:
    """A table in an empty file."""
    name = "shop.orders" if kind == "duckdb" else "orders"
    return FileLoads(f"{kind}:///{folder}/shop.{kind}", TableTarget("shop", kind, name, "replace"))
