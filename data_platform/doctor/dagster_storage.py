"""Dagster's own storage: its server, its tables, and whether a daemon uses it.

Called by `doctor.planning`. Read as tables of PostgreSQL: an instance that can't be opened is what
a person comes here for.
"""

# pyright: reportMissingTypeStubs=false

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing

from data_platform.code_locations import ALIVE, Noted, clashes, namesakes
from data_platform.doctor.databases import CONNECT_SECONDS, postgres
from data_platform.doctor.findings import Finding, daemons

AREA = "dagster"
_HEARTBEATS = (
    "SELECT daemon_type, extract(epoch FROM (clock_timestamp() AT TIME ZONE 'UTC') "
    '- max("timestamp"))::float FROM daemon_heartbeats GROUP BY daemon_type'
)
_LOCATIONS = (
    "SELECT name, served_as, about, noted_at > clock_timestamp() - %(alive)s"
    " FROM data_platform_locations ORDER BY name, served_as"
)


def dagster_storage(
    url: str,
    head: Callable[[], str],
    location: str = "data_platform",
    pipelines: Collection[str] = (),
) -> Iterator[Finding]:
    """How Dagster's storage is.

    Args:
        url: of its database.
        head: the newest migration that this version of Dagster knows.
        location: the name of this code location.
        pipelines: the names of this code location's.

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
        cursor.execute("SELECT to_regclass('data_platform_locations')")
        if cursor.fetchone() != (None,):
            cursor.execute(_LOCATIONS, {"alive": ALIVE})
            yield _locations([Noted.of(*row) for row in cursor.fetchall()], location, pipelines)


def _locations(known: Sequence[Noted], location: str, pipelines: Collection[str]) -> Finding:
    what, names = "code locations", sorted({one.name for one in known if one.alive})
    same = namesakes(known, location)
    if same is not None:
        advice = "set DATA_PLATFORM_LOCATION to another name in each"
        return Finding(AREA, what, "fail", same.partition(";")[0], advice)
    twice = clashes(known, location, pipelines)
    if twice:
        found = "; ".join(one.rpartition("; ")[0] for one in twice.values())
        return Finding(AREA, what, "fail", found, "rename the pipeline in one of them")
    return Finding(AREA, what, "ok", ", ".join(names) or "none runs now")


def _migrations(standing: str, newest: str) -> Finding:
    figures: dict[str, float | str] = {"version": standing, "newest": newest}
    if standing == newest:
        return Finding(AREA, "migrations", "ok", "none pending", figures=figures)
    return Finding(
        AREA,
        "migrations",
        "warn",
        f"the tables are at {standing}, this Dagster at {newest}",
        "end all runs and run `data-platform migrate`; where the tables are newer, use "
        "the newer Dagster",
        figures,
    )
