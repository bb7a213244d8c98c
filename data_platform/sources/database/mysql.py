"""MySQL and MariaDB by PyMySQL: a cursor on the server's side, in one consistent snapshot.

Called by `databases`. Values travel as the text that the server sends, and are cast after, so that
none loses a digit on the way through Python.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportMissingModuleSource=false
# pyright: reportPrivateUsage=false, reportAttributeAccessIssue=false
# pyarrow comes without types, the driver keeps what the server says of columns to itself.

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pymysql
from pymysql.constants import CR, ER, FIELD_TYPE, FLAG
from pymysql.converters import conversions
from pymysql.cursors import SSCursor
from sqlalchemy.engine import make_url
from sqlalchemy.engine.url import URL

from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.sources.queries import filled
from data_platform.plan.sql.expressions import quoted
from data_platform.sources.binding import BoundValue
from data_platform.sources.database.columns import (
    SourceColumn,
    as_text,
    cast_or_tell,
    decimal_type,
    direct,
)
from data_platform.sources.database.rows import batches_of
from data_platform.sources.database.statements import Statement, quoted_by

CONNECT_SECONDS = 30
IDLE_SECONDS = 3600
"""How long the server waits for a reader that is busy with what it has read."""
_INT64_BITS = 64
_BINARY = 63
"""The number of the character set that means bytes."""
_PASSING = frozenset(
    {
        ER.CON_COUNT_ERROR,
        ER.TOO_MANY_USER_CONNECTIONS,
        ER.LOCK_WAIT_TIMEOUT,
        ER.LOCK_DEADLOCK,
        ER.SERVER_SHUTDOWN,
        ER.QUERY_INTERRUPTED,
        1927,  # connection was killed
    }
)
_INTEGERS = {
    FIELD_TYPE.TINY: ("TINYINT", "SMALLINT"),
    FIELD_TYPE.SHORT: ("SMALLINT", "INTEGER"),
    FIELD_TYPE.INT24: ("INTEGER", "INTEGER"),
    FIELD_TYPE.LONG: ("INTEGER", "BIGINT"),
    FIELD_TYPE.LONGLONG: ("BIGINT", "DECIMAL(20,0)"),
    FIELD_TYPE.YEAR: ("SMALLINT", "SMALLINT"),
}
"""The types of an integer, and of one without a sign."""
_PLAIN = {
    FIELD_TYPE.DOUBLE: "DOUBLE",
    FIELD_TYPE.DATE: "DATE",
    FIELD_TYPE.NEWDATE: "DATE",
    FIELD_TYPE.DATETIME: "TIMESTAMP",
}
_BYTES = frozenset(
    {
        FIELD_TYPE.VARCHAR,
        FIELD_TYPE.VAR_STRING,
        FIELD_TYPE.STRING,
        FIELD_TYPE.TINY_BLOB,
        FIELD_TYPE.MEDIUM_BLOB,
        FIELD_TYPE.LONG_BLOB,
        FIELD_TYPE.BLOB,
    }
)


@contextmanager
def open_mysql(url: str, what: str) -> "Generator[MySQL]":
    """A MySQL or MariaDB in a transaction that reads one snapshot; its session is in UTC."""
    address = make_url(url)
    port = f":{address.port}" if address.port else ""
    shown = f"{address.host or 'localhost'}{port}/{address.database or ''}"
    try:
        with closing(_connected(address)) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"SET time_zone = '+00:00', net_write_timeout = {IDLE_SECONDS}")
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            try:
                yield MySQL(connection, address, what)
            finally:
                _let_go(connection)
    except pymysql.Error as error:
        code, about = (*error.args, "", "")[:2]
        message = f"{what} in mysql://{shown}: {about or code}"
        of_client = isinstance(error, pymysql.InterfaceError) or (
            isinstance(code, int) and code >= CR.CR_ERROR_FIRST
        )
        if code in _PASSING or of_client:
            raise SourceUnavailable(message) from None
        raise SourceError(message) from None


def _connected(address: URL) -> "pymysql.Connection[SSCursor]":
    """A connection that gives values as the server sends them."""
    options = {name: str(value) for name, value in address.query.items()}
    encoders: Any = {kind: how for kind, how in conversions.items() if not isinstance(kind, int)}
    return pymysql.connect(
        host=address.host or "localhost",
        port=address.port or 3306,
        user=address.username or "",
        password=str(address.password) if address.password is not None else "",
        database=address.database,
        unix_socket=options.get("unix_socket"),
        charset=options.get("charset", "utf8mb4"),
        ssl_ca=options.get("ssl_ca"),
        connect_timeout=CONNECT_SECONDS,
        conv=encoders,
        cursorclass=SSCursor,
    )


class MySQL:
    """An open MySQL or MariaDB."""

    dialect = "mysql"
    quote = "`"

    def __init__(self, connection: "pymysql.Connection[SSCursor]", address: URL, what: str) -> None:
        self._connection = connection
        self._address = address
        self._what = what

    def columns(
        self, statements: Sequence[Statement], known: Mapping[str, str]
    ) -> list[SourceColumn]:
        """The columns of a statement; the server says what they are."""
        del known
        first = Statement(f"{statements[0].sql} LIMIT 0", statements[0].values)
        with self._executed(first) as cursor:
            # Whether an integer has a sign stands nowhere else.
            return [_column(field) for field in cursor._result.fields]  # noqa: SLF001

    def batches(
        self, statement: Statement, columns: Sequence[SourceColumn], fetch_size: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a statement."""
        with self._executed(statement) as cursor:
            yield from batches_of(cursor.fetchmany, columns, fetch_size, self._what)

    def rows(self, statement: Statement) -> Sequence[Sequence[Any]]:
        """The few rows that a statement gives."""
        with self._executed(statement) as cursor:
            return list(cursor.fetchall())

    def cancel(self) -> None:
        """Ask the server, on another connection, to end what runs."""
        with contextlib.suppress(pymysql.Error), closing(_connected(self._address)) as other:
            other.cursor().execute(f"KILL QUERY {int(self._connection.thread_id())}")

    @contextmanager
    def _executed(self, statement: Statement) -> Generator[SSCursor]:
        values = {name: _bound(value) for name, value in statement.values.items()}
        # The driver puts values where `%(name)s` stands, so that any other % is written twice.
        sql = _with_percents(statement.sql, self.dialect)
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql, values)
            yield cursor
        except BaseException:
            _let_go(self._connection)
            raise
        else:
            cursor.close()


def _let_go(connection: "pymysql.Connection[SSCursor]") -> None:
    """Close a connection; rows that are still to come aren't waited for."""
    result: Any = connection._result  # noqa: SLF001
    if result is not None:
        result.unbuffered_active = False
    connection._force_close()  # noqa: SLF001


def _with_percents(sql: str, dialect: str) -> str:
    marked = filled(sql, dialect, lambda name: f"\0{name}\0")
    parts = marked.replace("%", "%%").split("\0")
    return "".join(f"%({part})s" if n % 2 else part for n, part in enumerate(parts))


def _column(field: Any) -> SourceColumn:
    name, code = str(field.name), int(field.type_code)
    asked = quoted_by(name, "`")
    unsigned = bool(field.flags & FLAG.UNSIGNED)
    if code in _INTEGERS:
        return as_text(name, "integer", _INTEGERS[code][unsigned], asked)
    if code in {FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL}:
        return _decimal(field, name, asked, unsigned=unsigned)
    if code == FIELD_TYPE.FLOAT:
        # As text the server shows six digits of it; of a double it shows all.
        return as_text(name, "float", "FLOAT", f"CAST({asked} AS DOUBLE) AS {asked}")
    if code == FIELD_TYPE.TIMESTAMP:
        kind = "TIMESTAMP WITH TIME ZONE"
        column = as_text(name, "timestamp", kind, asked)
        return replace(column, taken=cast_or_tell(name, f"{quoted(name)} || '+00:00'", kind))
    if code == FIELD_TYPE.BIT:
        kind = "BIGINT" if field.length < _INT64_BITS else "DECIMAL(20,0)"
        column = as_text(name, "bit", kind, asked)
        return replace(column, convert=_bits)
    if code == FIELD_TYPE.GEOMETRY or (code in _BYTES and field.charsetnr == _BINARY):
        return direct(name, "binary", "BLOB", pa.binary(), asked)
    kind = _PLAIN.get(code, "VARCHAR")
    return as_text(name, kind.lower() if code in _PLAIN else "text", kind, asked)


def _bits(value: bytes) -> str:
    return str(int.from_bytes(value, "big"))


def _decimal(field: Any, name: str, asked: str, *, unsigned: bool) -> SourceColumn:
    scale = int(field.scale)
    # The length counts the point, and the sign where there may be one.
    precision = int(field.length) - (scale > 0) - (not unsigned)
    kind = decimal_type(precision, scale) or "VARCHAR"
    return as_text(name, f"decimal({precision},{scale})", kind, asked)


def _bound(value: BoundValue) -> BoundValue:
    """A value as the session takes it, which is in UTC."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
