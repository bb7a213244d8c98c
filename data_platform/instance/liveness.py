"""Which runs have a living process: a PostgreSQL lock for each, held by the process that runs it.

The lock is a session's advisory lock on Dagster's own database, keyed by the run's id. The server
frees it when the process is gone, however it died and on whatever host; there are no heartbeats to
write and none to miss, so a live run that is merely slow is never taken for dead. `instance` takes
it before a run is recorded as started, `launcher` looks at it for Dagster's run monitoring,
and `reap_dead_runs` is called by the command at its start.

The URL must reach the server itself or a pooler in session mode: in transaction mode a lock ends
with its statement.
"""

import hashlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Collection
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.extensions

from data_platform.instance.overruled import Ending, Overruled

WORKER_TAG = ".dagster/data_platform_worker"
"""Of a run: which process was forked for it. Hidden in the UI, like Dagster's own."""
CHECK_SECONDS = 2.0
"""How often a holder looks whether its connection still stands, and takes its locks anew."""

_CONNECTION_ARGUMENTS: dict[str, Any] = {
    "application_name": "data_platform run lock",
    "connect_timeout": 10,
    # The server must notice a host that vanished; its default is two hours.
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    " -c statement_timeout=10000",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}

_logger = logging.getLogger(__name__)
_holders: "weakref.WeakSet[RunLocks]" = weakref.WeakSet()


def lock_key(run_id: str) -> int:
    """The 64-bit key of a run's lock, signed as PostgreSQL wants it."""
    digest = hashlib.blake2b(f"data_platform.run:{run_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class RunLocks:
    """The locks that this process holds, on one connection that is open while there are any.

    A thread watches the connection, because a restart of the server frees the locks of runs that
    go on: it connects again and takes them anew within seconds, sooner than anybody may call a
    run dead (see `Absences`). It looks besides whether somebody else has ended a run.

    Args:
        url: of the server.
        overruled: says which runs somebody else has ended.
    """

    def __init__(self, url: str, overruled: Overruled = lambda _: set()) -> None:
        self._url = url
        self._overruled = overruled
        self._ending = Ending()
        self._open: set[str] = set()
        self._runs: set[str] = set()
        self._locked: set[str] = set()
        self._connection: psycopg2.extensions.connection | None = None
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        _holders.add(self)

    def hold(self, run_id: str) -> None:
        """Say that this process executes the run. Returns when the lock is held.

        Raises:
            psycopg2.OperationalError: the server can't be reached.
        """
        with self._mutex:
            first = not self._runs
            self._runs.add(run_id)
            self._open.add(run_id)
            try:
                self._take_missing()
            except psycopg2.Error:
                self._disconnect()
                self._take_missing()
            if first:
                self._stop = threading.Event()
                arguments = (self._stop,)
                threading.Thread(
                    target=self._watch, args=arguments, name="run-locks", daemon=True
                ).start()

    def ends(self, run_id: str) -> None:
        """Say that this process is about to record the run's end, which is nobody else's then."""
        with self._mutex:
            self._open.discard(run_id)

    def release(self, run_id: str) -> None:
        """Say that the run has ended. A run that isn't held is fine."""
        with self._mutex:
            self._open.discard(run_id)
            if run_id not in self._runs:
                return
            self._runs.discard(run_id)
            self._locked.discard(run_id)
            if not self._runs:
                self._stop.set()
                self._disconnect()
            elif self._connection is not None:
                try:
                    with self._connection.cursor() as cursor:
                        cursor.execute("SELECT pg_advisory_unlock(%s)", [lock_key(run_id)])
                except psycopg2.Error:
                    self._disconnect()  # the watcher takes the others anew

    def abandon_after_fork(self) -> None:
        """Let go of what the parent process holds, without ending the parent's session."""
        if self._connection is not None and not self._connection.closed:
            # The descriptor must not keep the session open after the parent's death, and psycopg2
            # may still close it: so it becomes something harmless.
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, self._connection.fileno())
            os.close(nothing)
        self._runs = set()
        self._open = set()
        self._locked = set()
        self._connection = None
        self._mutex = threading.Lock()

    def _take_missing(self) -> None:
        if self._connection is None:
            self._connection = psycopg2.connect(self._url, **_CONNECTION_ARGUMENTS)
            self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            for run_id in self._runs - self._locked:
                # Not taken only while the server still keeps a broken session of ours.
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock_key(run_id)])
                if cursor.fetchone() == (True,):
                    self._locked.add(run_id)

    def _disconnect(self) -> None:
        self._locked = set()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(CHECK_SECONDS):
            with self._mutex:
                if stop.is_set():
                    return
                try:
                    self._take_missing()
                except psycopg2.Error as error:
                    _logger.warning("lost the connection that holds run locks: %s", error)
                    self._disconnect()
            self._end_overruled()

    def _end_overruled(self) -> None:
        with self._mutex:
            asked = set(self._open)
        if not asked:
            return
        try:
            over = self._overruled(asked)
        except Exception as error:  # noqa: BLE001 -- of whatever storage; it is asked again
            _logger.warning("can't see whether runs were ended: %s", error)
            return
        with self._mutex:
            over &= self._open
        self._ending.end(over)


class Absences:
    """Since when runs have had no living process, as seen by this process.

    A lock can be missing for seconds though its run lives, after a restart of the server. So a run
    is dead only if its lock was missing in looks that lie `patience` seconds apart.
    """

    def __init__(self, url: str, patience: float) -> None:
        self._url = url
        self._patience = patience
        self._missing_since: dict[str, float] = {}

    def dead(self, run_ids: Collection[str]) -> set[str]:
        """Those of `run_ids` that have had no process for `patience` seconds.

        Raises:
            psycopg2.Error: the server can't be asked; what was seen before is forgotten then, as
                a server that was away has lost its locks.
        """
        try:
            with closing(psycopg2.connect(self._url, connect_timeout=10)) as connection:
                alive = alive_runs(connection, run_ids)
        except psycopg2.Error:
            self._missing_since.clear()
            raise
        now = time.monotonic()
        for run_id in run_ids:
            if run_id in alive:
                self._missing_since.pop(run_id, None)
            else:
                self._missing_since.setdefault(run_id, now)
        dead = {
            run_id
            for run_id in run_ids
            if run_id not in alive and now - self._missing_since[run_id] >= self._patience
        }
        for run_id in dead:
            del self._missing_since[run_id]
        return dead

    def suspected(self) -> set[str]:
        """The runs that had no process at the last look."""
        return set(self._missing_since)


def alive_runs(connection: psycopg2.extensions.connection, run_ids: Collection[str]) -> set[str]:
    """Those of `run_ids` whose lock is held by anybody. Looks only, so nobody is disturbed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT classid::bigint, objid::bigint FROM pg_locks WHERE locktype = 'advisory'"
            " AND objsubid = 1 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        held = {(high << 32) | low for high, low in cursor.fetchall()}
    return {run_id for run_id in run_ids if lock_key(run_id) & 0xFFFF_FFFF_FFFF_FFFF in held}


def _after_fork() -> None:
    for holder in list(_holders):
        holder.abandon_after_fork()


os.register_at_fork(after_in_child=_after_fork)
