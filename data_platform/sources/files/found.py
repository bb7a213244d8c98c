"""A file of a source: as it was found, as it was taken, and why it can't be read.

Shared by the modules beside it.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from data_platform.engine.object_store import StoredObject


@dataclass(frozen=True)
class Found:
    """A file that the path of a source names.

    Attributes:
        name: for people: its path, or its `s3://` address.
        bytes: of it.
        modified: when it was changed; aware.
        mark: another one where its content may be another one: time in nanoseconds, or ETag.
        path: where it is; None where it has to be fetched.
        stored: the object, where it is one.
    """

    name: str
    bytes: int
    modified: datetime
    mark: str
    path: Path | None = None
    stored: StoredObject | None = None


@dataclass(frozen=True)
class Taken:
    """A file that was read once for its checksum, and is to be read for its rows.

    Attributes:
        found: which.
        path: where DuckDB reads it: in its place or in scratch.
        checksum: SHA-256 of its bytes, in hexadecimal digits.
        compression: of what is at `path`, in DuckDB's words.
        columns: of a CSV file.
        copy: where its bytes are as they came; None means at `path`.
    """

    found: Found
    path: str
    checksum: str
    compression: str = "none"
    columns: tuple[str, ...] = ()
    copy: Path | None = None


@dataclass(frozen=True)
class Bad:
    """A file that can't be read.

    Attributes:
        found: which.
        checksum: as `Taken` has it.
        reason: in words, with the line where there is one.
        copy: where its bytes are.
    """

    found: Found
    checksum: str
    reason: str
    copy: Path


class BadFileError(Exception):
    """Why one file can't be read; its text is meant for a person."""
