"""A real PostgreSQL on this machine, started when somebody asks for its URL.

Owns who uses the server and how long it lives. Called by `instance` (Dagster's own storage), by
the resources and destinations whose URL is `embedded://<database>`, and by the tests.

**Who stops it.** Every process that asked for a URL holds a shared lock (`flock`) on
`<data_dir>/postgres/users.lock` until it ends, forked children with it; a process killed by -9
loses it like any other, so there are no pids to clear. A small keeper process, started along with
the server, waits for the moment when nobody holds the lock, and stops the server 20 seconds after.
So no server is stopped under a user, and `make test` leaves none behind.

Not for production: one machine, no TLS, everybody who may enter the folder is superuser.
"""

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import psycopg2.errors
import psycopg2.sql

from data_platform.embedded import keeper as keeper_program
from data_platform.embedded.cluster import Cluster, check_database_name, program
from data_platform.errors import PermanentError, StorageUnavailable

SCHEME = "embedded"

_used: dict[Path, int] = {}
"""Descriptors of the locks that this process holds, one a folder. They close when it ends."""
_used_lock = threading.Lock()


def server_url(data_dir: Path, database: str) -> str:
    """Start the server if it isn't running, make the database if it is missing, return its URL.

    Args:
        data_dir: where all local state is; the server's files are in its folder `postgres`.
        database: a plain lower-case name.

    Returns:
        `postgresql://postgres@/<database>?host=<folder of the unix socket>`.

    Raises:
        PermanentError: the wheel is missing, or the server can't run in this folder.
        StorageUnavailable: all its connections are in use.
    """
    check_database_name(database)
    cluster = _cluster(data_dir)
    program("postgres")
    try:
        cluster.folder.mkdir(parents=True, exist_ok=True)
        first = _register(cluster.folder)
    except PermissionError as error:
        raise PermanentError(
            f"embedded PostgreSQL: {error.filename} belongs to another user; use a folder of your "
            "own with DATA_PLATFORM_DATA_DIR, or remove this one"
        ) from error
    if first or not cluster.accepts_connections():
        with _locked(cluster.folder / "start.lock"):
            if not cluster.accepts_connections():
                cluster.start()
            _start_keeper(cluster)
    _ensure_database(cluster, database)
    return cluster.url(database)


def resolve_url(url: str, data_dir: Path) -> str:
    """Turn `embedded://shop` into the URL of that database; any other URL stays as it is.

    Raises:
        PermanentError: see `server_url`; also a URL like `embedded://shop/x`.
    """
    if not url.startswith(f"{SCHEME}:"):
        return url
    parts = urlsplit(url)
    if not parts.netloc or url != f"{SCHEME}://{parts.netloc}":
        raise PermanentError(f"{url!r} isn't understood: write embedded://<database>")
    return server_url(data_dir, parts.netloc)


def stop_server(data_dir: Path) -> bool:
    """Stop the server now, unless another process uses it.

    Returns:
        False if it goes on, as it is in use.
    """
    cluster = _cluster(data_dir)
    if not cluster.pgdata.exists():
        return True
    with _used_lock:
        held = _used.pop(cluster.folder, None)
        if held is not None:
            os.close(held)
    descriptor = os.open(cluster.folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _locks_within(descriptor, seconds=1):
            return False
        cluster.stop()
    finally:
        os.close(descriptor)
    return True


def _locks_within(descriptor: int, seconds: float) -> bool:
    # The keeper has the lock for a moment when the last user gives it up.
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _cluster(data_dir: Path) -> Cluster:
    return Cluster(data_dir.absolute() / "postgres")


def _register(folder: Path) -> bool:
    """Hold the users' lock, waiting while the keeper stops the server. True the first time."""
    with _used_lock:
        path = folder / "users.lock"
        if folder in _used:
            if path.exists() and os.path.samestat(path.stat(), os.fstat(_used[folder])):
                return False
            os.close(_used.pop(folder))  # the folder was deleted in the meantime
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        _used[folder] = descriptor
        return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _start_keeper(cluster: Cluster) -> None:
    with (cluster.folder / "keeper.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # there is one
    command = [sys.executable, "-I", "-S", keeper_program.__file__]
    keeper = [str(cluster.folder), str(program("pg_ctl")), cluster.server_user() or ""]
    # Returns as soon as the keeper is in the background. Without one the server would merely stay.
    subprocess.run(  # noqa: S603 -- our own program
        [*command, *keeper, str(keeper_program.IDLE_SECONDS)],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )


def _ensure_database(cluster: Cluster, database: str) -> None:
    try:
        with closing(psycopg2.connect(cluster.url("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
                if cursor.fetchone() is None:
                    name = psycopg2.sql.Identifier(database)
                    cursor.execute(psycopg2.sql.SQL("CREATE DATABASE {}").format(name))
    except (psycopg2.errors.DuplicateDatabase, psycopg2.errors.UniqueViolation):
        return  # another process was faster
    except psycopg2.OperationalError as error:
        raise StorageUnavailable(
            f"embedded PostgreSQL in {cluster.folder} went away: {error}"
        ) from error
