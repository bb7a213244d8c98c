"""Folders for servers of the tests' own, which other users may enter: none may run as root.

They are in memory where there is room: a database is made of 400 files, which takes PostgreSQL
four times as long on a disk. What a killed run left there is removed by the next one.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes that must be free in it; a whole run needs less than one GB."""
YOUNG_SECONDS = 60
"""A folder that was made just now may be about to be used."""
_PREFIX = "dp-tests-"


@contextmanager
def folder_for_servers() -> Iterator[Path]:
    """An empty folder, removed afterwards."""
    # Not below pytest's own temporary folder: no other user may enter that.
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_memory()))
    folder.chmod(0o755)
    used = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(used, fcntl.LOCK_SH)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(used)


def remove_what_was_left() -> None:
    """Give back the memory of runs that were killed: folders that no process uses."""
    for folder in MEMORY.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime < YOUNG_SECONDS:
                continue
            used = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(used)


def _memory() -> Path | None:
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM
    return MEMORY if roomy and os.access(MEMORY, os.W_OK | os.X_OK) else None
