"""The columns and types that a statement gives, asked of DuckDB over empty tables.

DuckDB's own binder answers, since types inferred elsewhere differ from what it computes. Called by
`plan.building` for staging steps and for SQL of people; nothing is read and nothing runs.
"""

import difflib
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import duckdb

from data_platform.plan.conversions import stored_type
from data_platform.plan.schemas import Column, Schema
from data_platform.plan.sql.binder import binder
from data_platform.plan.sql.expressions import quoted

_LINE = re.compile(r"\n+LINE (\d+):.*", re.DOTALL)
_NO_COLUMN = re.compile(
    r'Referenced column "(?P<a>[^"]+)" not found|does not have a column named "(?P<b>[^"]+)"'
    r'|^Column "(?P<c>[^"]+)" in (?:EXCLUDE|REPLACE|RENAME) list not found'
)
_NO_TABLE = re.compile(r'Referenced table "([^"]+)" not found')
_NO_FUNCTION = re.compile(
    r"No function matches the given name and argument types '(.+?)\((.*?)\)'\."
)
_CANDIDATES = re.compile(r" Candidate [a-z]+: .*")
_KINDS = re.compile(r"^(?:Binder|Parser|Catalog|Conversion|Not implemented) Error: ")
_OPERATORS = {"~~": "LIKE", "!~~": "NOT LIKE", "~~*": "ILIKE", "~~~": "GLOB"}
_FEW = 12


class BindingError(Exception):
    """A statement that DuckDB refuses over the columns that are known.

    Attributes:
        message: in one line, with the nearest right name.
        raw: DuckDB's own words, in one line.
        missing: the column that there isn't, if that is it.
        line: of the statement, from 1; None where DuckDB doesn't say.
    """

    def __init__(self, error: duckdb.Error, names: Sequence[str] = ()) -> None:
        text = str(error)
        found = _LINE.search(text)
        self.line = int(found[1]) if found else None
        first = _LINE.sub("", text).strip()
        self.raw = _KINDS.sub("", " ".join(first.split()))
        missing = _NO_COLUMN.search(self.raw)
        self.missing = next(filter(None, missing.groups())) if missing else None
        self.message = no_column(self.missing, names) if self.missing else _worded(self.raw)
        super().__init__(self.message)


def _worded(raw: str) -> str:
    """DuckDB's words without its candidates, some of which are the platform's own."""
    if missing := _NO_TABLE.search(raw):
        return f"there is no table {missing[1]!r} here: columns are named alone"
    if unfit := _NO_FUNCTION.search(raw):
        types = unfit[2].replace("STRING_LITERAL", "VARCHAR").replace("_LITERAL", "")
        name = _OPERATORS.get(unfit[1], unfit[1])
        listed = types.split(", ")
        called = f"{name}({types})" if re.match(r"\w+$", unfit[1]) else f" {name} ".join(listed)
        return f"{called} doesn't work: convert by convert_types, or cast"
    return _CANDIDATES.sub("", raw).replace("INTEGER_LITERAL", "INTEGER")


def no_column(name: str, names: Sequence[str]) -> str:
    """That there is no such column, and which one may be meant.

    Args:
        name: that was asked for.
        names: those that there are, as far as known.
    """
    lower = {each.lower(): each for each in names}
    near = difflib.get_close_matches(name.lower(), lower, 1)
    few = ", ".join(names[:_FEW]) + (", ..." if len(names) > _FEW else "")
    there = f"; there are {few}" if names else ""
    guess = f"; did you mean {lower[near[0]]!r}?" if near else ""
    return f"no column {name!r} arrives here{guess or there}"


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
        self, sql: str, parameters: Mapping[str, str] | None = None, names: Sequence[str] = ()
    ) -> list[tuple[str, str]]:
        """The names and types of a statement's columns, in order.

        Args:
            sql: one SELECT.
            parameters: a type for each bind parameter.
            names: of columns that it may name, for messages.

        Raises:
            BindingError: DuckDB refuses it.
        """
        for name, kind in (parameters or {}).items():
            sql = re.sub(rf"\${name}\b", f"CAST(NULL AS {kind})", sql)
        try:
            rows = self._connection.execute(f"DESCRIBE {sql}").fetchall()
        except duckdb.Error as error:
            raise BindingError(error, names) from error
        return [(str(row[0]), str(row[1])) for row in rows]


@contextmanager
def catalog() -> Generator[Catalog]:
    """A catalog of its own; its tables end with it."""
    with binder() as connection:
        yield Catalog(connection)


def schema_of(described: list[tuple[str, str]], *, closed: bool = True) -> Schema:
    """A schema of what `describe` gave, in the lake's types."""
    return Schema(tuple(Column(name, stored_type(kind)) for name, kind in described), closed)
