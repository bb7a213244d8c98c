"""DuckDB's errors over what comes from a source, in words that a person can act on.

Used by the modules of each kind of source, while what they opened is read.
"""

from collections.abc import Generator
from contextlib import contextmanager

import duckdb

from data_platform.engine.full_disks import full_disk
from data_platform.errors import SourceError, SourceUnavailable

BROKEN_OFF = ("get_next failed", "server closed the connection", "terminating connection")
"""What DuckDB says when the stream that it reads breaks off."""


@contextmanager
def translated(what: str) -> Generator[None]:
    """DuckDB's errors over a source, as the source's: a stream that broke off may come back.

    Args:
        what: the source, for the message.

    Raises:
        SourceUnavailable: the stream broke off.
        SourceError: what comes can't be read.
        StorageError: there is no room for it.
    """
    try:
        yield
    except duckdb.Error as error:
        if full := full_disk(error):
            raise full from error
        message = f"{what}: {_about(error)}"
        if any(sign in str(error) for sign in BROKEN_OFF):
            raise SourceUnavailable(message) from error
        raise SourceError(message) from error


def _about(error: Exception) -> str:
    """DuckDB's message in one line, without the line of the file that it quotes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("Original Line")]
    return " ".join(telling[:3]) or type(error).__name__
