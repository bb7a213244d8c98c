"""Connections to databases for people's own code: a few a process, given out and taken back.

Called by `resources` for `get_connection`. One pool a process and URL, closed when the process
ends; a forked one begins with none. What one user leaves behind in a connection (settings,
temporary tables, locks) the next one doesn't find.
"""

# pyright: reportMissingTypeStubs=false

import atexit
import inspect
import os
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psycopg2
from sqlalchemy import Connection, Engine, create_engine, event, exc, pool

from data_platform.engine.postgres import Refused, host, in_words
from data_platform.errors import SourceError, SourceUnavailable

_FILES = ("sqlite", "duckdb")
"""Databases that are a file: an idle connection would keep others from it."""
_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
_NAMED = 5


@dataclass(frozen=True)
class PoolLimits:
    """How a process may use a database.

    Attributes:
        name: of the connection, for messages; "" where nobody named it.
        size: connections that one process may hold.
        timeout: seconds to wait for one that is free.
        recycle: seconds after which one is closed instead of used again.
        pre_ping: ask each whether it is still alive before it is used again.
    """

    name: str = ""
    size: int = 5
    timeout: float = 30.0
    recycle: float = 1800.0
    pre_ping: bool = True


@dataclass
class _Pool:
    """The connections of this process to one database, and who has them."""

    engine: Engine
    holders: dict[int, tuple[str, float]] = field(default_factory=dict[int, tuple[str, float]])


_pools: dict[tuple[str, PoolLimits], _Pool] = {}
_lock = threading.Lock()


@contextmanager
def borrowed(url: str, limits: PoolLimits) -> Generator[Connection]:
    """A connection of the pool; what isn't committed is undone, and it goes back.

    Args:
        url: with secrets in place.
        limits: of this process.

    Raises:
        SourceUnavailable: the database can't be reached, or all connections that the process may
            hold are in use.
        SourceError: it refuses whoever asks.
    """
    mine = _pool(url, limits)
    try:
        connection = mine.engine.connect()
    except exc.TimeoutError:
        raise SourceUnavailable(_exhausted(mine, url, limits)) from None
    except exc.DBAPIError as error:
        _refuse(error, url)
    number = id(connection)
    with _lock:
        mine.holders[number] = (_whose(inspect.currentframe()), time.monotonic())
    try:
        with connection:
            yield connection
    finally:
        with _lock:
            mine.holders.pop(number, None)


def dispose_all() -> None:
    """Close all connections that nobody uses; the next one is made anew."""
    with _lock:
        mine = list(_pools.values())
        _pools.clear()
    for one in mine:
        one.engine.dispose()


def _pool(url: str, limits: PoolLimits) -> _Pool:
    with _lock:
        key = (url, limits)
        if key not in _pools:
            try:
                _pools[key] = _Pool(_engine(url, limits))
            except (exc.NoSuchModuleError, ImportError) as error:
                about = f"there is no driver for {url.partition(':')[0]}, or it can't be loaded"
                raise SourceError(f"{about}: {error}") from None
            except exc.ArgumentError:
                raise SourceError("the connection's url isn't one that SQLAlchemy takes") from None
        return _pools[key]


def _engine(url: str, limits: PoolLimits) -> Engine:
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme in _FILES:
        return create_engine(url, poolclass=pool.NullPool)
    options: dict[str, Any] = {
        "poolclass": pool.QueuePool,
        "pool_size": limits.size,
        "max_overflow": 0,
        "pool_timeout": limits.timeout,
        "pool_recycle": limits.recycle,
        "pool_pre_ping": limits.pre_ping,
        "pool_use_lifo": True,
    }
    if scheme not in {"postgresql", "postgres"} and "://" in url:
        return create_engine(url, **options)
    # By libpq itself: it takes URLs that SQLAlchemy doesn't.
    engine = create_engine(
        "postgresql+psycopg2://",
        creator=lambda: psycopg2.connect(url),
        pool_reset_on_return=None,
        **options,
    )
    event.listen(engine, "reset", _forget)
    return engine


def _forget(connection: Any, _record: object, state: Any) -> None:
    """Leave nothing in a connection for the next one who gets it."""
    connection.rollback()
    if state.terminate_only:
        return
    connection.autocommit = True  # DISCARD can't run in a transaction
    with connection.cursor() as cursor:
        cursor.execute("DISCARD ALL")
    connection.autocommit = False


def _refuse(error: exc.DBAPIError, url: str) -> NoReturn:
    """An error of connecting in words, as one that may pass or one that stays."""
    told = in_words(error.orig or error, url, getattr(error.orig, "pgcode", None))
    raise (SourceError if isinstance(told, Refused) else SourceUnavailable)(str(told)) from None


def _exhausted(mine: _Pool, url: str, limits: PoolLimits) -> str:
    now = time.monotonic()
    with _lock:
        held = list(mine.holders.values())
    longest: dict[str, float] = {}
    for whose, since in held:
        longest[whose] = max(longest.get(whose, 0.0), now - since)
    counts = Counter(whose for whose, _ in held).most_common(_NAMED)
    told = "; ".join(f"{whose} holds {n}, for {longest[whose]:.0f} s" for whose, n in counts)
    name, what = limits.name or "<name>", f"connection {limits.name}" if limits.name else host(url)
    return (
        f"{what}: all {limits.size} connections that one process may hold are in use, "
        f"and none came free within {limits.timeout:g} s: "
        f"{told or 'nobody is known to hold one'}. Leave `with ... get_connection()` sooner, or "
        f"raise connections.{name}.pool_size in platform.yaml"
    )


def _whose(frame: FrameType | None) -> str:
    """The thread and the line of a person's code that asked."""
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE) and not file.endswith("contextlib.py"):
            break
        frame = frame.f_back
    where = f" at {Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame else ""
    return f"{threading.current_thread().name}{where}"


def _after_fork() -> None:
    # Two processes must not talk over one connection: the parent goes on with its own.
    global _lock  # noqa: PLW0603 -- another thread of the parent may have held it
    _lock = threading.Lock()
    for one in _pools.values():
        one.engine.dispose(close=False)
    _pools.clear()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(dispose_all)
