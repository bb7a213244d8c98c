"""DuckDB for unit tests: an instance for each time zone, and a connection of its own for each test.

Making an instance takes 15 ms, a connection to one that is there a hundredth of that. What a test
makes is TEMP and ends with its connection, so tests don't see one another.
"""

import functools
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from data_platform.plan.sql.expressions import literal

MEMORY_LIMIT = "1GB"


@contextmanager
def connected(timezone: str = "UTC") -> Generator[duckdb.DuckDBPyConnection]:
    """A connection that reads and writes in `folder()` and nowhere else.

    Args:
        timezone: in which times without a zone are meant.
    """
    connection = _instance(os.getpid(), timezone).cursor()
    try:
        yield connection
    finally:
        connection.close()


def folder() -> Path:
    """All files of this process's tests; removed when it ends."""
    return Path(_folder(os.getpid()).name)


@functools.cache
def _folder(_pid: int) -> "tempfile.TemporaryDirectory[str]":
    """One for each process: a forked child must not remove its parent's."""
    return tempfile.TemporaryDirectory(prefix="data-platform-tests-")


@functools.cache
def _instance(_pid: int, timezone: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": MEMORY_LIMIT,
            "python_enable_replacements": "false",
            "temp_directory": str(folder()),
            # Rows stay in the order of the statement, and small tables need no second thread.
            "threads": "1",
        }
    )
    connection.execute(f"SET GLOBAL TimeZone = {literal(timezone)}")
    connection.execute(f"SET allowed_directories = [{literal(str(folder()))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
