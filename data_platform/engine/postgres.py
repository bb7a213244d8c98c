"""Connections to PostgreSQL by ADBC, and its errors in words that a person can act on.

Called by `sources.database` and `storage.warehouse`. The driver is imported when something
connects: it brings pandas along, which costs every process that only loads definitions.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# The driver comes without types.

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote

import adbc_driver_manager

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection, Cursor


class Unreachable(Exception):
    """The database can't be reached, or broke off: a retry may succeed."""


class Refused(Exception):
    """The database answered, and refused."""


@contextmanager
def connected(url: str, *, autocommit: bool = False) -> "Generator[tuple[Connection, Cursor]]":
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
    except adbc_driver_manager.Error as error:
        message = f"{host(url)}: {_without_secrets(_first_line(error), url)}"
        # The driver's own text may quote the URL: it isn't kept as the cause then.
        cause = error if _without_secrets(str(error), url) == str(error) else None
        if isinstance(error, adbc_driver_manager.OperationalError):
            raise Unreachable(message) from cause
        raise Refused(message) from cause


def host(url: str) -> str:
    """A URL, or a list of libpq's keywords, without user, password and options."""
    if "://" not in url:
        named = dict(re.findall(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", url))
        return "/".join(named[key] for key in ("host", "port", "dbname") if key in named)
    scheme, _, rest = url.partition("?")[0].partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _without_secrets(text: str, url: str) -> str:
    found = re.findall(r"//[^/]*?:(.*)@|password\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)", url)
    for secret in {part for parts in found for part in parts if part}:
        for form in (secret, unquote(secret), secret.strip("'")):
            text = text.replace(form, "***")
    return text


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
