"""What the lake asks of the place where it is: a folder of this machine, or a prefix of a bucket.

Implemented beside it, used by `storage` and by whoever keeps small notes in the lake. Names are
relative to the lake's root, with `/` between their parts, whatever the place.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from data_platform.engine.object_store import ObjectStore

FRESH = timedelta(hours=12)
"""How long ago a file that was adopted may have been modified; vacuum waits twice as long."""


@dataclass(frozen=True)
class Found:
    """A file as its listing tells it.

    Attributes:
        relative: its name.
        bytes: of it.
        modified: aware.
    """

    relative: str
    bytes: int
    modified: datetime


class Place(Protocol):
    """Where the lake is.

    All methods raise StorageUnavailable where the place can't be reached and trying again may help,
    and StorageError where it can't hold or give what was asked.
    """

    @property
    def objects(self) -> "ObjectStore | None":
        """The bucket; None for a folder, which needs none to be read."""
        ...

    @property
    def storage_options(self) -> Mapping[str, str] | None:
        """How Delta reaches it: with its secrets, so never to be shown."""
        ...

    def table_uri(self, relative: str) -> str:
        """The address of a folder, as Delta and other readers take it."""
        ...

    def path_of(self, relative: str) -> str:
        """What DuckDB reads: a path of this machine, or `s3://bucket/prefix/...`."""
        ...

    def adopt(self, file: Path, relative: str) -> int:
        """Bring a file of scratch to its name, in one move; what is there already stays.

        Afterwards the file counts as modified within FRESH, also where it stayed, so that nobody
        who removes what no version names takes it away before it is committed.

        Returns:
            Its bytes there.
        """
        ...

    def adopt_all(self, files: Sequence[tuple[Path, str]]) -> list[int]:
        """The same for many files, several at a time where that helps."""
        ...

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A file to be read here and there, by its path as `path_of` gives it."""
        ...

    def read(self, relative: str) -> bytes | None:
        """A small file; None where there is none."""
        ...

    def read_all(self, relatives: Sequence[str]) -> Sequence[bytes | None]:
        """The same for many files, several at a time where that helps."""
        ...

    def write(self, relative: str, content: bytes) -> None:
        """Write a small file in one move: a reader sees what was there before, or this."""
        ...

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> None:
        """The same for many files, several at a time where that helps."""
        ...

    def list(self, below: str) -> Iterator[Found]:
        """All files below a folder, at any depth; none where there is no folder.

        Never on the way of the data: it grows with all that is there.
        """
        ...

    def remove(self, relatives: Iterable[str]) -> None:
        """Remove files; those that aren't there are no mistake."""
        ...

    def check(self) -> None:
        """See whether it can be reached and written to."""
        ...

    def in_words(self, relative: str) -> AbstractContextManager[None]:
        """Turn what a library says of the place into errors of ours."""
        ...
