"""Names of a destination's table, and of the platform's own beside it, by database.

Used by `targets.databases`, and by what shows the statements that make a table.
"""

from dataclasses import dataclass

from data_platform.plan.destinations.kinds import Dialect
from data_platform.plan.sql.expressions import quoted

_DEFAULT_SCHEMA = {"postgres": "public", "duckdb": "main", "sqlite": ""}


@dataclass(frozen=True)
class TableName:
    """A table.

    Attributes:
        schema: empty where the database has none, and for a temporary table.
        name: without it.
    """

    schema: str
    name: str

    @property
    def full(self) -> str:
        """As the ledger and messages name it."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def sql(self) -> str:
        """As SQL names it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}" if self.schema else quoted(self.name)


def table_name(table: str, dialect: Dialect) -> TableName:
    """The table of a destination, by `table` or `schema.table`."""
    schema, _, name = table.rpartition(".")
    return TableName(schema or _DEFAULT_SCHEMA[dialect], name)


def own_table(name: str, dialect: Dialect) -> TableName:
    """A table of the platform's own: in its schema, or with its name in front."""
    return (
        TableName("", f"data_platform_{name}")
        if dialect == "sqlite"
        else TableName("data_platform", name)
    )
