"""Dagster's own storage: its server, its tables, and whether a daemon uses it.

Called by `doctor.planning`. Read as tables of PostgreSQL: an instance that can't be opened is what
a person comes here for.
"""

# pyright: reportMissingTypeStubs=false

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

from data_platform.doctor.databases import CONNECT_SECONDS, postgres
from data_platform.doctor.findings import Finding, daemons

AREA = "dagster"
_HEARTBEATS = (
    "SELECT daemon_type, extract(epoch FROM (clock_timestamp() AT TIME ZONE 'UTC') "
    '- max("timestamp"))::float FROM daemon_heartbeats GROUP BY daemon_type'
)


def dagster_storage(url: str, head: Callable[[], str]) -> Iterator[Finding]:
    """How Dagster's storage is.

    Args:
        url: of its database.
        head: the newest migration that this version of Dagster knows.

    Raises:
        SourceUnavailable: it can't be reached.
        SourceError: it lets nobody in.
    """
    import psycopg2  # noqa: PLC0415 -- costs every process that only loads definitions

    yield from postgres(AREA, url)
    with (
        closing(psycopg2.connect(url, connect_timeout=CONNECT_SECONDS)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT to_regclass('alembic_version'), to_regclass('daemon_heartbeats')")
        version, heartbeats = cursor.fetchone() or (None, None)
        if version is None or heartbeats is None:
            found = "no tables of Dagster's yet"
            yield Finding(
                AREA, "tables", "warn", found, "the first run or `dagster dev` makes them"
            )
            return
        cursor.execute("SELECT version_num FROM alembic_version")
        row = cursor.fetchone()
        yield _migrations(str(row[0]) if row else "none", head())
        cursor.execute(_HEARTBEATS)
        ages: Mapping[str, float] = {str(name): float(age) for name, age in cursor.fetchall()}
        yield daemons(AREA, ages)


def _migrations(standing: str, newest: str) -> Finding:
    figures: dict[str, float | str] = {"version": standing, "newest": newest}
    if standing == newest:
        return Finding(AREA, "migrations", "ok", "none pending", figures=figures)
    return Finding(
        AREA,
        "migrations",
        "warn",
        f"the tables are at {standing}, this Dagster at {newest}",
        "end all runs and run `dagster instance migrate`; where the tables are newer, use "
        "the newer Dagster",
        figures,
    )
