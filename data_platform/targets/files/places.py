"""Where files are put: a folder of this machine, or a bucket. A file is there whole or not at all.

Used by `delivering`. What is there already is replaced in one step, so that a reader has the old
file or the new one; what an upload left that broke off is nothing that anybody sees.
"""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

import obstore

from data_platform.engine.object_store import SCHEME, ObjectStore, split_url
from data_platform.engine.outside import Outside
from data_platform.errors import SourceError, SourceUnavailable, StorageError, StorageUnavailable
from data_platform.plan.destinations.kinds import FileTarget
from data_platform.spec.platform import S3Connection

PART = 8 * 1024 * 1024
"""Bytes above which a file is sent in parts of this size."""
PARTS_AT_ONCE = 8
"""Of one file: they are held in memory."""
_PASSING = frozenset({"EIO", "ESTALE", "ETIMEDOUT", "EAGAIN", "EBUSY", "ENETDOWN", "EHOSTDOWN"})
"""Errors of a file system that is elsewhere and may be back."""


class Place(Protocol):
    """Files by their whole names, as `FileTarget.path` gives them when it is filled.

    All methods raise StorageUnavailable where trying again may help, and StorageError where the
    place can't hold or give what was asked.
    """

    def put(self, file: Path, name: str) -> str:
        """Put a copy of a file in place of what is there.

        Returns:
            The mark by which the place tells it from another one of its size.
        """
        ...

    def stands(self, name: str, bytes_: int, mark: str, sha256: str) -> bool:
        """Whether a file is still the one that was put; as cheap as the place allows."""
        ...

    def read(self, name: str) -> bytes | None:
        """A small file; None where there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Put a small file in place of what is there."""
        ...


def place_of(target: FileTarget, outside: Outside) -> Place:
    """Where the files of a target are.

    Raises:
        StorageError: the connection has another bucket.
    """
    if not target.path.startswith(SCHEME):
        return Folder()
    bucket, _ = split_url(target.path)
    connection = S3Connection(type="s3")
    if target.connection is not None:
        named = outside.connection(target.connection)
        assert isinstance(named, S3Connection)  # noqa: S101 -- the plan has seen to it
        connection = named
    if connection.bucket not in {None, bucket}:
        raise StorageError(
            f"{target.path}: the connection {target.connection} has the bucket {connection.bucket}"
        )
    return Bucket(ObjectStore(connection, bucket))


class Folder:
    """Any folder of this machine, made where it is missing."""

    def put(self, file: Path, name: str) -> str:
        """Copy it beside, make sure that it is on the disk, and rename it."""
        with _on_disk(name), file.open("rb") as source:
            mark = self._replace(Path(name), source)
            _sync_folder(Path(name).parent)
            return mark

    def stands(self, name: str, bytes_: int, mark: str, sha256: str) -> bool:
        """By size and time of change; where only the time is another, by its content."""
        with _on_disk(name):
            try:
                known = os.stat(name)  # noqa: PTH116 -- some hundred of them
            except (FileNotFoundError, NotADirectoryError):
                return False
            if known.st_size != bytes_:
                return False
            # Whoever restores or copies a folder changes times, and nothing else.
            return f"{known.st_mtime_ns}" == mark or _sha256(Path(name)) == sha256

    def read(self, name: str) -> bytes | None:
        """None where there is none."""
        with _on_disk(name):
            try:
                return Path(name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, content: bytes) -> None:
        """Renamed like a file; one that a power cut takes away again is put by the next run."""
        with _on_disk(name):
            self._replace(Path(name), content)

    def _replace(self, target: Path, content: BinaryIO | bytes) -> str:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _unseen(target) as (unseen, path):
            if isinstance(content, bytes):
                unseen.write(content)
            else:
                shutil.copyfileobj(content, unseen, 1024 * 1024)
                unseen.flush()
                os.fsync(unseen.fileno())
            unseen.flush()
            with suppress(FileNotFoundError):
                shutil.copymode(target, path)
            mark = f"{os.fstat(unseen.fileno()).st_mtime_ns}"
            path.replace(target)
        return mark


class Bucket:
    """A bucket; names are whole `s3://` addresses in it."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def put(self, file: Path, name: str) -> str:
        """In one request, or in parts that are made one object at the end."""
        size = file.stat().st_size
        with self._in_words(name) as key:
            result = obstore.put(
                self._objects.store,
                key,
                file,
                use_multipart=size > PART,
                chunk_size=PART,
                max_concurrency=PARTS_AT_ONCE,
            )
        return result["e_tag"] or ""

    def stands(self, name: str, bytes_: int, mark: str, sha256: str) -> bool:  # noqa: ARG002
        """By size and ETag, which is another one where somebody put another object."""
        with self._in_words(name) as key:
            try:
                known = obstore.head(self._objects.store, key)
            except FileNotFoundError:
                return False
        return known["size"] == bytes_ and (known["e_tag"] or "") == mark

    def read(self, name: str) -> bytes | None:
        """None where there is none."""
        with self._in_words(name) as key:
            try:
                return bytes(obstore.get(self._objects.store, key).bytes())
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    def write(self, name: str, content: bytes) -> None:
        """In one request."""
        with self._in_words(name) as key:
            obstore.put(self._objects.store, key, content, use_multipart=False)

    @contextmanager
    def _in_words(self, name: str) -> Generator[str]:
        _, key = split_url(name)
        try:
            with self._objects.in_words(key):
                yield key
        except SourceUnavailable as error:
            raise StorageUnavailable(str(error)) from error
        except SourceError as error:
            raise StorageError(str(error)) from error


@contextmanager
def _unseen(target: Path) -> Generator[tuple[BinaryIO, Path]]:
    """A new empty file beside the one that it is to be, held by one writer at a time.

    Its name is always the same, so that what a killed process left is written over.
    """
    path = target.with_name(f".{target.name}.part")
    while True:
        # Not by `open`: what another one is writing must not be cut before it is ours.
        number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        with os.fdopen(number, "wb") as file:
            fcntl.flock(number, fcntl.LOCK_EX)
            try:
                same = os.path.samestat(os.fstat(number), path.stat())
            except FileNotFoundError:
                same = False
            if not same:  # the one before us has renamed it
                continue
            file.truncate(0)
            try:
                yield file, path
            except BaseException:
                with suppress(OSError):
                    path.unlink()
                raise
            return


def _sync_folder(folder: Path) -> None:
    """Make a rename last: it is in the folder, not in the file."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _on_disk(name: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        text = f"{name}: {error.strerror or error}"
        passing = errno.errorcode.get(error.errno or 0) in _PASSING
        raise (StorageUnavailable if passing else StorageError)(text) from error
