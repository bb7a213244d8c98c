"""The columns and types that a statement gives, asked of DuckDB over empty tables.

DuckDB's own binder answers, since types inferred elsewhere differ from what it computes. Called by
`plan.building` for staging steps and for SQL of people; nothing is read and nothing runs.
"""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager

import duckdb

from data_platform.plan.binder import binder
from data_platform.plan.conversions import stored_type
from data_platform.plan.expressions import quoted
from data_platform.plan.schemas import Column, Schema

_LINE = re.compile(r"\n+LINE (\d+):.*", re.DOTALL)


class BindingError(Exception):
    """A statement that DuckDB refuses over the columns that are known.

    Attributes:
        message: in one line.
        line: of the statement, from 1; None where DuckDB doesn't say.
    """

    def __init__(self, error: duckdb.Error) -> None:
        text = str(error)
        found = _LINE.search(text)
        self.line = int(found[1]) if found else None
        first = _LINE.sub("", text).strip()
        self.message = " ".join(first.split()).removeprefix("Binder Error: ")
        super().__init__(self.message)


class Catalog:
    """Empty tables that stand for assets."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._declared: dict[str, str] = {}

    def declare(
        self, relation: str, schema: Schema, hidden: Mapping[str, str] | None = None
    ) -> None:
        """Make an empty table; columns of unknown type are left out.

        Args:
            relation: its name, as statements quote it.
            schema: its columns.
            hidden: further columns and their types.
        """
        columns = {column.name: column.type for column in schema.columns if column.type} | dict(
            hidden or {}
        )
        body = (
            ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
            or "_nothing INTEGER"
        )
        if self._declared.get(relation) != body:
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(relation)} ({body})")
            self._declared[relation] = body

    def describe(
        self, sql: str, parameters: Mapping[str, str] | None = None
    ) -> list[tuple[str, str]]:
        """The names and types of a statement's columns, in order.

        Args:
            sql: one SELECT.
            parameters: a type for each bind parameter.

        Raises:
            BindingError: DuckDB refuses it.
        """
        for name, kind in (parameters or {}).items():
            sql = re.sub(rf"\${name}\b", f"CAST(NULL AS {kind})", sql)
        try:
            rows = self._connection.execute(f"DESCRIBE {sql}").fetchall()
        except duckdb.Error as error:
            raise BindingError(error) from error
        return [(str(row[0]), str(row[1])) for row in rows]


@contextmanager
def catalog() -> Generator[Catalog]:
    """A catalog of its own; its tables end with it."""
    with binder() as connection:
        yield Catalog(connection)


def schema_of(described: list[tuple[str, str]], *, closed: bool = True) -> Schema:
    """A schema of what `describe` gave, in the lake's types."""
    return Schema(tuple(Column(name, stored_type(kind)) for name, kind in described), closed)
