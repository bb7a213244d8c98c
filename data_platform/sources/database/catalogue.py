"""Which tables a database has, and what its catalogue says of one.

Called by `discovering`. Each database is asked in its own words; one without any here by way of
SQLAlchemy, which tells less.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_platform.errors import SourceError
from data_platform.plan.declared import nearest
from data_platform.sources.database.alchemy import Alchemy
from data_platform.sources.database.columns import SourceColumn
from data_platform.sources.database.databases import Database, opened
from data_platform.sources.database.statements import Statement, table_name

_TABLES = {
    "postgres": """
        SELECT n.nspname, c.relname,
            CASE WHEN c.relkind IN ('r', 'm', 'p') AND c.reltuples >= 0
                THEN c.reltuples::bigint END,
            (SELECT count(*) FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
            obj_description(c.oid, 'pg_class')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
            AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
        ORDER BY 1, 2""",
    "mysql": """
        SELECT NULL, t.table_name, t.table_rows,
            (SELECT count(*) FROM information_schema.columns c
                WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name),
            CASE WHEN t.table_type = 'BASE TABLE' THEN t.table_comment END
        FROM information_schema.tables t WHERE t.table_schema = DATABASE() ORDER BY 2""",
    "sqlite": """
        SELECT NULL, name, NULL, (SELECT count(*) FROM pragma_table_info(m.name)), NULL
        FROM sqlite_schema m WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'
        ORDER BY 2""",
    "duckdb": """
        SELECT schema_name, table_name, estimated_size, column_count, comment FROM duckdb_tables()
        WHERE NOT internal AND database_name = current_database()
        UNION ALL
        SELECT schema_name, view_name, NULL, column_count, comment FROM duckdb_views()
        WHERE NOT internal AND database_name = current_database() ORDER BY 1, 2""",
}
_COLUMNS = {
    "postgres": """
        SELECT a.attname, col_description(a.attrelid, a.attnum), EXISTS(
            SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum)
        FROM pg_attribute a WHERE a.attrelid = CAST(:table AS regclass) AND a.attnum > 0""",
    "mysql": """
        SELECT column_name, column_comment, column_key <> '' FROM information_schema.columns
        WHERE table_schema = DATABASE() AND table_name = :name""",
    "sqlite": """
        SELECT i.name, NULL, 1 FROM pragma_index_list(:name) l, pragma_index_info(l.name) i
        WHERE i.seqno = 0""",
    "duckdb": """
        SELECT column_name, comment, EXISTS(SELECT 1 FROM duckdb_indexes() i
            WHERE i.table_oid = c.table_oid AND contains(i.expressions, c.column_name))
        FROM duckdb_columns() c
        WHERE table_name = :name AND schema_name = :schema AND database_name = current_database()
        """,
}
"""Name, comment and whether an index begins with it, of columns that have one of these."""
_DEFAULT_SCHEMAS = frozenset({"main"})


@dataclass(frozen=True)
class FoundTable:
    """A table or view of a database.

    Attributes:
        name: as `table` of a source takes it.
        rows: about how many it has; None where the database doesn't know.
        columns: how many it has.
        comment: of the database, or None.
    """

    name: str
    rows: int | None
    columns: int
    comment: str | None


@dataclass(frozen=True)
class FoundColumn:
    """A column of a table.

    Attributes:
        column: as it is read.
        comment: of the database, or None.
        indexed: whether an index begins with it.
    """

    column: SourceColumn
    comment: str | None
    indexed: bool


def found_tables(url: str) -> list[FoundTable]:
    """The tables of a database, in order of their names.

    Raises:
        SourceError: the database refuses.
        SourceUnavailable: it can't be reached.
    """
    with opened(url, "the catalogue", "UTC") as database:
        return _tables(database)


def found_columns(url: str, name: str) -> tuple[FoundTable, list[FoundColumn]]:
    """A table with its columns.

    Raises:
        SourceError: there is no such table, or the database refuses.
        SourceUnavailable: it can't be reached.
    """
    with opened(url, f"table {name}", "UTC") as database:
        table = _named(name, _tables(database))
        select = Statement(f"SELECT * FROM {table_name(table.name, database.quote)}")
        columns = database.columns([select], {})
        told = {row[0]: row for row in _told(database, table.name)}
    return table, [
        FoundColumn(
            column,
            _text(told[column.name][1]) if column.name in told else None,
            column.name in told and str(told[column.name][2]) in {"1", "True"},
        )
        for column in columns
    ]


def _tables(database: Database) -> list[FoundTable]:
    if isinstance(database, Alchemy):
        inspector = database.inspector
        names = [*inspector.get_table_names(), *inspector.get_view_names()]
        return [
            FoundTable(name, None, len(inspector.get_columns(name)), None) for name in sorted(names)
        ]
    return [
        FoundTable(
            str(name) if schema is None or schema in _DEFAULT_SCHEMAS else f"{schema}.{name}",
            None if rows is None else int(rows),
            int(columns),
            _text(comment),
        )
        for schema, name, rows, columns, comment in database.rows(
            Statement(_TABLES[database.dialect])
        )
    ]


def _told(database: Database, name: str) -> Sequence[Sequence[Any]]:
    if isinstance(database, Alchemy):
        indexes = database.inspector.get_indexes(name)
        return [(index["column_names"][0], None, True) for index in indexes]
    schema, _, table = name.rpartition(".")
    values = {
        "table": table_name(name),
        "schema": schema or next(iter(_DEFAULT_SCHEMAS)),
        "name": table,
    }
    return database.rows(Statement(_COLUMNS[database.dialect], values))


def _named(name: str, tables: Sequence[FoundTable]) -> FoundTable:
    """A table by its name, with or without its schema."""
    found = [table for table in tables if table.name == name] or [
        table for table in tables if table.name.rpartition(".")[2] == name
    ]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(table.name for table in found)
        raise SourceError(f"there are several tables {name!r}: {several}")
    names = [table.name for table in tables]
    short = [*names, *(name.rpartition(".")[2] for name in names)]
    hint = nearest(name, short) or f"there are: {', '.join(names[:20]) or 'none'}"
    raise SourceError(f"there is no table {name!r}; {hint}")


def _text(value: object) -> str | None:
    return str(value) if value else None
