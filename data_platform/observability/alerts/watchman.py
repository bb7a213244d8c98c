"""Looks for what goes wrong while no daemon ticks the sensor that does: it can't tell of its end.

Run by `data-platform metrics` in a thread: that is a process of its own which is there anyway.
"""

import logging
import threading
from collections.abc import Callable

from dagster import DagsterInstance

from data_platform.observability.alerts.watching import Watched, watch_daemons

SECONDS = 15.0
_log = logging.getLogger(__name__)


class Watchman:
    """Looks every few seconds until it is told to end.

    Args:
        instance: Dagster's.
        load: gives what is watched, as it is written now.
    """

    def __init__(self, instance: DagsterInstance, load: Callable[[], Watched]) -> None:
        self._instance = instance
        self._load = load
        self._ended = threading.Event()

    def run(self) -> None:
        """Look again and again; what fails once is tried again by the next look."""
        while not self._ended.wait(SECONDS):
            try:
                watch_daemons(self._instance, self._load)
            except Exception as error:  # noqa: BLE001 -- nobody else would look then
                _log.warning("alerts can't be looked after: %s", str(error).splitlines()[:1])

    def end(self) -> None:
        """Begin no further look."""
        self._ended.set()
