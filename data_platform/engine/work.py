"""One step's work outside: how far it is, and how somebody else ends it.

Made by the step, handed to sources and destinations. What waits for a server registers how it is
interrupted; what moves rows counts them. Knows neither Dagster nor the terminal: both are told
through `tell`.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from data_platform.errors import PlatformError

STOP_AGAIN = 0.2
"""Seconds between two calls of what stops: one that came between two queries met none."""
PATIENCE = 5.0
"""Seconds after which the thread that works is interrupted itself, if it is the main one."""
LAST_PATIENCE = 30.0
"""Seconds from then until the last resort: a function may catch whatever interrupts it."""
_ENDS = frozenset({signal.SIGINT, signal.SIGTERM})


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
        tell: called with how far it is, from whichever thread counts, as often as it counts.
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

        It may be called several times, and at any moment of the block. Whatever the block raises
        because of it comes out as the reason of the end.
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
            with contextlib.suppress(Exception):  # what is closed already can't be closed
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
        with self._lock:
            self._rows += rows
            self._bytes += bytes_
        if self._tell is not None:
            self._tell(self.moved)

    @property
    def moved(self) -> Moved:
        """How far it is."""
        return Moved(self._rows, self._bytes, time.monotonic() - self._began)


@contextmanager
def ended_after(
    work: Work,
    seconds: float | None,
    reason: Callable[[Moved], PlatformError],
    patience: float = PATIENCE,
    last_resort: Callable[[PlatformError], object] | None = None,
) -> Generator[None]:
    """Stop the work if the block takes longer than its limit.

    First everything that is stoppable is stopped, again and again until the block ends. What
    doesn't hear of that, such as a person's function in this process, is interrupted as by Ctrl-C,
    where the block runs in the main thread; what computes outside of Python goes on until it comes
    back, or until the last resort.

    Args:
        work: of the step.
        seconds: the limit; None means that there is none.
        reason: of the end, from how far the work was.
        patience: seconds from the first until the second.
        last_resort: called once with the reason, when nothing of that has ended the block.
    """
    if seconds is None:
        yield
        return
    done = threading.Event()
    with _interruptible(work, done) as interrupt:

        def watch() -> None:
            if done.wait(seconds):
                return
            error, began = reason(work.moved), time.monotonic()
            resort = last_resort
            while not done.is_set():
                work.stop(error)
                waited = time.monotonic() - began
                if waited >= patience:
                    interrupt()
                if resort and waited >= patience + LAST_PATIENCE:
                    resort(error)
                    resort = None
                done.wait(STOP_AGAIN)

        watcher = threading.Thread(target=watch, name="time limit", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


@contextmanager
def ended_by_signals(work: Work) -> Generator[None]:
    """Stop the work when somebody ends the run while the block runs, in the main thread.

    Whatever the block raises from then on comes of that: a library that calls Python, such as
    DuckDB reading a stream, makes an error of its own of an interruption that hits it there.

    Raises:
        KeyboardInterrupt: the block failed after somebody ended the run.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended = threading.Event()
    try:
        with _heard(work, ended):
            yield
    except Exception:
        if ended.is_set():
            # Without the error: it may name a person, and is no news.
            raise KeyboardInterrupt from None
        raise


@contextmanager
def _heard(work: Work, ended: threading.Event) -> Generator[None]:
    """Hear of signals at once.

    Python calls a signal's handler once the main thread is back in Python: not as long as it waits
    in C for rows that another thread reads. The signal's number is written to a pipe at once.

    Args:
        work: stopped when one comes that ends the run.
        ended: set when one has come, at the latest when the block is left.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    done = threading.Event()

    def watch() -> None:
        numbers = b""
        while 0 not in numbers:
            numbers = os.read(reading, 64)
            if not _ENDS.intersection(numbers):
                continue
            ended.set()
            while not done.wait(STOP_AGAIN):
                work.stop(PlatformError("Query interrupted: somebody ended the run"))

    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(before)
        os.write(writing, b"\0")
        watcher.join()
        os.close(reading)
        os.close(writing)


@contextmanager
def _interruptible(work: Work, done: threading.Event) -> Generator[Callable[[], None]]:
    """Gives what raises the reason of the end in the main thread, where this is it."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    thread = threading.get_ident()

    def raise_reason(_signal: int, _frame: FrameType | None) -> None:
        if not done.is_set():
            work.go_on()

    before = signal.signal(signal.SIGUSR2, raise_reason)
    try:
        yield lambda: signal.pthread_kill(thread, signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
