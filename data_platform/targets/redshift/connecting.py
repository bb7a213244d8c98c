"""A session of Redshift, over the protocol that it shares with PostgreSQL, and its errors in words.

Used by `loading`. By libpq, since ADBC's copying speaks PostgreSQL's binary format, which Redshift
doesn't. No text of a statement gets into a message or a cause: COPY may hold keys.
"""

# psycopg2's connections have no types that hold for what stands in for them.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import re
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Protocol, cast

from data_platform.engine.postgres import host
from data_platform.errors import PlatformError, StorageError, StorageUnavailable
from data_platform.plan.destinations.redshift import URL

PORT = "5439"
_PASSING = frozenset({"08", "40", "53", "57", "58"})
"""Classes of SQLSTATE that pass, as of PostgreSQL."""
_PASSING_TEXTS = (
    "Serializable isolation violation",
    "conflict with concurrent transaction",
    "could not complete because of conflict",
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "Connection timed out",
    "could not connect",
    "server closed the connection",
    "Connection refused",
    "timeout expired",
    "could not translate host name",
)
"""What an error says that may not come again: most of Redshift's own have the state XX000."""
_SECRET = re.compile(
    r"(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|CREDENTIALS)(\s+AS)?\s+'[^']*'?", re.IGNORECASE
)


class Connection(Protocol):
    """What is asked of a connection of DBAPI."""

    def cursor(self) -> Any: ...  # noqa: D102

    def commit(self) -> None: ...  # noqa: D102

    def rollback(self) -> None: ...  # noqa: D102

    def cancel(self) -> None: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


def connect(url: str) -> Connection:
    """A connection, in which a transaction begins with the first statement."""
    import psycopg2  # noqa: PLC0415
    from psycopg2.extensions import parse_dsn  # noqa: PLC0415

    named = {"port": PORT, **parse_dsn(URL.sub("postgresql://", url, count=1))}
    return cast("Connection", psycopg2.connect(**named))


class Session:
    """Statements of one connection.

    Args:
        connection: open.
        url: of it, for messages.
        about: what it is for, for messages.
    """

    def __init__(self, connection: Connection, url: str, about: str) -> None:
        self.connection = connection
        self._url, self._about = url, about

    def run(self, *statements: str) -> None:
        """Run statements for their effect."""
        with self._in_words(), closing(self.connection.cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, statement: str) -> Sequence[tuple[Any, ...]]:
        """Run a statement and fetch what it gives."""
        with self._in_words(), closing(self.connection.cursor()) as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def commit(self) -> None:
        """Make all of it so."""
        with self._in_words():
            self.connection.commit()

    def rollback(self) -> None:
        """Begin anew."""
        with self._in_words():
            self.connection.rollback()

    @contextmanager
    def _in_words(self) -> Generator[None]:
        with in_words(self._url, self._about):
            yield


@contextmanager
def opened(url: str, about: str) -> Generator[Session]:
    """A session; what isn't committed at the end is rolled back.

    Args:
        url: `redshift://...`, with its secrets in place.
        about: what it is for, for messages.

    Raises:
        StorageUnavailable: it can't be reached, broke off, or somebody else was in the way.
        StorageError: it refuses.
    """
    if not URL.match(url):
        raise StorageError(f"{about}: {host(url)} is no Redshift: redshift://user@host:5439/name")
    with in_words(url, about):
        connection = connect(url)
    with closing(connection):
        yield Session(connection, url, about)


@contextmanager
def in_words(url: str, about: str) -> Generator[None]:
    """Errors of the driver as ours; no statement, no password and no key in them.

    Raises:
        StorageUnavailable: trying again may help.
        StorageError: it won't.
    """
    import psycopg2  # noqa: PLC0415

    try:
        yield
    except psycopg2.Error as error:
        # Not as the cause: its text may quote the statement.
        raise _worded(error, error.pgcode, url, about) from None


def _worded(error: Exception, state: str | None, url: str, about: str) -> PlatformError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Redshift tells what is the matter below "DETAIL", after a line of hyphens.
    said = " ".join([*lines[:1], *(line for line in lines[1:] if line.startswith("error:"))])
    said = _SECRET.sub(r"\1 '***'", said)
    password = re.search(r"//[^/@]*?:([^@/]+)@", url)
    if password:
        said = said.replace(password[1], "***")
    text = str(error)
    passing = (state or "")[:2] in _PASSING or any(sign in text for sign in _PASSING_TEXTS)
    kind = StorageUnavailable if passing else StorageError
    return kind(f"{about}: {host(url)}: {said or type(error).__name__}")
