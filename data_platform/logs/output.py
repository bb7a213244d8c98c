"""What a command prints and what is raised, without secrets.

Called by `terminal.commands` for all commands but those that print rows of tables, which must be
what they are, and by `definitions`, whose errors Dagster shows by itself.
"""

import sys
import traceback
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, TextIO, cast

from data_platform.errors import PermanentError
from data_platform.secrets.masker import mask


class MaskedText:
    """A stream of texts; all but writing is the other stream's.

    Args:
        stream: where texts go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        self._stream.write(mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)


@contextmanager
def masked_output() -> Generator[None]:
    """Standard output and error without secrets, for as long as the block runs."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", MaskedText(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


@contextmanager
def masked_errors() -> Generator[None]:
    """What is raised in the block; one that quotes a secret becomes its own traceback, masked.

    Raises:
        PermanentError: in the place of an error that quotes a secret.
    """
    try:
        yield
    except Exception as error:
        told = "".join(traceback.format_exception(error))
        safe = mask(told)
        if safe == told:
            raise
        raise PermanentError(safe) from None
