"""Ends the process of a run that somebody else has ended.

Called by `liveness` every few seconds, in the process that executes runs. A run may be over while
its process lives: its step heard nobody who wanted it to end, its machine slept and it was taken
for dead, somebody marked it as cancelled in the UI. Its slots are others' by then, and perhaps a
run was made anew from it.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Collection

GRACE_SECONDS = 40.0
"""From Ctrl-C until it is killed: a command may call `on_finish` meanwhile."""

Overruled = Callable[[Collection[str]], set[str]]
"""Those of some runs that somebody else has ended, or wants to be ended by their process."""

_logger = logging.getLogger(__name__)


class Ending:
    """How this process is ended: as by Ctrl-C, and killed where that isn't heard."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def end(self, run_ids: set[str]) -> None:
        """End it for runs that are over; called again and again while it lives."""
        for run_id in sorted(run_ids):
            if run_id not in self._since:
                self._since[run_id] = time.monotonic()
                _logger.warning("run %s was ended by somebody else: its process ends", run_id)
                # Of the main thread: a signal that another thread takes wakes no call that waits.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            elif time.monotonic() - self._since[run_id] >= GRACE_SECONDS:
                os.kill(os.getpid(), signal.SIGKILL)
