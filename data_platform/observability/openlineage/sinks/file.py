"""A file of events of OpenLineage, a line each.

Made by `choosing`.
"""

import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path

from data_platform.observability.openlineage.sinks.sending import Sent, Unavailable


class FileSink:
    """A file with a line for each event, also where several processes write to it.

    Args:
        path: of it; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, events: Sequence[str], until: float) -> Sent:
        """All of them at once, or none."""
        lines = "".join(f"{event}\n" for event in events).encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab", buffering=0) as file:
                if not _locked(file.fileno(), until):
                    return Sent(0, Unavailable(f"{self._path} is locked by another process"))
                _append(file.fileno(), lines)
        except OSError as error:
            return Sent(0, Unavailable(f"{self._path} can't be written: {error.strerror}"))
        return Sent(len(events))

    def close(self) -> None:
        """Nothing is open."""


def _locked(descriptor: int, until: float) -> bool:
    """Hold the file alone, as soon as nobody else does; it is freed when the file is closed."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        else:
            return True


def _append(descriptor: int, lines: bytes) -> None:
    """All or nothing: half a line would spoil the next one.

    Raises:
        OSError: the disk is full.
    """
    before = os.fstat(descriptor).st_size
    left = memoryview(lines)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, before)
        raise
