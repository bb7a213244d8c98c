"""Deliveries in a process of its own, which may be killed at any moment.

Processes are forked from one that has imported what a delivery needs, and has used nothing of it.
"""

import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType
from typing import Any

from delivering import Sending
from forking import CONTEXT

from data_platform.errors import PlatformError

KILLABLE = ("targets", "storage", "engine")
"""Packages between whose lines a process may be killed."""
_PACKAGE = str(Path(sys.modules["data_platform"].__file__ or "").parent)
_FOLDERS = tuple(f"{_PACKAGE}{os.sep}{name}{os.sep}" for name in KILLABLE)


class DeliveringProcess:
    """One process that delivers what it is sent, until it is killed."""

    def __init__(self) -> None:
        self._pipe, theirs = CONTEXT.Pipe()
        self._process: ForkServerProcess = CONTEXT.Process(target=_serve, args=(theirs,))
        self._process.start()
        theirs.close()
        assert self._pipe.recv() == "ready"

    def begin(self, sending: Sending, dies_at: int | None = None) -> None:
        """Begin a delivery.

        Args:
            sending: what is delivered.
            dies_at: the line of the platform's code, counted from the first that it runs, before
                which it kills itself.
        """
        self._pipe.send((sending, dies_at))

    def outcome(self, patience: float) -> tuple[str, Any] | None:
        """How it ended: `loaded` with the partitions and the lines that ran, `refused` with the
        message, or None: it was killed.
        """
        try:
            assert self._pipe.poll(patience), "it neither ends nor dies"
            return self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(patience)
            return None

    def kill(self) -> None:
        """By -9."""
        os.kill(self._process.pid or 0, signal.SIGKILL)

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        if self._process.is_alive():
            self.kill()
        self._process.join()
        self._pipe.close()


class _Lines:
    """Counts lines of the platform's code, and dies at one of them."""

    def __init__(self, dies_at: int | None) -> None:
        self.count = 0
        self._dies_at = dies_at

    def __call__(self, frame: FrameType, _event: str, _arg: object) -> Callable[..., Any] | None:
        return self.line if frame.f_code.co_filename.startswith(_FOLDERS) else None

    def line(self, _frame: FrameType, event: str, _arg: object) -> Callable[..., Any]:
        if event == "line":
            self.count += 1
            if self.count == self._dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.line


def _serve(pipe: Connection) -> None:
    pipe.send("ready")
    while True:
        try:
            sending, dies_at = pipe.recv()
        except EOFError:
            return
        lines = _Lines(dies_at)
        sys.settrace(lines)
        try:
            answer = "loaded", (sending.deliver(), lines.count)
        except PlatformError as error:
            answer = type(error).__name__, str(error)
        finally:
            sys.settrace(None)
        pipe.send(answer)
