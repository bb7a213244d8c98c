"""A lake in a folder of this machine.

Scratch lies below the same root, so that a file comes to its name by a move, which is atomic.
"""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from data_platform.errors import StorageError
from data_platform.storage.places.place import Found

TRIES = 10


class Folder:
    """A folder, there or not.

    Args:
        root: of the lake.
    """

    objects = None
    storage_options = None

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def __str__(self) -> str:
        return str(self.root)

    def table_uri(self, relative: str) -> str:
        """Begins with `file://`."""
        return (self.root / relative).as_uri()

    def path_of(self, relative: str) -> str:
        """A path."""
        return str(self.root / relative)

    def adopt(self, file: Path, relative: str) -> int:
        """Move a file of scratch to its name; what is there already stays."""
        target = self.root / relative
        with self._in_words(target):
            try:
                os.utime(target)
            except FileNotFoundError:
                _moved(file, target)
            return target.stat().st_size

    def adopt_all(self, files: Sequence[tuple[Path, str]]) -> list[int]:
        """One after the other: moves take no time."""
        return [self.adopt(file, relative) for file, relative in files]

    def read(self, relative: str) -> bytes | None:
        """A small file; None where there is none."""
        target = self.root / relative
        with self._in_words(target):
            try:
                return target.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, relative: str, content: bytes) -> None:
        """Write beside it, then move."""
        target = self.root / relative
        unseen = target.with_name(f".{os.getpid()}-{target.name}"[:200])
        with self._in_words(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            unseen.write_bytes(content)
            unseen.replace(target)

    def list(self, below: str) -> Iterator[Found]:
        """All files below a folder."""
        for folder, _, names in os.walk(self.root / below):
            for name in names:
                path = Path(folder, name)
                try:
                    known = path.stat()
                except FileNotFoundError:  # somebody removed it since
                    continue
                modified = datetime.fromtimestamp(known.st_mtime, UTC)
                yield Found(path.relative_to(self.root).as_posix(), known.st_size, modified)

    def remove(self, relatives: Iterable[str]) -> None:
        """Remove files, and folders that hold nothing any more."""
        for relative in relatives:
            target = self.root / relative
            with self._in_words(target):
                target.unlink(missing_ok=True)
            # One that holds something stays: nobody looks before, who could be wrong a moment later
            with suppress(OSError):
                for folder in target.parents:
                    if folder == self.root:
                        break
                    folder.rmdir()

    def check(self) -> None:
        """See whether files can be made in it."""
        with self._in_words(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise StorageError(f"{self.root}: nothing may be written there")

    @contextmanager
    def _in_words(self, target: Path) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"{target}: {error.strerror or error}") from error


def _moved(file: Path, target: Path) -> None:
    for _ in range(TRIES):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Somebody may just remove folders that hold nothing.
        with suppress(FileNotFoundError):
            file.rename(target)
            return
    file.rename(target)
