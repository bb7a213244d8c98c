"""Folders for files that nobody reads yet.

Called by whoever writes; a folder lives no longer than the step that made it, and what a killed
process left behind is removed by the next one.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """A new empty folder under `root`, removed at the end whatever happens.

    Args:
        root: all scratch of one lake; made when missing.
    """
    root.mkdir(parents=True, exist_ok=True)
    remove_abandoned(root)
    folder = root / f"{os.getpid()}-{_started(os.getpid())}-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(root: Path) -> None:
    """Remove the folders of processes of this machine that are gone."""
    for folder in root.iterdir() if root.is_dir() else ():
        pid, _, rest = folder.name.partition("-")
        if pid.isdigit() and _started(int(pid)) != int(rest.partition("-")[0] or 0):
            shutil.rmtree(folder, ignore_errors=True)


def _started(pid: int) -> int:
    """When a process began, in seconds; 0 where there is none: a number may be given out again."""
    try:
        return int(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0
