"""Files that somebody may still be writing: wait until they have stood still.

Called by `arriving` beside it, for files of this machine; an object of S3 is whole or isn't there.
"""

import logging
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from data_platform.engine.work import Work
from data_platform.errors import SourceUnavailable
from data_platform.sources.files.finding import look_at
from data_platform.sources.files.found import Found

_log = logging.getLogger("dagster.data_platform.files")
_PATIENCE = 10
"""Times `settle` that a file is waited for that doesn't stop growing."""
_LOOK = 1.0
"""Seconds between two looks, at most."""
_NAMED = 3


def settled(files: Sequence[Found], settle: float, scratch: Path, work: Work) -> list[Found]:
    """The files as they are when each has stood still for `settle` seconds.

    A file stands still since its modification time, by the clock of the file system. Where that is
    in the future or the clock jumps, it is as long as it was seen unchanged.

    Args:
        files: as they were found.
        settle: in seconds.
        scratch: where a file tells the clock of the file system.
        work: which ends the waiting.

    Raises:
        SourceUnavailable: a file went away, or doesn't stop growing.
    """
    waiting = {file.name: file for file in files}
    begun = time.monotonic()
    since = dict.fromkeys(waiting, begun)
    told = False
    stop = threading.Event()
    with work.stoppable(stop.set):
        while left := _left(waiting, since, settle, scratch):
            if not told:
                _tell(left, settle)
                told = True
            if time.monotonic() - begun > _PATIENCE * settle:
                raise SourceUnavailable(
                    f"{next(iter(left))} is still being written to: it doesn't stand still for "
                    f"{settle:g} s; see `settle`"
                )
            stop.wait(min(_LOOK, max(left.values()), settle))
            work.go_on()
            for name in left:
                now = look_at(name)
                if now is None:
                    raise SourceUnavailable(f"{name} went away while it was waited for")
                if (now.bytes, now.mark) != (waiting[name].bytes, waiting[name].mark):
                    waiting[name], since[name] = now, time.monotonic()
    return list(waiting.values())


def _left(
    files: dict[str, Found], since: dict[str, float], settle: float, scratch: Path
) -> dict[str, float]:
    """How many seconds each file has still to stand, without those that have."""
    if settle <= 0:
        return {}
    clock, now = _clock_of(scratch), time.monotonic()
    left: dict[str, float] = {}
    for name, file in files.items():
        age = clock - file.modified.timestamp()
        still = max(age, now - since[name])
        if still < settle:
            left[name] = settle - still
    return left


def _clock_of(folder: Path) -> float:
    """What time it is where files get their times."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        return Path(file.name).stat().st_mtime


def _tell(left: dict[str, float], settle: float) -> None:
    named = ", ".join(Path(name).name for name in list(left)[:_NAMED])
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    _log.info(
        "%s%s changed less than %g s ago: waiting %.0f s for them to stand still",
        named, more, settle, max(left.values()),
    )  # fmt: skip
