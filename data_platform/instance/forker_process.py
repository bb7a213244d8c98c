"""Keeps a process of `forker` for this process, and asks it to fork.

Called by `launcher` alone. Owns the forker's life: it is started ahead of the first run, anew
when it died, and anew when a module of the platform was changed. Whatever goes wrong is a
`ForkerUnavailable`, after which no forked process executes the run.
"""

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from data_platform.instance.worker import GO, RunRequest

START_SECONDS = 30.0
ANSWER_SECONDS = 10.0
AHEAD_SECONDS = 3.0
"""After the daemon's first sign of life, when `dagster dev` needs no more of the machine."""
PAUSE_SECONDS = 60.0
"""Without another attempt, after the forker failed to start or to answer."""

ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "_RJEM_MALLOC_CONF": "background_thread:false",
}
"""Keeps imports from starting threads. Runs have the environment of the launcher."""

_PACKAGE = Path(__file__).parents[1]
_logger = logging.getLogger("dagster.data_platform.forker")


class ForkerUnavailable(Exception):
    """No process was forked, or the one that was does nothing."""


@dataclass
class _Process:
    popen: "subprocess.Popen[bytes]"
    connection: Connection
    sources: int
    ready: bool = False


class ForkerProcess:
    """The forker of this process; safe to use from several threads."""

    def __init__(
        self,
        environ: Mapping[str, str],
        command: Sequence[str] = ("-P", "-m", "data_platform.instance.forker"),
    ) -> None:
        """Start nothing yet.

        Args:
            environ: of the forker.
            command: Python's arguments; the forker's end of the connection is added to them.
        """
        self._environ = environ
        self._command = command
        self._process: _Process | None = None
        self._mutex = threading.Lock()
        self._paused_until = 0.0
        self._prepared = False

    @property
    def pid(self) -> int | None:
        """Of the forker, while there is one."""
        process = self._process
        return process.popen.pid if process else None

    def prepare(self) -> None:
        """Start the forker in a moment, so that the first run needn't wait for it."""
        if not self._prepared:
            self._prepared = True
            timer = threading.Timer(AHEAD_SECONDS, self._start_ahead)
            timer.daemon = True
            timer.start()

    def fork(self, request: RunRequest, announce: Callable[[int], None]) -> int:
        """Let a process execute a run.

        Args:
            request: the run.
            announce: told the process's number before it may begin.

        Returns:
            The number of the process.

        Raises:
            ForkerUnavailable: and nobody executes the run.
        """
        with self._mutex:
            process = self._started()
            try:
                pid = self._asked(process, request)
                announce(pid)
                process.connection.send(GO)
            except BaseException:
                self._stop()  # and with it the process that wasn't told to begin
                raise
            return pid

    def stop(self) -> None:
        """End the forker. Runs go on."""
        with self._mutex:
            self._stop()
            self._paused_until = float("inf")

    def _start_ahead(self) -> None:
        with self._mutex:
            if self._process is None and time.monotonic() >= self._paused_until:
                self._start()

    def _asked(self, process: _Process, request: RunRequest) -> int:
        try:
            process.connection.send(request)
            answer = _received(process.connection, ANSWER_SECONDS)
        except (OSError, EOFError) as error:
            self._pause()
            raise ForkerUnavailable(f"the forker gave no answer: {error!r}") from error
        if not isinstance(answer, int):
            self._pause()
            raise ForkerUnavailable(f"the forker can't fork: {answer}")
        return answer

    def _started(self) -> _Process:
        """The forker, when it is ready; a new one if there is none, or its modules are old."""
        if self._process is not None and self._process.popen.poll() is not None:
            self._stop()
        if self._process is not None and self._process.sources != _sources():
            _logger.info("modules of the platform were changed: the forker is started anew")
            self._stop()
        if self._process is None:
            if time.monotonic() < self._paused_until:
                raise ForkerUnavailable("the forker failed a short while ago")
            self._start()
        process = self._process
        if process is None:
            raise ForkerUnavailable("the forker couldn't be started")
        if not process.ready:
            try:
                _received(process.connection, START_SECONDS)
            except (OSError, EOFError) as error:
                self._stop()
                self._pause()
                code = process.popen.returncode
                raise ForkerUnavailable(
                    f"the forker didn't start (exit code {code}, {error!r}); it may have said why "
                    "in the output of this process"
                ) from error
            process.ready = True
        return process

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        sources = _sources()
        with theirs:
            arguments = [sys.executable, *self._command, str(theirs.fileno())]
            try:
                popen = subprocess.Popen(  # noqa: S603 -- our own program
                    arguments,
                    env={**self._environ, **ENVIRONMENT},
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            except OSError as error:
                ours.close()
                _logger.warning("the forker of runs couldn't be started: %s", error)
                return
        process = _Process(popen, Connection(ours.detach()), sources)
        self._process = process
        threading.Thread(
            target=self._watch, args=(process,), name="run-forker", daemon=True
        ).start()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.connection.close()
        try:
            process.popen.wait(1)
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait()

    def _pause(self) -> None:
        self._paused_until = max(self._paused_until, time.monotonic() + PAUSE_SECONDS)

    def _watch(self, process: _Process) -> None:
        """Start it anew when it died, so that the next run needn't wait."""
        code = process.popen.wait()
        with self._mutex:
            if self._process is not process:
                return  # it was told to end
            self._stop()
            _logger.warning(
                "the forker of runs (pid %s) ended with exit code %s; the runs that it started go "
                "on%s",
                process.popen.pid,
                code,
                ", and it is started anew" if process.ready else "",
            )
            if process.ready:
                self._start()


def _received(connection: Connection, seconds: float) -> object:
    if not connection.poll(seconds):
        raise TimeoutError(f"nothing within {seconds:.0f} s")
    return connection.recv()


def _sources() -> int:
    """What the modules of the platform look like now; another number after any change."""
    files = ((path, path.stat()) for path in sorted(_PACKAGE.rglob("*.py")))
    return hash(tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in files))
