"""A disk of a test's own, that can really be full: ext4 in a file, mounted on a folder."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BYTES = 3 * 10**9
"""More than what must be free on any disk lest it be red. The file takes what is written alone."""


@contextmanager
def small_disk(image: Path, folder: Path) -> Iterator[Path]:
    """Mount an empty disk on a folder until the block ends; skips the test where that is refused.

    Args:
        image: the file that is to hold it.
        folder: where it is mounted; made here.
    """
    with image.open("wb") as file:
        file.truncate(_BYTES)
    folder.mkdir()
    _do("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
    _do("mount", "-o", "loop", str(image), str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(file: Path, *, but: int = 0) -> None:
    """Let a file take the room that its disk has left.

    Args:
        file: on the disk.
        but: how many bytes stay free, as well as that can be told.
    """
    with file.open("wb") as opened:
        size, piece = 0, _BYTES
        while piece >= os.statvfs(file.parent).f_bsize:
            try:
                os.posix_fallocate(opened.fileno(), size, piece)
                size += piece
            except OSError:
                piece //= 2
        opened.truncate(max(size - but, 0))


def _do(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"needs a disk of its own: {error}")
    if done.returncode:
        pytest.skip(f"needs a disk of its own: {done.stderr.strip()}")
