"""Dagster's database: its tables, made once, and the pool of connections to it.

Called by `instance` when a process opens Dagster's storage. It knows nothing of what is stored.
"""

import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from alembic.script import ScriptDirectory
from dagster_postgres import (
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.event_log import event_log
from dagster_postgres.utils import (
    create_pg_engine,
    pg_alembic_config,
    set_pg_statement_timeout,
)
from sqlalchemy import event
from sqlalchemy.engine import Engine

from data_platform.instance.liveness import lock_key

_TABLES_MARK = "data_platform.tables"
_TABLES_VERSION = "1"
_engines: "weakref.WeakSet[Engine]" = weakref.WeakSet()
_limited: "weakref.WeakSet[Engine]" = weakref.WeakSet()


def pooled_engine(url: str, revive: Callable[[], object] | None) -> Engine:
    """Make the pool of connections that a process's storages share.

    Args:
        url: of the database.
        revive: starts the server again; called when it can't be reached. None if it isn't ours.
    """
    # Dagster's default opens a connection for each query, a third of the time that an event takes.
    # A process opens what it uses at once, rarely more than two, and keeps as many as the daemon
    # uses while it makes four runs at a time; the rest are closed again. The ping before use lets
    # a process live through a restart of the server.
    engine = create_pg_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=6,
        max_overflow=30,
        pool_pre_ping=True,
        pool_recycle=600,
        pool_use_lifo=True,
    )
    _engines.add(engine)
    if revive is not None:

        def connect(dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
            try:
                return dialect.connect(*arguments, **parameters)
            except psycopg2.OperationalError:
                revive()
                return dialect.connect(*arguments, **parameters)

        event.listen(engine, "do_connect", connect)
    return engine


def limit_statements(engine: Engine, milliseconds: int) -> None:
    """Let no statement over `engine` take longer. Said again, it changes nothing."""
    if engine not in _limited:
        _limited.add(engine)
        event.listen(
            engine,
            "connect",
            lambda connection, _record: set_pg_statement_timeout(connection, milliseconds),
        )
        engine.dispose()


def ensure_tables(url: str) -> None:
    """Make Dagster's tables once, whatever number of processes starts at the same time.

    Dagster's own way looks for one table of each storage, so a process killed between making the
    tables and marking their indexes as built leaves a storage that works by its slow paths.
    """
    with closing(psycopg2.connect(url, connect_timeout=10)) as connection:
        connection.autocommit = True
        if _has_tables(connection):
            return
        with _only_one(connection), connection.cursor() as cursor:
            if _has_tables(connection):
                return
            runs = PostgresRunStorage(url)
            events = PostgresEventLogStorage(url)
            schedules = PostgresScheduleStorage(url)
            for storage in (runs, schedules):
                storage.migrate()
                storage.optimize()
            events.reindex_events()
            events.reindex_assets()
            cursor.execute(
                "INSERT INTO kvs (key, value) VALUES (%s, %s)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [_TABLES_MARK, _TABLES_VERSION],
            )


def newest_migration() -> str:
    """The newest change of its tables that this version of Dagster knows."""
    script = ScriptDirectory.from_config(pg_alembic_config(event_log.__file__))
    return f"{script.as_revision_number('head')}"


def _has_tables(connection: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('kvs') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return False
        cursor.execute("SELECT value FROM kvs WHERE key = %s", [_TABLES_MARK])
        return cursor.fetchone() == (_TABLES_VERSION,)


@contextmanager
def _only_one(connection: Any) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [lock_key(_TABLES_MARK)])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [lock_key(_TABLES_MARK)])


def _after_fork() -> None:
    # Two processes must not talk over one connection; the parent goes on with its own.
    for engine in list(_engines):
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_after_fork)
