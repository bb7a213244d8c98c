"""The statements that make a destination's table, as its database runs them.

Called by `targets.databases.loading`, and by what shows them before a run.
"""

from collections.abc import Mapping

from data_platform.plan.destinations.kinds import TableTarget
from data_platform.plan.destinations.tables import TableName
from data_platform.plan.schemas import Schema
from data_platform.plan.sql.expressions import literal, quoted


def table_statements(
    target: TableTarget, name: TableName, wanted: Mapping[str, str], contract: Schema | None
) -> list[str]:
    """What makes a table.

    Args:
        target: the table.
        name: of it.
        wanted: its columns and their types in the database's words.
        contract: of the asset, for comments.
    """
    body = ", ".join(f"{quoted(column)} {kind}" for column, kind in wanted.items())
    made: list[str] = []
    if name.schema:
        made.append(f"CREATE SCHEMA IF NOT EXISTS {quoted(name.schema)}")
    made.append(f"CREATE TABLE {name.sql} ({body})")
    if target.partition_column:
        made.append(f"CREATE INDEX ON {name.sql} ({quoted(target.partition_column)})")
    for column in contract.columns if contract else ():
        if column.description and column.name in wanted:
            comment = literal(column.description)
            made.append(f"COMMENT ON COLUMN {name.sql}.{quoted(column.name)} IS {comment}")
    return made
