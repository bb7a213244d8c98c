"""Databases: reachable, how full, what clock.

Called by `doctor.planning`. A PostgreSQL is asked by libpq, a file as what it is, all others
through SQLAlchemy.
"""

# pyright: reportMissingTypeStubs=false

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from data_platform.doctor.findings import (
    Finding,
    connections,
    moment_skew,
    no_connection_left,
    reached,
    skew,
)
from data_platform.engine.postgres import Refused, in_words, said
from data_platform.engine.server_limits import is_full
from data_platform.errors import SourceError, SourceUnavailable

CONNECT_SECONDS = 8
_STANDING = """
SELECT clock_timestamp(), current_setting('server_version'),
  (SELECT count(*) FROM pg_stat_activity
    WHERE backend_type IS NULL OR backend_type = 'client backend'),
  current_setting('max_connections')::int,
  (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user),
  (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user AND NOT rolsuper),
  (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
  (SELECT datconnlimit FROM pg_database WHERE datname = current_database())
"""


def database(area: str, url: str) -> Iterable[Finding]:
    """How a database is.

    Args:
        area: its connection.
        url: with secrets in place; files with whole paths.

    Raises:
        SourceUnavailable: it can't be reached.
        SourceError: it lets nobody in, or there is no driver.
    """
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme in {"postgresql", "postgres"} or "://" not in url:
        return postgres(area, url)
    if scheme == "sqlite":
        return _sqlite(area, _path(url))
    if scheme == "duckdb":
        return _duckdb(area, _path(url))
    return _alchemy(area, url, scheme)


def postgres(area: str, url: str) -> Iterator[Finding]:
    """A PostgreSQL, by whatever name."""
    import psycopg2  # noqa: PLC0415 -- costs every process that only loads definitions

    began = time.monotonic()
    try:
        with (
            closing(psycopg2.connect(url, connect_timeout=CONNECT_SECONDS)) as connection,
            connection.cursor() as cursor,
        ):
            seconds, before = time.monotonic() - began, time.time()
            cursor.execute(_STANDING)
            row = cursor.fetchone()
            after = time.time()
    except psycopg2.Error as error:
        if is_full(str(error)):
            yield no_connection_left(area, said(error, url))
            return
        told = in_words(error, url, error.pgcode)
        kind = SourceError if isinstance(told, Refused) else SourceUnavailable
        raise kind(str(told)) from None
    if row is None:
        raise SourceUnavailable("the server gave no answer")
    yield reached(area, seconds, f"PostgreSQL {str(row[1]).split()[0]}")
    yield _tightest(area, row)
    yield skew(area, moment_skew(row[0], before, after))


def _tightest(area: str, row: Any) -> Finding:
    """Of the limits of server, role and database the one that is nearest."""
    limits = [
        (row[2], row[3], "the server's"),
        (row[4], row[5], "the role's"),
        (row[6], row[7], "the database's"),
    ]
    known = [(used, most, of) for used, most, of in limits if most is not None and most > 0]
    used, most, of = max(known, key=lambda limit: limit[0] / limit[1])
    return connections(area, used, most, of)


def _sqlite(area: str, path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield _no_file(area, path)
        return
    began = time.monotonic()
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2)) as opened:
            opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        kind = SourceUnavailable if "locked" in str(error) else SourceError
        raise kind(f"{path}: {error}") from None
    yield reached(area, time.monotonic() - began, f"SQLite {sqlite3.sqlite_version}")


def _duckdb(area: str, path: Path) -> Iterator[Finding]:
    import duckdb  # noqa: PLC0415

    if not path.exists():
        yield _no_file(area, path)
        return
    began = time.monotonic()
    try:
        with duckdb.connect(str(path), read_only=True) as opened:
            opened.execute("SELECT 1")
    except duckdb.IOException as error:
        if "lock" not in str(error).lower():
            raise SourceError(f"{path}: it is no database of DuckDB") from None
        advice = "end the process that has it open for writing, or wait for it: DuckDB lets one in"
        yield Finding(area, "reachable", "warn", f"{path} is open elsewhere", advice)
        return
    yield reached(area, time.monotonic() - began, f"DuckDB {duckdb.__version__}")


def _no_file(area: str, path: Path) -> Finding:
    advice = "a destination makes it; for a source, correct the connection's url"
    return Finding(area, "reachable", "warn", f"there is no file {path}", advice)


def _alchemy(area: str, url: str, scheme: str) -> Iterator[Finding]:
    from sqlalchemy import create_engine, exc, pool, text  # noqa: PLC0415
    from sqlalchemy.engine import make_url  # noqa: PLC0415

    mysql = scheme in {"mysql", "mariadb"}
    try:
        address = make_url(url)
        if mysql and "+" not in address.drivername:
            address = address.set(drivername="mysql+pymysql")
        engine = create_engine(address, poolclass=pool.NullPool)
    except exc.NoSuchModuleError:
        raise SourceError(f"there is no driver for {scheme} here; install one") from None
    except ImportError as error:
        raise SourceError(f"the driver for {scheme} isn't installed: {error.name}") from None
    except exc.ArgumentError:
        raise SourceError("the connection's url isn't one that SQLAlchemy takes") from None
    began = time.monotonic()
    try:
        with engine.connect() as connection:
            version = ".".join(map(str, connection.dialect.server_version_info or ()))
            yield reached(area, time.monotonic() - began, f"{scheme} {version}".strip())
            if mysql:
                before = time.time()
                asked = "SELECT UTC_TIMESTAMP(6), @@max_connections"
                now, most = connection.execute(text(asked)).one()
                after = time.time()
                status = text("SHOW STATUS LIKE 'Threads_connected'")
                yield connections(area, int(connection.execute(status).one()[1]), int(most))
                yield skew(area, moment_skew(_aware(now), before, after))
    except exc.DBAPIError as error:
        if is_full(str(error.orig)):
            yield no_connection_left(area, said(error.orig or error, url))
            return
        told = in_words(error.orig or error, url)
        raise (SourceError if isinstance(told, Refused) else SourceUnavailable)(f"{told}") from None


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path[1:]))
