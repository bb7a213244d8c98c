"""DuckDB as the judge of types and statements while a plan is built: one instance a process.

Called by `plan.conversions`, `plan.columns` and `plan.sql.places`. It holds no data and
reaches no file; making an instance takes 15 ms, a cursor of one that is there a hundredth of that.
"""

import functools
import os
from collections.abc import Generator
from contextlib import contextmanager

import duckdb

from data_platform.plan.sql.masks import MACROS


@contextmanager
def binder(*, errors_as_json: bool = False) -> Generator[duckdb.DuckDBPyConnection]:
    """A connection of its own: what it makes as TEMP ends with it.

    Args:
        errors_as_json: whether errors are told part by part, not in words for people.
    """
    cursor = _instance(os.getpid(), errors_as_json=errors_as_json).cursor()
    try:
        yield cursor
    finally:
        cursor.close()


@functools.cache
def _instance(_pid: int, *, errors_as_json: bool) -> duckdb.DuckDBPyConnection:
    """One for each process and form of errors: a forked child must not go on with its parent's."""
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "errors_as_json": str(errors_as_json).lower(),
            "python_enable_replacements": "false",
            "threads": "1",
        }
    )
    for macro in MACROS:
        connection.execute(macro)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
