"""How far a step is, told while it goes on: in Dagster's log, and to whoever watches the command.

Made by `reporting.tries` for each try of a step. What moves rows tells it from whichever thread it
reads in, as often as it likes; here it is decided what of that anybody hears.
"""

import threading
from collections.abc import Callable
from contextvars import ContextVar

from data_platform.engine.work import Moved
from data_platform.plan.keys import Key

FIRST, LOG_EVERY, SHOW_EVERY = 1.0, 5.0, 0.2
"""Seconds after which it is told at all, between two lines of the log, between two pictures."""
_KILO = 1000.0

Watcher = Callable[[Key, Moved], None]
watching: ContextVar[Watcher | None] = ContextVar("watching", default=None)
"""Whoever watches the steps of this process; set by `running` for the command."""


class Telling:
    """Tells how far one try of a step is.

    Args:
        key: of the asset.
        log: writes a line to Dagster's log.
    """

    def __init__(self, key: Key, log: Callable[[str], object]) -> None:
        self._key = key
        self._log = log
        self._show = watching.get()
        self._lock = threading.Lock()
        self._log_at, self._show_at = FIRST, FIRST

    def __call__(self, moved: Moved) -> None:
        """How far it is; most calls are heard by nobody."""
        if moved.seconds < min(self._log_at, self._show_at):
            return
        with self._lock:
            logs, shows = moved.seconds >= self._log_at, moved.seconds >= self._show_at
            if logs:
                self._log_at = moved.seconds + LOG_EVERY
            if shows:
                self._show_at = moved.seconds + SHOW_EVERY
        if logs:
            self._log(f"{self._key}: {in_words(moved)}")
        if shows and self._show is not None:
            self._show(self._key, moved)


def in_words(moved: Moved) -> str:
    """Rows, bytes and rows a second, such as `1,459,912 rows · 120 MB · 243,000 rows/s`."""
    parts = [f"{moved.rows:,} rows"] if moved.rows else []
    if moved.bytes:
        parts.append(_size(moved.bytes))
    if moved.rows and moved.seconds:
        parts.append(f"{_rounded(moved.rows / moved.seconds):,} rows/s")
    return " · ".join(parts)


def _rounded(number: float) -> int:
    """To three digits: more would only flicker."""
    whole = round(number)
    return int(round(whole, 3 - len(str(whole)))) if whole >= _KILO else whole


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < _KILO:
            return f"{size:.0f} {unit}"
        size /= _KILO
    return f"{size:.1f} GB"
