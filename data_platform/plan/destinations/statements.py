"""The statements that make a destination's table, as its database runs them.

Called by `targets.databases.preparing`, and by what shows them before a run.
"""

from collections.abc import Collection, Mapping, Sequence

from data_platform.plan.destinations.column_types import declared_type
from data_platform.plan.destinations.kinds import Dialect, TableTarget, added_columns
from data_platform.plan.destinations.tables import TableName, table_name
from data_platform.plan.nodes import DestinationNode
from data_platform.plan.sql.expressions import literal, quoted


def table_statements(
    node: DestinationNode, target: TableTarget, name: TableName, wanted: Mapping[str, str]
) -> list[str]:
    """What makes a table, its indexes and comments.

    Args:
        node: the destination.
        target: the table.
        name: of it.
        wanted: its columns and their types in the database's words.
    """
    required = {*required_columns(node), *target.keys}
    parts = [
        f"{quoted(column)} {kind}{' NOT NULL' if column in required else ''}"
        for column, kind in wanted.items()
    ]
    if target.keys:
        parts.append(f"PRIMARY KEY ({_listed(target.keys)})")
    made = [f"CREATE SCHEMA IF NOT EXISTS {quoted(name.schema)}"] if name.schema else []
    made.append(f"CREATE TABLE {name.sql} ({', '.join(parts)})")
    made += [index_statement(name, columns, target.dialect) for columns in wanted_indexes(target)]
    return [*made, *comments(node, target, name, wanted)]


def wanted_indexes(target: TableTarget) -> list[tuple[str, ...]]:
    """The indexes of a table that is made, beside that of its keys."""
    # DuckDB knows of each of its row groups what is in it; an index would only slow it down.
    kept = (*([target.partition_column] if target.partition_column else []), *target.dimensions)
    own = [kept] if kept and target.dialect != "duckdb" else []
    return list(dict.fromkeys([*own, *target.indexes]))


def index_statement(
    name: TableName, columns: Sequence[str], dialect: Dialect, *, unique: bool = False
) -> str:
    """What makes an index: PostgreSQL finds a name that is free, others are given one."""
    own = f"{name.name}_{'_'.join(columns)}_idx"
    where = quoted(own) if dialect == "duckdb" else TableName(name.schema, own).sql
    called = "" if dialect == "postgres" else f"{where} "
    kind = "UNIQUE INDEX" if unique else "INDEX"
    return f"CREATE {kind} {called}ON {name.sql} ({_listed(columns)})"


def comments(
    node: DestinationNode, target: TableTarget, name: TableName, columns: Collection[str]
) -> list[str]:
    """What the table and its columns are, for whoever looks at them in the database."""
    if target.dialect == "sqlite":
        return []
    about = node.description or f"Follows {node.source}."
    told = [f"COMMENT ON TABLE {name.sql} IS {literal(about)}"] if columns else []
    return [*told, *column_comments(node, name, columns)]


def column_comments(node: DestinationNode, name: TableName, columns: Collection[str]) -> list[str]:
    """What columns are."""
    contract = node.contract.columns if node.contract else ()
    return [
        f"COMMENT ON COLUMN {name.sql}.{quoted(column.name)} IS {literal(column.description)}"
        for column in contract
        if column.description and column.name in columns
    ]


def required_columns(node: DestinationNode) -> set[str]:
    """The columns that are never NULL, as their contract says and sees to."""
    contract = node.contract.columns if node.contract else ()
    return {column.name for column in contract if not column.nullable}


def known_statements(node: DestinationNode) -> list[str] | None:
    """What would make a destination's table; None where its columns aren't known before a run."""
    target = node.target
    if not isinstance(target, TableTarget) or not node.schema.closed:
        return None
    types = {column.name: column.type for column in node.schema.columns}
    types |= dict.fromkeys(added_columns(target, node.partitions, list(types)), "VARCHAR")
    wanted: dict[str, str] = {}
    for column, kind in types.items():
        declared = declared_type(kind, target.dialect) if kind else None
        if declared is None:
            return None
        wanted[column] = declared
    name = table_name(target.table, target.dialect)
    return [*table_statements(node, target, name, wanted), *grant_statements(target, name)]


def grant_statements(target: TableTarget, name: TableName) -> list[str]:
    """What gives roles their privileges; so that they mean anything, the schema's use as well."""
    made: list[str] = []
    for role, privileges in target.grants.items():
        to = role_name(role)
        made.append(f"GRANT USAGE ON SCHEMA {quoted(name.schema)} TO {to}")
        made.append(f"GRANT {', '.join(p.upper() for p in privileges)} ON {name.sql} TO {to}")
    return made


def role_name(role: str) -> str:
    """A role as SQL names it; `public` is all of them."""
    return "PUBLIC" if role.lower() == "public" else quoted(role)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(quoted(column) for column in columns)
