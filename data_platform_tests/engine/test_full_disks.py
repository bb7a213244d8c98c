"""Who says that a disk of this machine is full, and whose words are about something else."""

import errno

import duckdb
import pytest

from data_platform.engine.full_disks import full_disk
from data_platform.errors import SourceUnavailable

SERVERS = 'ERROR: could not extend file "base/1": No space left on device'


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/lake/x"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("Generic LocalFileSystem error: No space left on device (os error 28)"),
        duckdb.IOException('IO Error: Could not write file "/lake/x": No space left on device'),
        duckdb.OutOfMemoryException("failed to offload data block: max_temp_directory_size"),
    ],
    ids=["system", "quota", "rust", "duckdb", "spilling"],
)
def test_a_disk_of_this_machine(error: Exception) -> None:
    told = full_disk(error)
    assert told is not None
    assert str(told).startswith("No space left on device: ")
    assert "data-platform lake vacuum" in str(told)
    assert told.discreet


@pytest.mark.parametrize(
    "error",
    [
        SourceUnavailable(SERVERS),
        OSError(SERVERS),
        duckdb.IOException(f"IO Error: get_next failed: {SERVERS}"),
        OSError(errno.EACCES, "Permission denied"),
        duckdb.OutOfMemoryException("failed to allocate data"),
    ],
    ids=["ours", "stream", "duckdb", "permission", "memory"],
)
def test_something_else(error: Exception) -> None:
    assert full_disk(error) is None
