"""Worker processes of one step: chunks go out in order, files come back, a death is told apart.

Called by `engine.python_steps`. A worker is a Python of its own rather than a member of a pool of
the standard library: those import the main module of the step again, which takes Dagster seconds,
and can't say which chunk a process died of.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import wait
from types import TracebackType
from typing import Self, cast

from data_platform.engine.worker_process import Answer, Chunk, Work

_GONE = (EOFError, BrokenPipeError, ConnectionResetError)
_START = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from data_platform.engine.worker_process import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)


class Workers:
    """At most `most` processes, started as chunks come; none is left when this ends.

    Args:
        work: what they do.
        most: of them.
    """

    def __init__(self, work: Work, most: int) -> None:
        self._work = work
        self._most = most
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in (*self._idle, *self._busy):
            worker.stop()

    def kill(self) -> None:
        """End those that are at work, from another thread: their end counts as an answer."""
        for worker in list(self._busy):
            worker.kill()

    def run(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Answer]]:
        """Answer all chunks; answers come as they are ready."""
        for chunk in chunks:
            while len(self._busy) == self._most:
                yield from self._ready()
            worker = self._idle.pop() if self._idle else _Worker(self._work)
            self._busy.append(worker)
            worker.take(chunk)
        while self._busy:
            yield from self._ready()

    def _ready(self) -> Iterator[tuple[Chunk, Answer]]:
        """The answers of those that have one, once there is any; a dead one isn't used again."""
        connections = [worker.connection for worker in self._busy]
        ready = wait(connections)
        for worker in [worker for worker in self._busy if worker.connection in ready]:
            self._busy.remove(worker)
            chunk, answer = worker.answered()
            if worker.alive:
                self._idle.append(worker)
            yield chunk, answer


class _Worker:
    """One process, and the chunk that it is at."""

    def __init__(self, work: Work) -> None:
        self.alive = True
        self._function = work.function.written
        self._chunk: Chunk
        self.connection, theirs = Pipe()
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- our own program
                [sys.executable, "-c", _START, f"{theirs.fileno()}", f"{lifeline}", *sys.path],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), lifeline),
            )
        finally:
            theirs.close()
            os.close(lifeline)
        with contextlib.suppress(*_GONE):  # its end is noticed where its answer is read
            self.connection.send(work)

    def take(self, chunk: Chunk) -> None:
        """Give it a chunk."""
        self._chunk = chunk
        with contextlib.suppress(*_GONE):
            self.connection.send(chunk)

    def answered(self) -> tuple[Chunk, Answer]:
        """What came of its chunk; its death counts as an answer."""
        try:
            return self._chunk, cast("Answer", self.connection.recv())
        except _GONE:
            self.alive = False
            code = self._process.wait()
            self.stop()
            message = f"the process of {self._function} {_end_words(code)} at {self._chunk}"
            return self._chunk, Answer([], message)

    def kill(self) -> None:
        """End its process."""
        self._process.kill()

    def stop(self) -> None:
        """End it, whatever it is at."""
        self._process.kill()
        self._process.wait()
        self.connection.close()
        with contextlib.suppress(OSError):
            os.close(self._lifeline)


def _end_words(code: int) -> str:
    if code >= 0:
        return f"ended by itself with exit code {code}"
    name = signal.Signals(-code).name
    if name == "SIGKILL":
        return "was killed by SIGKILL, as when memory runs out,"
    return f"was killed by {name}"
