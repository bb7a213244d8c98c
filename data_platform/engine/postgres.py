"""Connections to PostgreSQL by ADBC, and its errors in words that a person can act on.

Called by `sources.database` and `storage.warehouse`. The driver is imported when something connects:
it brings pandas along, which costs every process that only loads definitions.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import adbc_driver_manager

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection, Cursor


class Unreachable(Exception):
    """The database can't be reached, or broke off: a retry may succeed."""


class Refused(Exception):
    """The database answered, and refused."""


@contextmanager
def connected(url: str, *, autocommit: bool = False) -> "Iterator[tuple[Connection, Cursor]]":
    """A connection and a cursor on it; what isn't committed at the end is rolled back.

    Args:
        url: of the database, as libpq takes it; its password is in no message.
        autocommit: for reads, so that nothing stays idle in a transaction.

    Raises:
        Unreachable: it can't be reached, or broke off.
        Refused: it refused a statement.
    """
    from adbc_driver_postgresql import dbapi  # noqa: PLC0415

    try:
        with dbapi.connect(url, autocommit=autocommit) as connection, connection.cursor() as cursor:
            yield connection, cursor
    except adbc_driver_manager.OperationalError as error:
        raise Unreachable(f"{host(url)}: {_first_line(error)}") from error
    except adbc_driver_manager.Error as error:
        raise Refused(f"{host(url)}: {_first_line(error)}") from error


def host(url: str) -> str:
    """A URL without user, password and options."""
    return re.sub(r"//[^@/]*@", "//", url).partition("?")[0]


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
