"""Connections for people's own code: bounded, given back clean, not shared with forked children."""

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import text

from data_platform.embedded import cluster
from data_platform.embedded.server import server_url, stop_server
from data_platform.engine import database_pools
from data_platform.engine.database_pools import PoolLimits, borrowed
from data_platform.engine.postgres import Unreachable, connected
from data_platform.errors import SourceError, SourceUnavailable

LIMITS = PoolLimits(name="shop", size=2, timeout=0.2)


@pytest.fixture(autouse=True)
def _no_pool_is_left() -> Iterator[None]:
    yield
    database_pools.dispose_all()


@pytest.fixture(scope="module")
def small_server() -> Iterator[str]:
    """A PostgreSQL of three connections for whoever isn't superuser: the URL of such a role."""
    folder = Path(tempfile.mkdtemp(prefix="dp-tests-"))
    folder.chmod(0o755)  # or PostgreSQL's user couldn't enter it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "MAX_CONNECTIONS", 6)  # three are kept for superusers
        admin = server_url(folder, "shop")
        with closing(psycopg2.connect(admin)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE ROLE reader LOGIN PASSWORD 'a-canary'")
            connection.commit()
        yield admin.replace("postgres@", "reader:a-canary@")
        database_pools.dispose_all()
        stop_server(folder)
        shutil.rmtree(folder, ignore_errors=True)


def backend(url: str, limits: PoolLimits = LIMITS) -> int:
    """The server's process behind a connection that is given back at once."""
    with borrowed(url, limits) as connection:
        return connection.execute(text("SELECT pg_backend_pid()")).scalar_one()


def backends(url: str) -> int:
    """How many connections the database has, less the one that asks."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
        )
        row = cursor.fetchone()
    assert row is not None
    return row[0]


def test_a_connection_is_used_again(postgres_url: str) -> None:
    assert backend(postgres_url) == backend(postgres_url)
    assert backends(postgres_url) == 1


def test_what_is_not_committed_is_undone(postgres_url: str) -> None:
    with borrowed(postgres_url, LIMITS) as connection:
        connection.execute(text("CREATE TABLE kept (n int)"))
        connection.commit()
        connection.execute(text("INSERT INTO kept VALUES (1)"))
    with borrowed(postgres_url, LIMITS) as connection:
        assert connection.execute(text("SELECT count(*) FROM kept")).scalar_one() == 0


def test_nothing_of_one_user_is_left_for_the_next(postgres_url: str) -> None:
    with borrowed(postgres_url, LIMITS) as connection:
        connection.execute(text("SET search_path = nowhere"))
        connection.execute(text("SELECT pg_advisory_lock(7)"))
        connection.execute(text("CREATE TEMP TABLE mine (n int)"))
        connection.commit()
        first = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with borrowed(postgres_url, LIMITS) as connection:
        found = connection.execute(
            text(
                "SELECT pg_backend_pid(), current_setting('search_path'),"
                " to_regclass('pg_temp.mine'), (SELECT count(*) FROM pg_locks"
                " WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
            )
        ).one()
    assert tuple(found) == (first, '"$user", public', None, 0)


def test_an_exhausted_pool_says_who_holds_what(postgres_url: str) -> None:
    with borrowed(postgres_url, LIMITS), borrowed(postgres_url, LIMITS):
        with (
            pytest.raises(
                SourceUnavailable,
                match=r"connection shop: all 2 connections that one process may hold are in use, "
                r"and none came free within 0.2 s: MainThread at test_database_pools.py:\d+ holds "
                r"2, for 0 s. .* raise connections.shop.pool_size in platform.yaml",
            ),
            borrowed(postgres_url, LIMITS),
        ):
            pass
        assert backends(postgres_url) == 2
    assert backend(postgres_url) > 0


def test_threads_wait_for_one_another(postgres_url: str) -> None:
    limits = replace(LIMITS, timeout=30.0)
    most: list[int] = []

    def work() -> None:
        with borrowed(postgres_url, limits) as connection:
            connection.execute(text("SELECT pg_sleep(0.02)"))
            most.append(backends(postgres_url))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 8
    # Each that counts has its own connection to do so.
    assert backends(postgres_url) == 2


def test_a_dead_connection_is_replaced(postgres_url: str) -> None:
    first = backend(postgres_url)
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    assert backend(postgres_url) != first


def test_an_old_connection_is_replaced(postgres_url: str) -> None:
    limits = replace(LIMITS, recycle=0.05)
    first = backend(postgres_url, limits)
    time.sleep(0.1)
    assert backend(postgres_url, limits) != first


def test_a_forked_child_has_connections_of_its_own(postgres_url: str) -> None:
    mine = backend(postgres_url)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os.write(writing, str(backend(postgres_url)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(reading, 100))
    os.close(reading)
    os.close(writing)
    assert theirs != mine
    assert backend(postgres_url) == mine


def test_files_are_let_go_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    with borrowed(url, replace(LIMITS, size=1)), borrowed(url, replace(LIMITS, size=1)) as second:
        assert second.execute(text("SELECT 1")).scalar_one() == 1


@pytest.mark.parametrize(
    ("url", "kind", "match"),
    [
        (
            "postgresql://me:a-canary@127.0.0.1:1/shop",
            SourceUnavailable,
            "127.0.0.1:1/shop: .*refused",
        ),
        ("nothing://h/d", SourceError, "there is no driver for nothing"),
        ("nothing:/h", SourceError, "isn't one that SQLAlchemy takes|invalid|missing"),
    ],
)
def test_what_can_not_be_connected_to_is_told(url: str, kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match) as raised, borrowed(url, LIMITS):
        pass
    assert "canary" not in str(raised.value)


def test_a_refused_login_is_not_tried_again(small_server: str) -> None:
    url = small_server.replace("reader:", "nobody:")
    with pytest.raises(SourceError, match='role "nobody" does not exist'), borrowed(url, LIMITS):
        pass


@contextmanager
def all_taken(url: str) -> Iterator[None]:
    held = [psycopg2.connect(url) for _ in range(3)]
    try:
        yield
    finally:
        for connection in held:
            connection.close()


def test_a_full_server_passes_and_says_what_to_do(small_server: str) -> None:
    with all_taken(small_server):
        with pytest.raises(
            SourceUnavailable,
            match=r"remaining connection slots are reserved.*; let fewer steps use it at once, by "
            r"a pool of the connection's name in platform.yaml.*raise max_connections",
        ) as raised:
            backend(small_server)
        assert "canary" not in str(raised.value)
        with pytest.raises(Unreachable, match="let fewer steps use it"), connected(small_server):
            pass
    assert backend(small_server) > 0


def test_a_full_server_that_answers_says_how_full_it_is(
    small_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = small_server.replace("reader:a-canary@", "postgres@")
    with closing(psycopg2.connect(admin)) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER ROLE reader CONNECTION LIMIT 0")
        connection.commit()
        try:
            asked = database_pools.in_words.__globals__["full_advice"]
            monkeypatch.setitem(
                database_pools.in_words.__globals__, "full_advice", lambda _: asked(admin)
            )
            with pytest.raises(
                SourceUnavailable,
                match=r"too many connections for role \"reader\"; 2 of 6 connections are in use; ",
            ):
                backend(small_server)
        finally:
            cursor.execute("ALTER ROLE reader CONNECTION LIMIT -1")
            connection.commit()


def test_the_limit_of_a_process_keeps_a_server_from_being_full(small_server: str) -> None:
    limits = replace(LIMITS, size=2, timeout=30.0)
    done: list[int] = []

    def work() -> None:
        done.append(backend(small_server, limits))

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == 12
    assert len(set(done)) <= 2
