"""Dagster's database made or brought up to date: Dagster's own tables, and the platform's.

Called by the command `migrate`, which a deployment runs before its new version starts. All of it
may be done twice, and by two at once: the second one waits, and finds nothing to do.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from alembic.script import ScriptDirectory
from dagster_postgres import (
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.event_log import event_log
from dagster_postgres.utils import pg_alembic_config

from data_platform.errors import PermanentError, StorageUnavailable
from data_platform.instance.database import ensure_tables, newest_migration, pooled_engine
from data_platform.instance.liveness import lock_key
from data_platform.instance.own_tables import bring_all_up_to_date

_LOCK = "data_platform.migrate"
_BETWEEN_SECONDS = 1.0
_CONNECT_SECONDS = 5


@dataclass(frozen=True)
class Step:
    """What one part of the database was and is.

    Attributes:
        before: its version; None where there was nothing.
        after: its version now.
    """

    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return self.before != self.after


@dataclass(frozen=True)
class Migrated:
    """What was done.

    Attributes:
        dagster: Dagster's tables, by the newest of its migrations.
        own: tables of the platform's own, by name, by how many steps made them.
    """

    dagster: Step
    own: Mapping[str, Step] = field(default_factory=dict[str, Step])

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return self.dagster.changed or any(step.changed for step in self.own.values())


def wait_for_database(url: str, seconds: float, say: Callable[[str], object]) -> None:
    """Wait until the database answers.

    Args:
        url: of it.
        seconds: to wait at most.
        say: is told each new reason why it doesn't.

    Raises:
        StorageUnavailable: it doesn't within that time.
    """
    deadline, told = time.monotonic() + seconds, ""
    while True:
        try:
            psycopg2.connect(url, connect_timeout=_CONNECT_SECONDS).close()
        except psycopg2.OperationalError as error:
            reason = str(error).strip().splitlines()[0]
        else:
            return
        if time.monotonic() >= deadline:
            raise StorageUnavailable(
                f"Dagster's storage doesn't answer within {seconds:g} seconds: {reason}; is that "
                "server up, DATA_PLATFORM_STORAGE_URL right, and its database made?"
            )
        if reason != told:
            say(reason)
            told = reason
        time.sleep(min(_BETWEEN_SECONDS, max(0.0, deadline - time.monotonic())))


def migrate(url: str) -> Migrated:
    """Make the tables that are missing, and change those of older versions.

    Args:
        url: of the database, which answers.

    Raises:
        PermanentError: a newer version of Dagster made the tables.
    """
    with closing(psycopg2.connect(url, connect_timeout=_CONNECT_SECONDS)) as connection:
        connection.autocommit = True
        with _alone(connection):
            before = _revision(connection)
            if before is not None:
                _refuse_newer(before)
                _upgrade(url)
            ensure_tables(url)
            after = _revision(connection) or ""
            engine = pooled_engine(url, None)
            try:
                versions = bring_all_up_to_date(engine)
            finally:
                engine.dispose()
    own = {name: Step(str(had) if had else None, str(has)) for name, (had, has) in versions.items()}
    return Migrated(Step(before, after), own)


def _upgrade(url: str) -> None:
    """Change tables of an older Dagster; where they are new, this looks only."""
    runs = PostgresRunStorage(url)
    events = PostgresEventLogStorage(url)
    schedules = PostgresScheduleStorage(url)
    for storage in (runs, events, schedules):
        storage.upgrade()
    for storage in (runs, schedules):
        storage.migrate()
        storage.optimize()
    events.reindex_events()
    events.reindex_assets()


def _refuse_newer(revision: str) -> None:
    script = ScriptDirectory.from_config(pg_alembic_config(event_log.__file__))
    if revision not in {one.revision for one in script.walk_revisions()}:
        raise PermanentError(
            f"Dagster's tables are of migration {revision}, which this version doesn't know: its "
            f"newest is {newest_migration()}; deploy the version that made them or a newer one, or "
            "restore the database as it was"
        )


def _revision(connection: Any) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return None
        cursor.execute("SELECT version_num FROM alembic_version")
        row = cursor.fetchone()
        return row[0] if row else None


@contextmanager
def _alone(connection: Any) -> Generator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [lock_key(_LOCK)])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [lock_key(_LOCK)])
