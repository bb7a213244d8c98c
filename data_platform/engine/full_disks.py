"""That a disk of this machine has no room left, whoever says so, in words that name what to do.

Called by `engine.discretion` and `reporting.events` of what ended a step, and wherever an error of
DuckDB's becomes one of ours. DuckDB tells it at the end of a text of several hundred characters.
"""

import errno

import duckdb

from data_platform.errors import PlatformError, StorageError

_NUMBERS = (errno.ENOSPC, errno.EDQUOT)
_OF_RUST = tuple(f"(os error {number})" for number in _NUMBERS)
_OF_DUCKDB = ("No space left on device", "Disk quota exceeded", "max_temp_directory_size")
"""The last: what doesn't fit into memory may take what scratch's disk has left."""
_OF_A_STREAM = "get_next failed"
"""With it DuckDB gives the words of a server whose rows it reads: those are about its own disk."""


def full_disk(error: BaseException) -> StorageError | None:
    """An error of the system or a library in words of ours, if that is what it says.

    Args:
        error: of a step; one of ours has its words, and may be about another machine.
    """
    if not _is_full(error):
        return None
    told = StorageError(
        "No space left on device: the disk of the lake, of scratch or of the data folder is full; "
        "`data-platform doctor` says which, `data-platform lake vacuum` makes room"
    )
    told.discreet = True
    return told


def _is_full(error: BaseException) -> bool:
    text = str(error)
    match error:
        case PlatformError():
            return False
        case duckdb.Error():
            return _OF_A_STREAM not in text and any(sign in text for sign in _OF_DUCKDB)
        case OSError() if error.errno is not None:
            return error.errno in _NUMBERS
        case _:
            return any(sign in text for sign in _OF_RUST)
