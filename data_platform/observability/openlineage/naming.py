"""What datasets are called in OpenLineage: one name for what several systems read and write.

By OpenLineage's specification of names, https://openlineage.io/docs/spec/naming. Called by
`describing`. Addresses of connections are resolved here, and nothing of them but the place gets
into a name: no user, no password, no parameter.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, assert_never
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extensions
import sqlglot
from openlineage.client.naming import dataset as names
from sqlglot import exp
from sqlglot.errors import SqlglotError

from data_platform.errors import PermanentError
from data_platform.plan.destinations.kinds import AnyTarget, FileTarget, RedshiftTarget, TableTarget
from data_platform.plan.keys import Key
from data_platform.plan.sources.kinds import (
    AnySource,
    Api,
    DatabaseQuery,
    DatabaseTable,
    Files,
    PythonSource,
    Topic,
)
from data_platform.sources.database.databases import absolute_url
from data_platform.spec.platform import ApiConnection, DatabaseConnection, KafkaConnection, Platform
from data_platform.storage.lake import Lake

_PORTS = {"postgres": "5432", "mysql": "3306", "redshift": "5439"}
_DIALECTS = {"postgresql": "postgres", "postgres": "postgres", "mariadb": "mysql"}
_GLOB_BASE = {"[*]": "*", "[?]": "?", "[[]": "["}


class Named(NamedTuple):
    """A dataset's name.

    Attributes:
        namespace: the system that it is in.
        name: in it.
    """

    namespace: str
    name: str


class _Database(NamedTuple):
    """Where tables are."""

    kind: str
    host: str
    port: str
    name: str

    @property
    def namespace(self) -> str:
        match self.kind:
            case "sqlite" | "duckdb":
                return f"{self.kind}://{self.host}"
            case _:
                host = f"[{self.host}]" if ":" in self.host else self.host
                return f"{self.kind}://{host}{f':{self.port}' if self.port else ''}"


class Naming:
    """Names of what assets are, read and write.

    Args:
        platform: with its connections, by reference.
        lake: where tables are.
        home: at which relative paths start.
        resolved: gives a text its secrets.
    """

    def __init__(
        self, platform: Platform, lake: Lake, home: Path, resolved: Callable[[str], str]
    ) -> None:
        self._platform = platform
        self._lake = lake
        self._home = home
        self._resolved = resolved

    def table(self, key: Key) -> Named:
        """A table of the lake."""
        return file_name(self._lake.table(key).path)

    def source(self, source: AnySource) -> list[Named]:
        """What a source reads; nothing where only a function knows."""
        match source:
            case DatabaseTable():
                return [self._table(source.connection, source.table)]
            case DatabaseQuery():
                return self._queried(source)
            case Api():
                return [self._api(source)]
            case Files():
                return [file_name(_unescaped(source.path))]
            case Topic():
                return [self._topic(source)]
            case PythonSource():
                return []
            case _:
                assert_never(source)

    def target(self, target: AnyTarget) -> Named:
        """What a destination writes."""
        match target:
            case TableTarget():
                return self._table(target.connection, target.table)
            case RedshiftTarget():
                return self._table(target.connection, target.full_name, redshift=True)
            case FileTarget():
                return file_name(target.path)
            case _:
                assert_never(target)

    def _table(self, connection: str, table: str, *, redshift: bool = False) -> Named:
        database = self._database(connection)
        if database is None:
            return Named(f"database://{connection}", table)
        schema, _, name = table.rpartition(".")
        match database.kind:
            case "postgres" if redshift:
                return Named(_redshift(database), f"{database.name}.{schema or 'public'}.{name}")
            case "postgres":
                return Named(database.namespace, f"{database.name}.{schema or 'public'}.{name}")
            case "duckdb":
                return Named(database.namespace, f"{database.name}.{schema or 'main'}.{name}")
            case "sqlite":
                return Named(database.namespace, table)
            case _:
                return Named(database.namespace, f"{schema or database.name}.{name}")

    def _queried(self, source: DatabaseQuery) -> list[Named]:
        """The tables that a query names; the database itself where nobody can tell."""
        database = self._database(source.connection)
        kind = database.kind if database else "postgres"
        try:
            tree = sqlglot.parse_one(source.query, dialect=kind)
        except (SqlglotError, ValueError, RecursionError):
            tree = None
        own = {cte.alias for cte in tree.find_all(exp.CTE)} if tree else set[str]()
        found = {
            ".".join(part for part in (table.db, table.name) if part)
            for table in (tree.find_all(exp.Table) if tree else ())
            if table.name and (table.db or table.name not in own)
        }
        if not found:
            place = database.name if database else source.connection
            namespace = database.namespace if database else f"database://{source.connection}"
            return [Named(namespace, place)]
        return [self._table(source.connection, table) for table in sorted(found)]

    def _database(self, name: str) -> _Database | None:
        """Where a database is; None where its address can't be known."""
        written = self._platform.connections.get(name)
        if not isinstance(written, DatabaseConnection):
            return None
        try:
            return _parsed(absolute_url(self._resolved(written.url), self._home))
        except (PermanentError, ValueError, psycopg2.Error):
            return None

    def _api(self, source: Api) -> Named:
        """The origin and the path, without parameters and without who asks."""
        connection = self._platform.connections.get(source.connection or "")
        base = connection.url if isinstance(connection, ApiConnection) else source.url or ""
        # What stands behind the base may hold a reference, which stays one.
        path = source.path or "" if isinstance(connection, ApiConnection) else ""
        try:
            parts = urlsplit(self._resolved(base))
        except (PermanentError, ValueError):
            return Named(f"api://{source.connection or ''}", path or "/")
        origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        behind = path.partition("?")[0].strip("/")
        return Named(origin, f"{parts.path.rstrip('/')}/{behind}".rstrip("/") or "/")

    def _topic(self, source: Topic) -> Named:
        connection = self._platform.connections.get(source.connection)
        try:
            servers = (
                self._resolved(connection.bootstrap_servers)
                if isinstance(connection, KafkaConnection)
                else ""
            )
        except PermanentError:
            servers = ""
        first = servers.partition(",")[0].rpartition("//")[2].strip()
        if not first:
            return Named(f"kafka://{source.connection}", source.topic)
        host, _, port = first.rpartition(":") if ":" in first else (first, "", "9092")
        made = names.Kafka(host, port, source.topic)
        return Named(made.get_namespace(), made.get_name())


def file_name(path: str) -> Named:
    """A file, or a folder, of this machine or in a bucket."""
    made: names.DatasetNaming
    if path.startswith("s3://"):
        bucket, _, key = path.removeprefix("s3://").partition("/")
        made = names.S3(bucket, key or "/")
    else:
        made = names.LocalFileSystem(path)
    return Named(made.get_namespace(), made.get_name())


def _parsed(url: str) -> _Database:
    """Where an address leads to, less who may enter.

    Raises:
        ValueError, psycopg2.Error: it is none.
    """
    scheme = url.partition("://")[0] if "://" in url else "postgresql"
    kind = scheme.partition("+")[0]
    kind = _DIALECTS.get(kind, kind)
    parts = urlsplit(url)
    match kind:
        case "embedded":
            return _Database("postgres", "embedded", "", parts.netloc)
        case "sqlite" | "duckdb":
            return _Database(kind, parts.path[1:] or ":memory:", "", Path(parts.path).stem)
        case "postgres":
            dsn = psycopg2.extensions.parse_dsn(url.replace(f"{scheme}://", "postgresql://", 1))
            host = (dsn.get("host") or "localhost").partition(",")[0]
            port = (dsn.get("port") or "").partition(",")[0] or _PORTS[kind]
            place = "localhost" if host.startswith("/") else host
            return _Database(kind, place, port, dsn.get("dbname") or dsn.get("user") or "postgres")
        case _:
            port = str(parts.port or _PORTS.get(kind, ""))
            return _Database(kind, parts.hostname or "localhost", port, parts.path.strip("/"))


def _redshift(database: _Database) -> str:
    """`redshift://cluster.region:port`, where the host tells both."""
    labels = database.host.split(".")
    known = database.host.endswith(".amazonaws.com") and len(labels) > 3  # noqa: PLR2004
    port = database.port if database.port != _PORTS["postgres"] else _PORTS["redshift"]
    return f"redshift://{f'{labels[0]}.{labels[2]}' if known else database.host}:{port}"


def _unescaped(path: str) -> str:
    """A path without what keeps its folder from being a pattern."""
    for escaped, meant in _GLOB_BASE.items():
        path = path.replace(escaped, meant)
    return path
