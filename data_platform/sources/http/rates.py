"""How often a server is asked: at most so many requests in any second, minute or hour.

Used by `client` before each request, by all steps and processes of this user on this machine: they
share the times of their requests in a small file. Where there can be no such file, each process
counts for itself.
"""

import fcntl
import hashlib
import os
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_REMEMBERED = 1000
"""Times that are kept; a larger rate is held in whole parts of its span, which is stricter."""


class RateLimit:
    """Lets as many requests through as a rate says.

    Args:
        rate: such as `10/s`.
        scope: what is limited together, such as a connection and its address.
        folder: of the files of times; None means the user's own in the machine's temporary folder.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        rate: str,
        scope: str,
        folder: Path | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        count, _, unit = rate.partition("/")
        parts = -(-int(count) // _REMEMBERED)
        self._count = int(count) // parts
        self._span = _SECONDS[unit] / parts
        self._own = array("d")
        self._file = _file_of(folder or _user_folder(), f"{rate} {scope}")
        self._sleep = sleep

    async def wait(self) -> None:
        """Until the next request may go out."""
        seconds = self._reserve(time.monotonic())
        if seconds > 0:
            await self._sleep(seconds)

    def _reserve(self, now: float) -> float:
        """Take the next free time; how far away it is."""
        if self._file is None:
            return self._taken(self._own, now)
        with os.fdopen(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            times = array("d")
            content = file.read()
            times.frombytes(content[: len(content) // times.itemsize * times.itemsize])
            seconds = self._taken(times, now)
            file.seek(0)
            file.write(times.tobytes())
            file.truncate()
        return seconds

    def _taken(self, times: "array[float]", now: float) -> float:
        # The clock begins anew with the machine: times of before are far ahead, and count no more.
        if times and times[-1] > now + len(times) * self._span:
            del times[:]
        del times[: -self._count]
        full = len(times) == self._count
        at = max(now, times[0] + self._span if full else now)
        times.append(at)
        return at - now


def _user_folder() -> Path | None:
    folder = Path(tempfile.gettempdir()) / f"data-platform-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder if folder.stat().st_uid == os.getuid() else None
    except OSError:
        return None


def _file_of(folder: Path | None, scope: str) -> Path | None:
    name = hashlib.sha256(scope.encode()).hexdigest()[:32]
    return folder / f"rate-{name}" if folder is not None else None
