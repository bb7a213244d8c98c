"""Rows on their way to Redshift: Parquet files in a folder of a bucket, and their list.

Used by `loading` while it holds the lock of its table, so that nobody else is in the folder: what
a load left that broke off is removed by the next one.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

import json
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from data_platform.engine.object_store import SCHEME, ObjectStore, split_url
from data_platform.engine.work import Work
from data_platform.errors import SourceError, SourceUnavailable, StorageError, StorageUnavailable
from data_platform.spec.platform import S3Connection

PART_BYTES = 32 * 1024 * 1024
"""Of rows in memory that one file holds, some MB of it: each slice of Redshift reads files of its
own, and AWS asks for 1 MB to 1 GB."""
UNDER_WAY = 4
"""Files that are sent at once; one more is being written."""
REMOVED_AT_ONCE = 1000


@dataclass(frozen=True)
class Staged:
    """What was laid into the folder.

    Attributes:
        manifest: the address of the list of files; None where there are no rows.
        rows: of all files.
    """

    manifest: str | None
    rows: int


class Stage:
    """The folder of one table of one database.

    Args:
        address: `s3://bucket/folder`, or a folder of the connection's bucket.
        connection: with its secrets in place.
        name: of the table's own folder in it.
    """

    def __init__(self, address: str, connection: S3Connection, name: str) -> None:
        bucket, folder = split_url(address) if address.startswith(SCHEME) else (None, address)
        with _in_words():
            self._objects = ObjectStore(connection, bucket)
        self.folder = f"{folder.strip('/')}/{name}"

    def clear(self) -> None:
        """Remove all that lies in the folder."""
        with _in_words():
            found = [one.key for batch in self._objects.list(self.folder) for one in batch]
        for start in range(0, len(found), REMOVED_AT_ONCE):
            with _in_words(), self._objects.in_words(self.folder):
                obstore.delete(self._objects.store, found[start : start + REMOVED_AT_ONCE])

    def lay(self, rows: pa.RecordBatchReader, scratch: Path, work: Work) -> Staged:
        """Lay rows into files, and list these.

        Args:
            rows: read once; what is in memory of them is some files.
            scratch: a folder, empty.
            work: by which it is ended from outside.
        """
        files: list[tuple[str, int]] = []
        counted = 0
        waiting: list[Future[None]] = []
        with ThreadPoolExecutor(UNDER_WAY) as pool:
            try:
                for path, count in _parts(rows, scratch):
                    work.go_on()
                    key = f"{self.folder}/part-{len(files):05}.parquet"
                    files.append((key, path.stat().st_size))
                    counted += count
                    waiting.append(pool.submit(self._send, key, path))
                    if len(waiting) >= UNDER_WAY:
                        waiting.pop(0).result()
                for one in waiting:
                    one.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return Staged(self._list(files) if files else None, counted)

    def _send(self, key: str, path: Path) -> None:
        with _in_words(), self._objects.in_words(key):
            obstore.put(self._objects.store, key, path)
        path.unlink()

    def _list(self, files: list[tuple[str, int]]) -> str:
        """A manifest of COPY: its files are mandatory, and of the size that is told."""
        entries = [
            {
                "url": f"{self._objects.url}/{key}",
                "mandatory": True,
                "meta": {"content_length": size},
            }
            for key, size in files
        ]
        key = f"{self.folder}/manifest.json"
        content = json.dumps({"entries": entries}).encode()
        with _in_words(), self._objects.in_words(key):
            obstore.put(self._objects.store, key, content, use_multipart=False)
        return f"{self._objects.url}/{key}"


def _parts(rows: pa.RecordBatchReader, scratch: Path) -> Iterator[tuple[Path, int]]:
    """Files of rows, each told with how many it holds; none where there are no rows."""
    schema = pa.schema([(column.name, _staged_type(column.type)) for column in rows.schema])
    held: list[pa.RecordBatch] = []
    size = number = 0
    for batch in rows:
        if not batch.num_rows:
            continue
        held.append(batch)
        size += batch.nbytes
        if size >= PART_BYTES:
            yield _written(held, schema, scratch / f"{number}.parquet")
            held, size, number = [], 0, number + 1
    if held:
        yield _written(held, schema, scratch / f"{number}.parquet")


def _written(batches: list[pa.RecordBatch], schema: pa.Schema, path: Path) -> tuple[Path, int]:
    table = pa.Table.from_batches(batches).cast(schema)
    # Of times Redshift reads surely only those of 96 bits, as Spark writes them.
    pq.write_table(
        table, path, compression="snappy", use_deprecated_int96_timestamps=True, version="1.0"
    )
    return path, table.num_rows


def _staged_type(kind: pa.DataType) -> pa.DataType:
    """The type in which a column is laid down, which is that of the column that it fills."""
    if kinds.is_int8(kind):
        return pa.int16()
    if kinds.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp("us")
    return kind


@contextmanager
def _in_words() -> Generator[None]:
    try:
        yield
    except SourceUnavailable as error:
        raise StorageUnavailable(f"the stage: {error}") from error
    except SourceError as error:
        raise StorageError(f"the stage: {error}") from error
