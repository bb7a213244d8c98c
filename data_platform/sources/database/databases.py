"""What the module of each kind of database does for `arriving`, and which one a URL means.

Called by `arriving`, and by what describes tables to people.
"""

# ruff: noqa: PLC0415 -- drivers are imported where one is used
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false
# pyarrow comes without types.

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pyarrow as pa

from data_platform.sources.database.columns import SourceColumn
from data_platform.sources.database.statements import Statement

FILES = ("sqlite", "duckdb")
"""Schemes whose path is that of a file."""


class Database(Protocol):
    """An open database, in one snapshot."""

    dialect: str
    """SQLGlot's name of its SQL."""
    quote: str
    """Around names."""

    def columns(
        self, statements: Sequence[Statement], known: Mapping[str, str]
    ) -> list[SourceColumn]:
        """The columns of a statement.

        Args:
            statements: `SELECT * FROM ...`, the same with other values.
            known: DuckDB's types of columns where values alone don't tell.
        """
        ...

    def batches(
        self, statement: Statement, columns: Sequence[SourceColumn], fetch_size: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a statement that asks for these columns, in their wire types."""
        ...

    def rows(self, statement: Statement) -> Sequence[Sequence[Any]]:
        """The few rows that a statement gives."""
        ...

    def cancel(self) -> None:
        """End what runs, from another thread."""
        ...


def opened(url: str, what: str, timezone: str) -> AbstractContextManager[Database]:
    """A database, in one snapshot that lasts as long as the context.

    Args:
        url: as in platform.yaml, with secrets in place.
        what: is read, for messages.
        timezone: in which the database reads times without a zone.

    Raises:
        SourceError: it can't be read as the pipeline says.
        SourceUnavailable: it can't be reached, or broke off.
    """
    scheme = url.partition(":")[0]
    name = scheme.partition("+")[0]
    if name in {"postgresql", "postgres"} or "://" not in url:
        from data_platform.sources.database.postgres import open_postgres

        return open_postgres(url.replace(f"{scheme}://", "postgresql://", 1), what, timezone)
    if name == "sqlite":
        from data_platform.sources.database.sqlite import open_sqlite

        return open_sqlite(url, what)
    if name == "duckdb":
        from data_platform.sources.database.duckdb_file import open_duckdb

        return open_duckdb(url, what, timezone)
    if scheme in {"mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"}:
        from data_platform.sources.database.mysql import open_mysql

        return open_mysql(url, what)
    from data_platform.sources.database.alchemy import open_alchemy

    return open_alchemy(url, what)


def absolute_url(url: str, home: Path) -> str:
    """The URL of a file with a path that doesn't depend on where somebody is."""
    parts = urlsplit(url)
    if parts.scheme.partition("+")[0] not in FILES or not parts.path.strip("/"):
        return url
    path = home / parts.path[1:]
    return f"{parts.scheme}:///{path}{f'?{parts.query}' if parts.query else ''}"
