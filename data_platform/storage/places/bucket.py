"""A lake below a prefix of a bucket, of S3 or of what speaks its protocol.

An object is there whole or not at all, so an upload that breaks off leaves nothing that anybody
sees; what the server keeps of an upload in parts, obstore takes back.
"""

import io
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

import obstore
from obstore.exceptions import AlreadyExistsError, GenericError

from data_platform.engine.object_store import (
    REQUEST_SECONDS,
    RETRIES,
    SCHEME,
    ObjectStore,
    split_url,
)
from data_platform.errors import SourceError, SourceUnavailable, StorageError, StorageUnavailable
from data_platform.spec.platform import S3Connection
from data_platform.storage.places.object_reader import ObjectReader
from data_platform.storage.places.place import FRESH, Found

if TYPE_CHECKING:
    from obstore import ObjectMeta

AT_ONCE = 12
"""Small files that are sent at the same time: each waits for the server, not for the line."""
HELD = 16 * 1024 * 1024
"""Bytes of small files that are on the way together: obstore holds each of them several times."""
PART = 8 * 1024 * 1024
"""Bytes above which a file is sent in parts of this size."""
PARTS_AT_ONCE = 8
"""Of one file: some 64 MB are held in memory."""
REMOVED_AT_ONCE = 1000
AHEAD = 256 * 1024
"""Bytes that are read of an object at least, where it is read here and there."""
GivenT = TypeVar("GivenT")
ResultT = TypeVar("ResultT")


class Bucket:
    """A prefix of a bucket.

    Args:
        url: `s3://bucket/prefix`.
        connection: with its secrets in place.
    """

    def __init__(self, url: str, connection: S3Connection) -> None:
        bucket, prefix = split_url(url)
        self.prefix = prefix.strip("/")
        self.url = f"{SCHEME}{bucket}/{self.prefix}".rstrip("/")
        self._connection = connection
        self.objects = ObjectStore(connection, bucket)

    def __str__(self) -> str:
        return self.url

    @property
    def storage_options(self) -> Mapping[str, str]:
        """How Delta reaches it; what the connection leaves out, the environment says."""
        connection, encryption = self._connection, self._connection.encryption
        by_service = encryption is not None and encryption.type == "aws:kms"
        written = {
            "AWS_ENDPOINT_URL": connection.endpoint_url,
            "AWS_REGION": connection.region,
            "AWS_ACCESS_KEY_ID": connection.access_key_id,
            "AWS_SECRET_ACCESS_KEY": connection.secret_access_key,
            "AWS_SERVER_SIDE_ENCRYPTION": encryption.type if encryption else None,
            "AWS_SSE_KMS_KEY_ID": encryption.key if encryption else None,
            "AWS_SSE_BUCKET_KEY_ENABLED": "true" if by_service else None,
            # Plain http is a matter of the endpoint, which a person names.
            "AWS_ALLOW_HTTP": "true",
            "timeout": f"{REQUEST_SECONDS}s",
            "connect_timeout": "10s",
            "max_retries": f"{RETRIES}",
            "retry_timeout": f"{2 * REQUEST_SECONDS}s",
        }
        return {name: value for name, value in written.items() if value}

    def table_uri(self, relative: str) -> str:
        """The same as of any file."""
        return self.path_of(relative)

    def path_of(self, relative: str) -> str:
        """`s3://bucket/prefix/...`."""
        return f"{self.url}/{relative}".rstrip("/")

    def adopt(self, file: Path, relative: str) -> int:
        """Send a file, unless an object of its name is there: that one is whole, and stays."""
        key, size = self._key(relative), file.stat().st_size
        with self.in_words(relative):
            if size <= PART and self._created(key, file):
                return size
            standing = self._found(key)
            if standing is not None:
                self._renew(key, standing)
                return standing["size"]
            obstore.put(
                self.objects.store, key, file, chunk_size=PART, max_concurrency=PARTS_AT_ONCE
            )
        return size

    def adopt_all(self, files: Sequence[tuple[Path, str]]) -> list[int]:
        """Small ones several at a time, then large ones in parts, several of them on the way."""
        small = [file for file in files if file[0].stat().st_size <= PART]
        largest = max((file[0].stat().st_size for file in small), default=0)
        done = _at_once(lambda given: self.adopt(*given), small, HELD // max(largest, 1))
        sizes = {relative: size for (_, relative), size in zip(small, done, strict=True)}
        return [
            sizes[relative] if relative in sizes else self.adopt(file, relative)
            for file, relative in files
        ]

    @contextmanager
    def open(self, path: str) -> Generator[BinaryIO]:
        """An object by its address, a MB at a time."""
        key = path.removeprefix(f"{self.objects.url}/")
        with self._in_words_of(key):
            yield cast("BinaryIO", io.BufferedReader(ObjectReader(self.objects.store, key), AHEAD))

    def read(self, relative: str) -> bytes | None:
        """A small object; None where there is none."""
        key = self._key(relative)
        with self.in_words(relative):
            try:
                return bytes(obstore.get(self.objects.store, key).bytes())
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    def read_all(self, relatives: Sequence[str]) -> Sequence[bytes | None]:
        """Several at a time."""
        return _at_once(self.read, relatives)

    def write(self, relative: str, content: bytes) -> None:
        """Put an object over what is there."""
        key = self._key(relative)
        with self.in_words(relative):
            obstore.put(self.objects.store, key, content, use_multipart=False)

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Several at a time."""
        _at_once(lambda given: self.write(*given), files)

    def list(self, below: str) -> Iterator[Found]:
        """All objects below a folder."""
        start = len(self.prefix) + 1 if self.prefix else 0
        with self.in_words(below):
            for batch in self.objects.list(self._key(below)):
                for found in batch:
                    yield Found(found.key[start:], found.bytes, found.modified)

    def remove(self, relatives: Iterable[str]) -> None:
        """Remove objects, up to a thousand by one request."""
        gone = list(relatives)
        keys = [self._key(relative) for relative in gone]
        for start in range(0, len(keys), REMOVED_AT_ONCE):
            with self.in_words(gone[start]):
                obstore.delete(self.objects.store, keys[start : start + REMOVED_AT_ONCE])

    def check(self) -> None:
        """See whether objects can be made, read and removed, and none is made twice.

        Raises:
            StorageError: they can't, or the server makes an object where one is: two who commit at
                the same moment would lose one of the commits.
        """
        relative = f"_check/{uuid.uuid4().hex}"
        key = self._key(relative)
        with self.in_words(relative):
            obstore.put(self.objects.store, key, b"", mode="create")
            try:
                obstore.put(self.objects.store, key, b"", mode="create")
            except AlreadyExistsError:
                pass
            else:
                raise StorageError(
                    f"{self.url}: the server makes an object where one is (it ignores "
                    "`If-None-Match: *`), and commits need to know: the lake can't be there"
                )
            finally:
                obstore.delete(self.objects.store, key)

    def _key(self, relative: str) -> str:
        return f"{self.prefix}/{relative}".strip("/")

    def _created(self, key: str, file: Path) -> bool:
        """Send a small file where nothing is: to ask before would be a request more."""
        try:
            obstore.put(self.objects.store, key, file, mode="create", use_multipart=False)
        except (AlreadyExistsError, GenericError):
            # One that breaks off isn't sent again where nothing may be: whoever asked looks first.
            return False
        return True

    def _found(self, key: str) -> "ObjectMeta | None":
        try:
            return obstore.head(self.objects.store, key)
        except FileNotFoundError:
            return None

    def _renew(self, key: str, standing: "ObjectMeta") -> None:
        """Make an object that stands one of now, by its own bytes: versions tell its size."""
        if datetime.now(UTC) - standing["last_modified"] < FRESH:
            return
        store = self.objects.store
        with obstore.open_writer(store, key, buffer_size=PART, max_concurrency=2) as writer:
            for piece in obstore.get(store, key).stream(PART):
                writer.write(piece)

    def in_words(self, relative: str) -> AbstractContextManager[None]:
        """Turn what the server says into an error of ours, without a key of anybody in it."""
        return self._in_words_of(self._key(relative))

    @contextmanager
    def _in_words_of(self, key: str) -> Generator[None]:
        try:
            with self.objects.in_words(key):
                yield
        except SourceUnavailable as error:
            raise StorageUnavailable(f"the lake: {error}") from error
        except SourceError as error:
            raise StorageError(f"the lake: {error}") from error


def _at_once(
    do: Callable[[GivenT], ResultT], given: Sequence[GivenT], most: int = AT_ONCE
) -> list[ResultT]:
    """Do something for many, several at a time; after one that failed no further one is begun."""
    if len(given) < 2:  # noqa: PLR2004 -- one needs no thread
        return [do(one) for one in given]
    with ThreadPoolExecutor(min(AT_ONCE, most, len(given))) as pool:
        try:
            return list(pool.map(do, given))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
