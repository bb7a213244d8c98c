"""A lake in a folder of this machine.

Scratch lies below the same root, so that a file comes to its name by a move, which is atomic.
"""

import os
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

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
        with self.in_words(relative):
            try:
                os.utime(target)
            except FileNotFoundError:
                _moved(file, target)
            return target.stat().st_size

    def adopt_all(self, files: Sequence[tuple[Path, str]]) -> list[int]:
        """One after the other: moves take no time, least of all where a whole folder moves."""
        together = Counter(file.parent for file, _ in files)
        sizes: list[int] = []
        for file, relative in files:
            target = self.root / relative
            with self.in_words(relative):
                moved = together[file.parent] == 1 and _moved_with_folder(file, target)
            sizes.append(target.stat().st_size if moved else self.adopt(file, relative))
        return sizes

    @contextmanager
    def open(self, path: str) -> Generator[BinaryIO]:
        """A file by its path."""
        with self.in_words(path), Path(path).open("rb") as opened:
            yield opened

    def read(self, relative: str) -> bytes | None:
        """A small file; None where there is none."""
        target = self.root / relative
        with self.in_words(relative):
            try:
                return target.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def read_all(self, relatives: Sequence[str]) -> Sequence[bytes | None]:
        """One after the other."""
        return [self.read(relative) for relative in relatives]

    def write(self, relative: str, content: bytes) -> None:
        """Write beside it, then move."""
        target = self.root / relative
        unseen = target.with_name(f".{os.getpid()}-{target.name}"[:200])
        with self.in_words(relative):
            target.parent.mkdir(parents=True, exist_ok=True)
            unseen.write_bytes(content)
            unseen.replace(target)

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> None:
        """One after the other."""
        for relative, content in files:
            self.write(relative, content)

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
            with self.in_words(relative):
                target.unlink(missing_ok=True)
            # One that holds something stays: nobody looks before, who could be wrong a moment later
            with suppress(OSError):
                for folder in target.parents:
                    if folder == self.root:
                        break
                    folder.rmdir()

    def check(self) -> None:
        """See whether files can be made in it."""
        with self.in_words(""):
            self.root.mkdir(parents=True, exist_ok=True)
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise StorageError(f"{self.root}: nothing may be written there")

    @contextmanager
    def in_words(self, relative: str) -> Generator[None]:
        """Turn what the file system says into an error of ours."""
        try:
            yield
        except OSError as error:
            about = error.strerror or str(error)
            raise StorageError(f"{self.root / relative}: {about}") from error


def _moved(file: Path, target: Path) -> None:
    for _ in range(TRIES):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Somebody may just remove folders that hold nothing.
        with suppress(FileNotFoundError):
            file.rename(target)
            return
    file.rename(target)


def _moved_with_folder(source: Path, target: Path) -> bool:
    """Move a partition's folder in scratch as it is, where the table has none for the partition.

    On ext4 making and removing folders costs more than writing the small file in them.
    """
    if source.parent.name != target.parent.name or target.parent.exists():
        return False
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    named = source.with_name(target.name)
    source.rename(named)
    try:
        source.parent.rename(target.parent)
    except OSError:  # somebody else made it in between, with files in it
        named.rename(source)
        return False
    return True
