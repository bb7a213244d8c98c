"""The columns of a table or a query of a database, without its rows.

Called by `check --connect`.
"""

from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.plan.schemas import Schema
from data_platform.plan.sources.kinds import DatabaseQuery, DatabaseTable
from data_platform.sources.binding import parameter_values
from data_platform.sources.database.arriving import name_of
from data_platform.sources.database.columns import (
    SourceColumn,
    column_type,
    cursor_type,
    require_names,
    schema_of,
)
from data_platform.sources.database.databases import Database, opened
from data_platform.sources.database.statements import Statement, relation


def source_schema(url: str, node: RawNode) -> Schema:
    """The columns of a source, by the database's own word.

    A query is described as a first run's, for the first partition.

    Raises:
        SourceUnavailable: the database can't be reached.
        SourceError: there is no such table or column, or the query is wrong.
    """
    source = node.source
    assert isinstance(source, DatabaseTable | DatabaseQuery)  # noqa: S101 -- who calls sees to it
    what = name_of(source, node.key.name)
    with opened(url, what, node.partitions.timezone if node.partitions else "UTC") as database:
        columns = _described(database, node, source)
    require_names(columns, what)
    if node.partitions is not None and source.cursor is not None:
        every = node.partitions.time.every if node.partitions.time else "day"
        cursor_type(columns, source.cursor, what, every=every)
    if node.increments is not None and node.increments.cursor is not None:
        column_type(columns, node.increments.cursor, what)
    return schema_of(columns)


def _described(
    database: Database, node: RawNode, source: DatabaseTable | DatabaseQuery
) -> list[SourceColumn]:
    key = node.partitions.first_keys[0] if node.partitions else WHOLE
    from_ = relation(source, database.dialect, database.quote)
    statement = Statement(f"SELECT * FROM {from_}", parameter_values(node, [key]))
    known = {c.name: c.type for c in node.schema.columns if c.type}
    return database.columns([statement], known)
