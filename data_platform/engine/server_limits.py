"""What a database says when it has no connection left, and what to do then.

Used by `engine.postgres` and `engine.database_pools`. That a server is full passes, since others
end: what was refused may be tried again.
"""

# pyright: reportMissingTypeStubs=false

from contextlib import closing

_FULL = (
    "too many clients already",
    "remaining connection slots are reserved",
    "too many connections",
    "max_user_connections",
)
"""PostgreSQL's words, SQLSTATE 53300, which libpq doesn't tell; MySQL's, 1040, 1203 and 1226."""
SECONDS = 3
"""In which a server that was full just now must answer how full it is."""


def is_full(text: str) -> bool:
    """Whether an error's text says that a server has no connection left."""
    return any(sign in text.lower() for sign in _FULL)


def full_advice(url: str) -> str:
    """What helps where a PostgreSQL has no connection left; how many there are, if it answers."""
    found = connections_in_use(url)
    count = f"{found[0]} of {found[1]} connections are in use; " if found else ""
    return (
        f"{count}let fewer steps use it at once, by a pool of the connection's name in "
        "platform.yaml (`pools: {<connection>: 4}`), or raise max_connections or the role's "
        "limit; `data-platform doctor` tells how full it is"
    )


def connections_in_use(url: str) -> tuple[int, int] | None:
    """How many connections of how many a PostgreSQL has; None where it can't be asked."""
    import psycopg2  # noqa: PLC0415 -- costs every process that only loads definitions

    try:
        with (
            closing(psycopg2.connect(url, connect_timeout=SECONDS)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(CONNECTIONS)
            row = cursor.fetchone()
    except psycopg2.Error:
        return None
    return (int(row[0]), int(row[1])) if row else None


CONNECTIONS = (
    "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity "
    "WHERE backend_type IS NULL OR backend_type = 'client backend'"
)
"""Whoever isn't superuser sees each connection, if not what it does."""
