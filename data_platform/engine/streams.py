"""Batches that DuckDB reads while they come, whose errors stay what they are.

Used by what reads a source and by what reads a destination's table back: an error in the midst of
a stream would come out of DuckDB as one of DuckDB's own.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa


class TellingStream:
    """Batches as Arrow's reader; what goes wrong in them is kept for `telling`.

    Args:
        schema: of the batches.
        batches: asked one at a time, when they are read.
    """

    def __init__(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        self._failure: Exception | None = None
        self.reader = pa.RecordBatchReader.from_batches(schema, self._kept(batches))

    def _kept(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except Exception as error:
            self._failure = error
            raise

    @contextmanager
    def telling(self) -> Generator[None]:
        """What went wrong in here, in place of what was made of it."""
        try:
            yield
        except Exception as error:
            if self._failure is None or error is self._failure:
                raise
            raise self._failure from None
