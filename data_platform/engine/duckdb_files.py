"""Files of DuckDB, opened so that their names mean nothing.

Used by what reads one as a source and by what writes one as a destination. A file `shop.duckdb`
that is opened by itself is a database `shop`, and a schema `shop` in it can't be named any more.
"""

from pathlib import Path

import duckdb

from data_platform.plan.sql.expressions import literal

DATABASE = "_file"
"""The name of the file's database, in which names without one are looked for."""
_TAKEN = ("could not set lock", "unique file handle conflict", "with a different configuration")


def opened_file(path: Path, *, read_only: bool, **settings: str) -> duckdb.DuckDBPyConnection:
    """A connection to a file, which nobody else can open meanwhile unless all only read.

    Args:
        path: of the file; it is made where it isn't there, unless it is only read.
        read_only: whether nothing is written.
        settings: of DuckDB, besides those that keep it from fetching extensions.

    Raises:
        duckdb.Error: it can't be opened.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        **settings,
    }
    connection = duckdb.connect(config=config)
    try:
        how = " (READ_ONLY)" if read_only else ""
        connection.execute(f"ATTACH {literal(str(path))} AS {DATABASE}{how}")
        connection.execute(f"USE {DATABASE}")
    except BaseException:
        connection.close()
        raise
    return connection


def is_taken(error: duckdb.Error) -> bool:
    """Whether somebody else has the file, in this process or in another one."""
    return any(sign in str(error).lower() for sign in _TAKEN)
