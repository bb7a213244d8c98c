"""Folders for files that nobody reads yet.

Called by whoever writes; a folder lives no longer than the step that made it, and what a killed
process left behind is removed by the next one.
"""

import os
import shutil
import socket
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

CLOCK_SECONDS = 10
"""By how much a process's start may seem to move."""

ABANDONED_SECONDS = 7 * 86_400
"""The age of another machine's folder from which nobody can be at work in it any more."""


@contextmanager
def scratch_folder(root: Path) -> Generator[Path]:
    """A new empty folder under `root`, removed at the end whatever happens.

    Args:
        root: all scratch of one lake; made when missing.
    """
    root.mkdir(parents=True, exist_ok=True)
    remove_abandoned(root)
    owner = f"{os.getpid()}-{_started(os.getpid())}-{socket.gethostname()}"
    folder = root / f"{owner}-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(root: Path) -> None:
    """Remove the folders of processes of this machine that are gone, and old ones of others."""
    for folder in root.iterdir() if root.is_dir() else ():
        pid, _, rest = folder.name.partition("-")
        started, _, rest = rest.partition("-")
        if not (pid.isdigit() and started.isdigit()):
            continue
        if rest.rpartition("-")[0] == socket.gethostname():
            # A clock that was set moves the start of a process with it.
            gone = abs(_started(int(pid)) - int(started)) > CLOCK_SECONDS
        else:
            gone = _age(folder) > ABANDONED_SECONDS
        if gone:
            shutil.rmtree(folder, ignore_errors=True)


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return 0


def _started(pid: int) -> int:
    """When a process began, in seconds; 0 where there is none: a number may be given out again."""
    try:
        return int(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0
