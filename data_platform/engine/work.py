"""One step's work outside: how far it is, and how somebody else ends it.

Made by the step, handed to sources and destinations. What waits for a server registers how it is
interrupted; what moves rows counts them. Knows neither Dagster nor the terminal: both are told
through `tell`.
"""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from data_platform.errors import PlatformError


@dataclass(frozen=True)
class Moved:
    """How far a step is.

    Attributes:
        rows, bytes: that came so far; 0 where they aren't known.
        seconds: since it began.
    """

    rows: int
    bytes: int
    seconds: float


class Work:
    """What one step does outside.

    Args:
        tell: called with how far it is, now and then, from the thread that counts.
    """

    def __init__(self, tell: Callable[[Moved], None] | None = None) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._stops: list[Callable[[], object]] = []
        self._reason: PlatformError | None = None
        self._began = time.monotonic()
        self._rows = 0
        self._bytes = 0

    @contextmanager
    def stoppable(self, stop: Callable[[], object]) -> Generator[None]:
        """Call `stop`, from another thread, if the work is to end while the block runs.

        Whatever the block raises because of it comes out as the reason of the end.
        """
        with self._lock:
            self._stops.append(stop)
        try:
            self.go_on()
            yield
        except Exception:
            self.go_on()
            raise
        finally:
            with self._lock:
                self._stops.remove(stop)

    def stop(self, reason: PlatformError) -> None:
        """End the work: everything that is stoppable is stopped."""
        with self._lock:
            self._reason = self._reason or reason
            stops = list(self._stops)
        for stop in stops:
            stop()

    def go_on(self) -> None:
        """Between two pieces of work.

        Raises:
            PlatformError: the reason, if it was stopped.
        """
        if self._reason is not None:
            raise self._reason

    def count(self, rows: int = 0, bytes_: int = 0) -> None:
        """Rows and bytes that came."""
        self._rows += rows
        self._bytes += bytes_
        if self._tell is not None:
            self._tell(self.moved)

    @property
    def moved(self) -> Moved:
        """How far it is."""
        return Moved(self._rows, self._bytes, time.monotonic() - self._began)
