"""An object of a bucket as a file that is read here and there, by ranges.

Used by `bucket` for what asks for a file: footers and first rows. Rows of the lake are read by
`engine.object_files`, which knows what comes next.
"""

import io
from typing import TYPE_CHECKING

import obstore

if TYPE_CHECKING:
    from obstore.store import S3Store


class ObjectReader(io.RawIOBase):
    """A file.

    Args:
        store: the bucket.
        key: of the object, which must be there.
    """

    def __init__(self, store: "S3Store", key: str) -> None:
        self._store, self._key = store, key
        self._size = obstore.head(store, key)["size"]
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go somewhere, which asks for nothing."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        """Read what fits, by one request."""
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        piece = obstore.get_range(self._store, self._key, start=self._at, length=length)
        buffer[:length] = memoryview(piece)
        self._at += length
        return length

    def readall(self) -> bytes:
        """Read what is left, by one request."""
        buffer = bytearray(max(self._size - self._at, 0))
        self.readinto(buffer)
        return bytes(buffer)
