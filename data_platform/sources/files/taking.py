"""Read a file once: for its checksum, to see that it is whole, and into scratch where it must be.

Called by `arriving` beside it. An object of S3 and text that isn't UTF-8 come to lie in scratch;
what DuckDB can read as it is stays in its place. DuckDB takes a zstd file that was cut for a whole
one and doesn't look at gzip's checksum: compressed files are unpacked here on the way.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types.

import codecs
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO, cast

from data_platform.engine.object_store import ObjectStore
from data_platform.engine.work import Work
from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.sources.file_paths import compression_of
from data_platform.plan.sources.kinds import Files
from data_platform.sources.files.csv_headers import HEADER_BYTES, header_of, short_lines
from data_platform.sources.files.found import Bad, BadFileError, Found, Taken

CHUNK = 1024 * 1024
AT_ONCE = 4
"""Files that are read at the same time: objects of S3 take their time to begin."""
_READ_AS_IT_IS = frozenset({"utf-8"})
_GLOB = re.compile(r"[*?\[\]{}\\]")
"""What DuckDB may take for a glob in the name of a file."""


@dataclass(frozen=True)
class Taker:
    """Takes the files of one source.

    Attributes:
        source: which.
        store: its bucket; None where the files are on this machine.
        folder: in scratch, there.
        work: which may end it, and where bytes are counted.
    """

    source: Files
    store: ObjectStore | None
    folder: Path
    work: Work

    def take(self, files: Sequence[Found]) -> list[Taken | Bad]:
        """Take files, in their order.

        Raises:
            SourceError: a file may not be read.
            SourceUnavailable: the bucket's server can't be reached, or a file went away.
        """
        counting = Lock()

        def one(number: int, file: Found) -> Taken | Bad:
            self.work.go_on()
            taken = self._take(number, file)
            with counting:
                self.work.count(bytes_=file.bytes)
            return taken

        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                return list(pool.map(one, range(len(files)), files))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _take(self, number: int, file: Found) -> Taken | Bad:
        endings = "".join(Path(file.name).suffixes[-2:]).lower()
        kept = self.folder / f"{number}{re.sub('[^a-z0-9.]', '', endings)}"
        # DuckDB may read the folder of the files, not where a link leads to.
        fetched = file.path is None or file.path.is_symlink()
        raw = kept.open("wb") if fetched else None
        hashed = _Hashed(self._pieces(file), raw)
        place = kept if fetched or file.path is None else file.path
        try:
            return self._look(hashed, file, place, kept)
        except BadFileError as bad:
            hashed.drain()
            return Bad(file, hashed.checksum, str(bad), place)
        finally:
            if raw is not None:
                raw.close()

    def _look(self, hashed: "_Hashed", file: Found, place: Path, kept: Path) -> Taken:
        if file.bytes == 0:
            raise BadFileError("it has no bytes")
        compression, copy = compression_of(file.name), place
        source = self.source
        encoding = codecs.lookup(source.csv.encoding).name if source.format == "csv" else "utf-8"
        again = encoding not in _READ_AS_IT_IS or (
            source.format == "parquet" and compression != "none"
        )
        chunks = _unpacked(hashed, compression)
        if again:
            place, compression = kept.with_name(f"{kept.name}.plain"), "none"
            chunks = _written(_in_utf8(chunks, encoding), place)
        elif file.path is not None and _GLOB.search(str(place)):
            place = self._linked(place, kept)
        head = _head(short_lines(chunks) if source.format == "csv" else chunks)
        hashed.drain()
        columns = header_of(head, source.csv) if source.format == "csv" else ()
        return Taken(file, str(place), hashed.checksum, compression, columns, copy)

    @staticmethod
    def _linked(place: Path, kept: Path) -> Path:
        link = kept.with_name(f"{kept.name}.link")
        link.symlink_to(place)
        return link

    def _pieces(self, file: Found) -> Iterator[bytes]:
        if file.stored is not None and self.store is not None:
            for piece in self.store.pieces(file.stored):
                self.work.go_on()
                yield piece
            return
        try:
            with open(file.name, "rb", buffering=0) as opened:  # noqa: PTH123 -- thousands of them
                while piece := opened.read(CHUNK):
                    self.work.go_on()
                    yield piece
        except FileNotFoundError as error:
            raise SourceUnavailable(f"{file.name} went away before it was read") from error
        except OSError as error:
            raise SourceError(f"{file.name} can't be read: {error.strerror}") from error


class _Hashed(io.RawIOBase):
    """The bytes of a file as they come, hashed, and kept where they are to be."""

    def __init__(self, pieces: Iterator[bytes], kept: BinaryIO | None) -> None:
        self._pieces = pieces
        self._kept = kept
        self._rest = memoryview(b"")
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        if not self._rest:
            piece = self.piece()
            if not piece:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def piece(self) -> bytes:
        piece = next(self._pieces, b"")
        self._hash.update(piece)
        if self._kept is not None:
            self._kept.write(piece)
        return piece

    def drain(self) -> None:
        """Read what nobody asked for: the checksum is of the whole file."""
        while self.piece():
            pass

    @property
    def checksum(self) -> str:
        return self._hash.hexdigest()


def _unpacked(hashed: _Hashed, compression: str) -> Iterator[bytes]:
    """The bytes, unpacked.

    Raises:
        BadFileError: they are cut, or damaged.
    """
    if compression == "none":
        while piece := hashed.piece():
            yield piece
        return
    buffered = io.BufferedReader(hashed, CHUNK)
    stream = cast("BinaryIO", gzip.GzipFile(fileobj=buffered))
    broken: tuple[type[Exception], ...] = (EOFError, zlib.error, OSError)
    if compression == "zstd":
        # Imported here: where definitions load, it would take longer than all else.
        import pyarrow as pa  # noqa: PLC0415

        packed = pa.PythonFile(buffered, mode="r")
        stream = cast("BinaryIO", pa.CompressedInputStream(packed, "zstd"))
        broken = (*broken, pa.ArrowException)
    try:
        while piece := stream.read(CHUNK):
            yield piece
    except broken as error:
        raise BadFileError(f"it is no whole {compression} file: {_first_line(error)}") from error


def _in_utf8(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Text of another encoding, in UTF-8 without a mark at its begin."""
    if encoding in _READ_AS_IT_IS:
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    lines, begin = 1, True
    for chunk, last in _with_last(chunks):
        try:
            text = decoder.decode(chunk, final=last)
        except UnicodeError as error:
            raise BadFileError(f"after line {lines}: it isn't {encoding}: {error}") from error
        if begin and text:
            text, begin = text.removeprefix("\ufeff"), False
        lines += text.count("\n")
        yield text.encode()


def _with_last(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    for chunk in chunks:
        yield chunk, False
    yield b"", True


def _written(chunks: Iterator[bytes], path: Path) -> Iterator[bytes]:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            yield chunk


def _head(chunks: Iterator[bytes]) -> bytes:
    """How a file begins; all of it is read."""
    head = b""
    for chunk in chunks:
        if len(head) < HEADER_BYTES:
            head += chunk[: HEADER_BYTES - len(head)]
    return head


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
