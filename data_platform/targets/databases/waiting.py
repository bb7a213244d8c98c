"""Waiting for a file that somebody else writes to, as long as that is worth it.

Used by the databases that are files: they have locks, but nobody who says whose turn it is.
"""

import time
from collections.abc import Callable

from data_platform.engine.work import Work
from data_platform.errors import StorageUnavailable

PATIENCE_SECONDS = 60.0
"""How long a load waits; then its step fails, and is tried again as its `retries` say."""
_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Seconds between two tries; the last one holds on."""


def waited_for(attempt: Callable[[], Exception | None], what: str, work: Work) -> None:
    """Try until it goes well.

    Args:
        attempt: gives what is in its way; None means that it went well.
        what: is in the way, for people.
        work: by which the waiting is ended from outside.

    Raises:
        StorageUnavailable: it took too long.
    """
    limit = time.monotonic() + PATIENCE_SECONDS
    tries = 0
    while error := attempt():
        work.go_on()
        if time.monotonic() >= limit:
            raise StorageUnavailable(
                f"{what}, and did so for {PATIENCE_SECONDS:.0f} seconds ({error}): try again once "
                "it has ended, or give these steps one `pool` with one slot"
            ) from error
        time.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
        tries += 1
