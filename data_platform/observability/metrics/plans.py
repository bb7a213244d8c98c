"""The pipelines as they are now: read anew when one of their files has changed.

Called by `exporter`, which runs for months while pipelines come and go.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from data_platform.observability.metrics.known import Known
from data_platform.secrets.masker import mask

_log = logging.getLogger("data_platform.metrics")
_ENDINGS = frozenset({".yaml", ".yml", ".sql", ".py"})


class Plans:
    """What is known of the pipelines.

    Args:
        known: as they were read.
        load: reads and plans them again.
        folders: of them.
    """

    def __init__(self, known: Known, load: Callable[[], Known], folders: Sequence[Path]) -> None:
        self.known = known
        self._load = load
        self._folders = folders
        self._mark = _mark(folders)

    def refresh(self) -> None:
        """Read what has changed; what can't be read leaves what was known."""
        mark = _mark(self._folders)
        if mark == self._mark:
            return
        try:
            self.known = self._load()
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with a file of somebody's
            told = "the pipelines can't be read; metrics are of those from before: %s"
            _log.warning(told, reason_of(error))
        self._mark = mark


def reason_of(error: BaseException) -> str:
    """The first line of what an error came from; Dagster's own say only that they gave up."""
    while error.__cause__ is not None:
        error = error.__cause__
    return mask(str(error).strip().partition("\n")[0]) or type(error).__name__


def _mark(folders: Iterable[Path]) -> frozenset[tuple[str, int, int]]:
    """Which files there are, how large, and when they were changed."""
    found: set[tuple[str, int, int]] = set()
    for folder in folders:
        for file in folder.rglob("*"):
            if file.suffix in _ENDINGS:
                try:
                    state = file.stat()
                except FileNotFoundError:
                    continue
                found.add((str(file), state.st_size, state.st_mtime_ns))
    return frozenset(found)
