"""Tables of the platform's own in Dagster's database: what it has told to whom, and how far it is.

Used by `observability`. Each user brings the statements that make its tables; they are made once,
whatever number of processes begins at the same time, and live beside Dagster's, so that one backup
holds both and a transaction covers both.
"""

import weakref
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from dagster import DagsterInstance
from dagster_postgres import PostgresEventLogStorage
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from data_platform.instance.liveness import lock_key

_VERSIONS = """
CREATE TABLE IF NOT EXISTS data_platform_tables (name text PRIMARY KEY, version integer NOT NULL)
"""


PATIENCE = "SET LOCAL lock_timeout = '15s'; SET LOCAL statement_timeout = '30s'"
"""Of each transaction: a sensor's tick has a minute, and has to say what it waited for."""
_LOCK_TIMEOUT, _STATEMENT_TIMEOUT = "55P03", "57014"
"""SQL states of PostgreSQL."""


_up_to_date: "weakref.WeakKeyDictionary[Engine, set[Tables]]" = weakref.WeakKeyDictionary()
"""What this process has made sure of; no table goes away again."""
_declared: "weakref.WeakSet[Tables]" = weakref.WeakSet()
"""All that the modules of this process have said that they need."""


@dataclass(frozen=True)
class Tables:
    """Tables that belong together.

    Attributes:
        name: of them all.
        steps: what made them, oldest first; one that was released never changes, and more are
            added behind it.
    """

    name: str
    steps: tuple[str, ...]

    def __post_init__(self) -> None:
        _declared.add(self)


@contextmanager
def transaction(instance: DagsterInstance, *tables: Tables) -> Generator[Connection]:
    """A transaction in Dagster's database, in which these tables are there.

    What is done in it is kept when the block ends, and undone where that raises. A statement of it
    that waits for a lock, or takes long, is ended: `trouble_words` says that.

    Args:
        instance: Dagster's, on PostgreSQL.
        tables: made or brought up to date before.
    """
    engine = _engine(instance)
    known = _up_to_date.setdefault(engine, set())
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        for one in tables:
            if one not in known:
                _bring_up_to_date(connection, one)
                known.add(one)
        with connection.begin():
            connection.execute(sa.text(PATIENCE))
            yield connection


def trouble_words(error: DBAPIError) -> str:
    """Why a transaction was undone, in a line."""
    match getattr(error.orig, "pgcode", None):
        case code if code == _LOCK_TIMEOUT:
            return (
                "another process holds a lock in Dagster's database; nothing is lost, and who it "
                "is tells: SELECT pid, pg_blocking_pids(pid), left(query, 60) FROM "
                "pg_stat_activity WHERE wait_event_type = 'Lock'"
            )
        case code if code == _STATEMENT_TIMEOUT:
            return "Dagster's database is slow: a statement was ended for its time; nothing is lost"
        case _:
            first = str(error.orig or error).strip().partition("\n")[0]
            return f"Dagster's database is away, nothing is lost: {first}"


def bring_all_up_to_date(engine: Engine) -> dict[str, tuple[int, int]]:
    """Make or change the tables of all modules that this process has imported.

    Args:
        engine: of Dagster's database.

    Returns:
        By name the steps that had been done, and those that are. More than this version knows are
        a newer version's, and stay.
    """
    done: dict[str, tuple[int, int]] = {}
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        for one in sorted(_declared, key=lambda tables: tables.name):
            before = _version(connection, one)
            _bring_up_to_date(connection, one)
            done[one.name] = (before, max(before, len(one.steps)))
    return done


def _bring_up_to_date(connection: Connection, tables: Tables) -> None:
    if _version(connection, tables) >= len(tables.steps):
        return
    with connection.begin():
        lock = {"key": lock_key("data_platform.own_tables")}
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), lock)
        connection.execute(sa.text(_VERSIONS))
        _take(connection, tables, tables.steps[_done(connection, tables) :])


def _version(connection: Connection, tables: Tables) -> int:
    with connection.begin():
        there = connection.scalar(sa.text("SELECT to_regclass('data_platform_tables')"))
        return 0 if there is None else _done(connection, tables)


def _done(connection: Connection, tables: Tables) -> int:
    asked = sa.text("SELECT version FROM data_platform_tables WHERE name = :name")
    return connection.scalar(asked, {"name": tables.name}) or 0


def _take(connection: Connection, tables: Tables, steps: Sequence[str]) -> None:
    for step in steps:
        connection.execute(sa.text(step))
    noted = sa.text(
        "INSERT INTO data_platform_tables (name, version) VALUES (:name, :version)"
        " ON CONFLICT (name) DO UPDATE SET version = excluded.version"
    )
    connection.execute(noted, {"name": tables.name, "version": len(tables.steps)})


def has_tables(instance: DagsterInstance) -> bool:
    """Whether Dagster's storage can hold such tables: a test's own may be none of PostgreSQL."""
    return isinstance(instance.event_log_storage, PostgresEventLogStorage)


def _engine(instance: DagsterInstance) -> Engine:
    storage = instance.event_log_storage
    if not isinstance(storage, PostgresEventLogStorage):
        raise TypeError(f"the platform's tables are in PostgreSQL, not in {type(storage).__name__}")
    return storage._engine  # noqa: SLF001 -- the pool that Dagster's storages share
