"""Files of the lake in a bucket, as DuckDB reads them: known by name and size, by ranges.

Registered by `engine.session` for a lake on S3. DuckDB decides which columns and row groups it
needs, asks for pieces of some MB from many threads at once, and keeps what it read within its limit
of memory; here each piece is one request, which ends as soon as the step does, and what goes wrong
is kept to be told in the platform's words. Nothing that wasn't named can be read, nothing written.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# fsspec comes without types.

import asyncio
import io
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import obstore
from fsspec import AbstractFileSystem

from data_platform.engine.object_store import ObjectStore, split_url
from data_platform.errors import (
    PermanentError,
    PlatformError,
    SourceUnavailable,
    StorageError,
    StorageUnavailable,
)

AT_ONCE = 32
"""Requests at the same time: each waits some ten milliseconds for S3's first byte."""
SETTINGS: Mapping[str, str] = {
    "async_threads": f"{AT_ONCE}",
    # A file's content never changes under its name.
    "validate_external_file_cache": "'NO_VALIDATION'",
    # What was read and has no room in memory any more lies on the disk, not behind the line.
    "external_file_cache_spill": "true",
}
"""Of DuckDB, where the lake is in a bucket."""

READ_WHOLE = 2 * 1024 * 1024
"""Bytes up to which DuckDB reads a file by one request."""
TAIL = 256 * 1024
"""Of a larger file's end, where its columns and row groups are told."""
POLL_SECONDS = 0.1
"""How often who waits for a request looks whether the step is to end."""
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Ahead:
    """The end of a file, asked for before DuckDB wants it."""

    start: int
    piece: "Future[bytes]"


class ObjectFiles(AbstractFileSystem):
    """The files of a bucket that a step was told of.

    Args:
        bucket: in which they are.
        go_on: raises where the step is to end.
    """

    protocol = "s3"
    cachable = False

    def __init__(self, bucket: ObjectStore, go_on: Callable[[], None]) -> None:
        super().__init__()
        self.failure: PlatformError | None = None
        """What went wrong since it was last set to None, in words."""
        self._bucket = bucket
        self._go_on = go_on
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._turns: dict[str, tuple[list[str], int]] = {}
        self._ahead: dict[str, _Ahead] = {}
        self._seen: set[str] = set()
        self._requests = _Requests()

    def know(self, sizes: Mapping[str, int], *, all_opened: bool = False) -> None:
        """Let files be read.

        Args:
            sizes: in bytes, by `s3://...`.
            all_opened: whether DuckDB looks at the end of each one before it reads any, one after
                the other: they are asked for ahead then.
        """
        with self._lock:
            self._sizes.update(sizes)
            if all_opened:
                order = [*sizes]
                self._turns |= {path: (order, turn) for turn, path in enumerate(order)}

    def close(self) -> None:
        """Give up whatever is on its way."""
        self._requests.end()

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """A piece of a file.

        Raises:
            StorageUnavailable: the server can't be reached, or the file isn't there any more.
            StorageError: it may not be read.
            PlatformError: the step is to end.
        """
        try:
            self._look_ahead(path)
            ahead = self._ahead.pop(path, None)
            if ahead is not None and ahead.start <= start:
                return self._waited(ahead.piece)[start - ahead.start : end - ahead.start]
            return self._waited(self._asked(path, start, end))
        except PlatformError as error:
            self.failure = self.failure or error
            raise

    def open(self, path: str, mode: str = "rb", **_: object) -> "ObjectFile":  # type: ignore[override]
        """A file to read.

        Raises:
            PermanentError: it may not be read, or it was to be written.
        """
        if mode != "rb":
            raise self._refused(f"{path}: nothing is written there but what is published")
        return ObjectFile(self, path, self.size(path))

    def size(self, path: str) -> int:
        """Of a file, in bytes."""
        try:
            return self._sizes[path]
        except KeyError:
            raise self._refused(f"{path}: no file that this step reads") from None

    def glob(self, path: str, **_: object) -> list[str]:  # type: ignore[override]
        """The file itself: there are no patterns, and their characters stand for themselves."""
        self.size(path)
        return [path]

    def exists(self, path: str, **_: object) -> bool:  # type: ignore[override]
        """Whether it may be read."""
        return path in self._sizes

    def isfile(self, path: str) -> bool:
        """The same."""
        return path in self._sizes

    def info(self, path: str, **_: object) -> dict[str, object]:
        """What is known of it."""
        return {"name": path, "size": self.size(path), "type": "file"}

    def modified(self, path: str) -> datetime:
        """The same for all: a file's content never changes under its name."""
        del path
        return _NEVER

    def _refused(self, text: str) -> PermanentError:
        self.failure = self.failure or PermanentError(text)
        return PermanentError(text)

    def _look_ahead(self, path: str) -> None:
        """Ask for the files that DuckDB opens next."""
        order, turn = self._turns.get(path, ((), 0))
        with self._lock:
            for other in order[turn + 1 : turn + 1 + AT_ONCE]:
                if other in self._seen:
                    continue
                self._seen.add(other)
                size = self._sizes[other]
                start = 0 if size <= READ_WHOLE else size - TAIL
                self._ahead[other] = _Ahead(start, self._asked(other, start, size))
            self._seen.add(path)

    def _asked(self, path: str, start: int, end: int) -> "Future[bytes]":
        return self._requests.submit(self._fetched(path, start, end))

    async def _fetched(self, path: str, start: int, end: int) -> bytes:
        _, key = split_url(path)
        try:
            with self._bucket.in_words(key):
                store = self._bucket.store
                try:
                    piece = await obstore.get_range_async(store, key, start=start, end=end)
                except FileNotFoundError as error:
                    if "NoSuchBucket" in str(error):
                        raise
                    piece = b""
        except SourceUnavailable as error:
            raise StorageUnavailable(f"the lake: {error}") from None
        except PermanentError as error:
            raise StorageError(f"the lake: {error}") from None
        if len(piece) != end - start:
            raise StorageUnavailable(f"{path} was removed while it was read: run it again")
        return bytes(piece)

    def _waited(self, piece: "Future[bytes]") -> bytes:
        while True:
            try:
                return piece.result(POLL_SECONDS)
            except TimeoutError:
                self._look_for_end(piece)

    def _look_for_end(self, piece: "Future[bytes]") -> None:
        try:
            self._go_on()
            if self._requests.ended:
                raise StorageUnavailable("the step is over")
        except PlatformError:
            piece.cancel()
            raise


class ObjectFile(io.RawIOBase):
    """One file, open.

    Args:
        files: through which it is read.
        path: of it.
        size: in bytes.
    """

    def __init__(self, files: ObjectFiles, path: str, size: int) -> None:
        self._files, self._path, self._size = files, path, size
        # DuckDB reads one open file from many threads, each seeking just before it reads.
        self._positions: dict[int, int] = {}

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte, in this thread."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        self._positions[threading.get_ident()] = begin + offset
        return begin + offset

    def tell(self) -> int:
        """Where this thread is."""
        return self._positions.get(threading.get_ident(), 0)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, in this thread."""
        start = self.tell()
        end = self._size if size < 0 else min(start + size, self._size)
        if end <= start:
            return b""
        piece = self._files.read_range(self._path, start, end)
        self.seek(end)
        return piece


class _Requests:
    """A thread that waits for all requests of a session; it is begun by the first one."""

    def __init__(self) -> None:
        self.ended = False
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()

    def submit(self, request: Coroutine[Any, Any, bytes]) -> "Future[bytes]":
        """Begin one."""
        with self._lock:
            if self._loop is None:
                begun: Future[asyncio.AbstractEventLoop] = Future()
                # A daemon: what hangs in the network must not keep a process that is to end.
                threading.Thread(
                    target=lambda: asyncio.run(self._until_over(begun)),
                    name="requests to the lake",
                    daemon=True,
                ).start()
                self._loop = begun.result()
            return asyncio.run_coroutine_threadsafe(request, self._loop)

    def end(self) -> None:
        """Give up whatever is on its way."""
        with self._lock:
            self.ended = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._over.set)

    async def _until_over(self, begun: "Future[asyncio.AbstractEventLoop]") -> None:
        begun.set_result(asyncio.get_running_loop())
        await self._over.wait()
