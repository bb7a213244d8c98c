"""Connections to PostgreSQL by ADBC, and its errors in words that a person can act on.

Called by `sources.database` and `targets.databases`. The driver is imported when something
connects: it brings pandas along, which costs every process that only loads definitions.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# The driver comes without types.

import re
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote

import adbc_driver_manager
import pyarrow as pa

from data_platform.engine.server_limits import full_advice, is_full

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection, Cursor
    from psycopg2.extensions import Column as DescribedColumn


_PASSING = frozenset({"08", "40", "53", "57", "58"})
"""Classes of SQLSTATE: connection, rollback, resources, operator's intervention, system."""
_PASSING_STATES = frozenset({"55P03"})
"""Single ones: a lock that somebody else holds."""
_PASSING_TEXTS = (
    "canceling statement",
    "terminating connection",
    "deadlock detected",
    "could not serialize",
    "out of memory",
    "No space left",
    "recovery",
)
"""What a statement says that may succeed another time, where it has no SQLSTATE."""
_LASTING = (
    "authentication failed",
    "Access denied for user",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied",
    "is not permitted to log in",
    "invalid connection option",
    "invalid port number",
    "invalid dsn",
    'missing "=" after',
    "invalid URI",
    "in connection info string",
    "end of string reached when looking for",
    "server does not support SSL",
    "certificate verify failed",
    "Failed to parse",
)
"""What a connection that will never come says, which has no SQLSTATE."""
_ASKED = re.compile(r"^.*connection to server .* failed: FATAL: +")
"""How libpq begins what a server said that let nobody in."""
_NO_PRECISION = 1000
"""The most digits that a numeric may be declared with; more means that it isn't."""

PEER: dict[str, int] = {
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "tcp_user_timeout": 120_000,
}
"""How long the other side may be silent, as libpq names it: seconds, a number, milliseconds. It is
gone after two minutes. A system's own patience is two hours, in which a load would wait for a
network that was cut, and the next load for its locks."""


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
        with (
            dbapi.connect(watched(url), autocommit=autocommit) as connection,
            connection.cursor() as cursor,
        ):
            yield connection, cursor
    except adbc_driver_manager.Error as error:
        _raise(error, url, error.sqlstate)


def watched(url: str) -> str:
    """A URL, or a list of libpq's keywords, whose connections notice that the other side is gone.

    What it says of that itself stays.
    """
    missing = {name: value for name, value in PEER.items() if name not in url}
    said = [f"{name}={value}" for name, value in missing.items()]
    if "://" not in url:
        return " ".join([url, *said])
    return url + ("&" if "?" in url else "?") + "&".join(said) if said else url


@contextmanager
def translated_stream(url: str) -> Generator[None]:
    """Errors of a stream that a statement gave, which come as Arrow's.

    Raises:
        Unreachable: it broke off.
        Refused: a row made the statement fail.
    """
    try:
        yield
    except (OSError, pa.ArrowException, adbc_driver_manager.Error) as error:
        _raise(error, url, getattr(error, "sqlstate", None))


@dataclass(frozen=True)
class ResultColumn:
    """A column of what a statement gives.

    Attributes:
        name: of it.
        declared: PostgreSQL's type, a domain's being what it is made of; without modifiers.
        precision, scale: of a numeric that has them.
    """

    name: str
    declared: str
    precision: int | None
    scale: int | None


def result_columns(
    url: str, sql: str, cancelled_by: Callable[[Callable[[], object]], object] = lambda _: None
) -> list[ResultColumn]:
    """The columns of a statement, as the server declares them; none of its rows is computed.

    By libpq, since ADBC doesn't tell a numeric's precision.

    Args:
        url: of the database.
        sql: the statement.
        cancelled_by: given what ends it from another thread: it waits for whoever locks a table.

    Raises:
        Unreachable: the database can't be reached.
        Refused: it refused the statement.
    """
    import psycopg2  # noqa: PLC0415

    try:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.set_session(readonly=True)
            cancelled_by(connection.cancel)
            cursor.execute(f"SELECT * FROM (\n{sql}\n) AS _described LIMIT 0")
            found = cursor.description or ()
            cursor.execute(
                "SELECT oid::int8, format_type(oid, NULL) FROM pg_type WHERE oid = ANY(%s::oid[])",
                ([column.type_code for column in found],),
            )
            types = {int(oid): str(name) for oid, name in cursor.fetchall()}
    except psycopg2.Error as error:
        _raise(error, url, error.pgcode)
    return [_result_column(column, types[column.type_code]) for column in found]


def _result_column(column: "DescribedColumn", declared: str) -> ResultColumn:
    precision, scale = column.precision, column.scale
    if declared != "numeric" or precision is None or scale is None or precision > _NO_PRECISION:
        return ResultColumn(column.name, declared, None, None)
    # A modifier has eleven bits for the scale, the highest being its sign.
    signed = ((scale & 0x7FF) ^ 0x400) - 0x400
    return ResultColumn(column.name, declared, precision, signed)


def _raise(error: Exception, url: str, state: str | None) -> NoReturn:
    # The driver's own text may quote the URL: it isn't kept as the cause then.
    text = str(error)
    raise in_words(error, url, state) from (error if _without_secrets(text, url) == text else None)


def in_words(error: BaseException, url: str, state: str | None = None) -> Unreachable | Refused:
    """A driver's error as one of ours; whether it may pass is told by its state, or its words.

    Args:
        error: of a statement, or of connecting.
        url: what of it is secret isn't in the message.
        state: SQLSTATE, where the driver tells it.
    """
    text = str(error)
    state = state or next(iter(re.findall(r"SQLSTATE: (\w{5})", text)), None)
    if state:
        passing = state[:2] in _PASSING or state in _PASSING_STATES
    elif "ERROR:" in text:  # from the midst of a stream, where no state comes along
        passing = any(sign in text for sign in _PASSING_TEXTS)
    else:
        passing = not any(sign in text for sign in _LASTING)
    message = f"{said(error, url)}{_in_column(text)}"
    if is_full(text):
        message = f"{message}; {full_advice(url)}"
    return (Unreachable if passing else Refused)(message)


def said(error: BaseException, url: str) -> str:
    """Who says what, in a line: a driver's words without secrets, and without whom it asked."""
    words = _ASKED.sub("", _first_line(error))
    return f"{host(url)}: {_without_secrets(words, url)}"


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


def _in_column(text: str) -> str:
    """The column whose value made a COPY fail; and what to do about NUL, which no text may hold."""
    found = re.search(r"CONTEXT: +COPY .*, column (\S+?)(?::|$)", text, re.MULTILINE)
    column = f" (column {found[1]})" if found else ""
    if 'encoding "UTF8": 0x00' not in text:
        return column
    name = found[1] if found else "the column"
    return (
        f"{column}; text in PostgreSQL can't hold \\u0000: replace({name}, chr(0), '') in staging"
    )


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
