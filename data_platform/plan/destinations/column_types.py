"""Which type a column of a table gets, by database, for each of DuckDB's that the lake keeps.

The names are those by which the database itself tells a column's type, so that both can be
compared.
"""

import re

from data_platform.plan.destinations.kinds import Dialect
from data_platform.plan.destinations.sqlite_types import sqlite_type

DATABASES: dict[Dialect, str] = {
    "postgres": "PostgreSQL",
    "sqlite": "SQLite",
    "duckdb": "DuckDB",
}
"""What people call them."""
DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_POSTGRES = {
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "BLOB": "bytea",
    "DATE": "date",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}


def declared_type(kind: str, dialect: Dialect) -> str | None:
    """The database's type for one of DuckDB's; None where it has none."""
    match dialect:
        case "postgres":
            return _in_postgres(kind)
        case "sqlite":
            return sqlite_type(kind)
        case "duckdb":
            return kind


def without_type(column: str, kind: str, dialect: Dialect) -> str:
    """What is wrong with a column for whose type a database has none, and what to do."""
    nested = " within one another" if kind.endswith("[][]") else ""
    return (
        f"column {column} is {kind}, and {DATABASES[dialect]} has no type for "
        f"{'lists' + nested if kind.endswith('[]') else 'it'}: convert it to varchar in staging, "
        "or drop the column"
    )


def _in_postgres(kind: str) -> str | None:
    if kind.endswith("[]"):
        inner = None if kind.endswith("[][]") else _in_postgres(kind.removesuffix("[]"))
        return f"{inner}[]" if inner else None
    if found := DECIMAL.fullmatch(kind):
        return f"numeric({found[1]},{found[2]})"
    return _POSTGRES.get(kind)
