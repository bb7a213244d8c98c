"""A condition of a person's about rows that are to be erased, held to the allow-list of queries.

Called by `keeping.erasure`. It names a person, so nobody keeps it: neither a commit nor an event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import sqlglot
from sqlglot import exp

from data_platform.engine.session import Session
from data_platform.errors import ConfigurationError, Location, PermanentError
from data_platform.plan.sql.expressions import parse_expression, quoted, reads_clock, render

_WRITTEN = Location(Path("--where"))


@dataclass(frozen=True)
class Condition:
    """What is true of the rows that go.

    Attributes:
        sql: over columns by their names alone.
        columns: that it names, in lower case.
    """

    sql: str
    columns: frozenset[str]

    def over(self, texts: Mapping[str, str]) -> str:
        """The same over something else than columns.

        Args:
            texts: SQL by column, names in lower case.
        """
        tree = sqlglot.parse_one(self.sql, dialect="duckdb")

        def put(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Column) and node.name.lower() in texts:
                return exp.paren(sqlglot.parse_one(texts[node.name.lower()], dialect="duckdb"))
            return node

        return render(tree.transform(put))

    def unknown(self, columns: "frozenset[str] | set[str]") -> list[str]:
        """What it names that isn't among a table's columns."""
        return sorted(self.columns - {name.lower() for name in columns})


def read_condition(text: str) -> Condition:
    """What a person wrote behind `--where`.

    Raises:
        PermanentError: it can't be read, isn't allowed, or names no column.
    """
    try:
        tree = parse_expression(text, _WRITTEN)
    except ConfigurationError as error:
        raise PermanentError(f"--where: {error.problems[0].message}") from None
    if reads_clock(tree):
        raise PermanentError("--where: it reads the clock: write the moment itself")
    columns = list(tree.find_all(exp.Column))
    if not columns:
        raise PermanentError("--where: it names no column, so it says nothing of a person")
    if any(column.table for column in columns):
        raise PermanentError("--where: columns are named without their table: `email = '...'`")
    return Condition(f"({render(tree)})", frozenset(column.name.lower() for column in columns))


def try_condition(session: Session, relation: str, condition: Condition, of: str) -> None:
    """See whether DuckDB takes it over a relation.

    Raises:
        PermanentError: it doesn't.
    """
    try:
        kind = session.columns(f"SELECT {condition.sql} AS c FROM {quoted(relation)}")["c"]
    except duckdb.Error as error:
        about = " ".join(str(error).split("\n\n")[0].split())
        raise PermanentError(f"--where: {of}: {about}") from None
    if kind != "BOOLEAN":
        raise PermanentError(f"--where: it is {kind}, not true or false: write a condition")
