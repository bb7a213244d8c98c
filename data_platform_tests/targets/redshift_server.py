"""What stands in for Redshift: the embedded PostgreSQL, and the one COPY that is said to it.

COPY is parsed strictly by Redshift's documented grammar for Parquet; the manifest and the files are
read from the bucket, as Redshift does. What PostgreSQL doesn't know of CREATE TABLE and GRANT is
checked and left out. All else goes to PostgreSQL as it is, after a look whether it is something
that only PostgreSQL understands. A backslash escapes in texts, as in Redshift.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import obstore
import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
from object_storage import ACCESS_KEY, SECRET_KEY, Bucket

from data_platform.engine.object_store import ObjectStore, split_url

NAME = r'"(?:[^"]|"")+"'
COPY = re.compile(
    rf"COPY (?P<table>{NAME}(?:\.{NAME})?) FROM '(?P<manifest>s3://[^']+)' "
    r"(?:IAM_ROLE (?P<role>default|'arn:aws:iam::\d{12}:role/[\w/-]+')"
    r"|ACCESS_KEY_ID '(?P<key>[^']+)' SECRET_ACCESS_KEY '(?P<secret>[^']+)') "
    r"FORMAT AS PARQUET MANIFEST"
    r"(?P<stats> STATUPDATE (?:ON|OFF))?(?P<chars> ACCEPTINVCHARS AS '.')?"
)
FORM = re.compile(
    rf" (?:DISTSTYLE AUTO|DISTSTYLE KEY DISTKEY \({NAME}\))"
    rf"(?: COMPOUND SORTKEY \({NAME}(?:, {NAME})*\))?$"
)
GRANT = re.compile(rf"(GRANT [A-Z, ]+ ON TABLE {NAME}\.{NAME} TO )(?:ROLE |GROUP )?({NAME})")
UNKNOWN = re.compile(
    r"ON CONFLICT|RETURNING|\btext\b|\[\]|::|to_regclass|advisory|\bnow\(|\$\d|CREATE INDEX"
    r"|jsonb?\b|bytea|\bANY\b|MERGE|TRUNCATE|unnest",
    re.IGNORECASE,
)
"""What Redshift doesn't have, or what would commit."""
_TYPES = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "character varying": pa.string(),
    "bytea": pa.binary(),
}
"""The type that a Parquet column must have to fill a column."""


class RedshiftError(psycopg2.InternalError):
    """Most errors of Redshift have the state XX000, and tell more below a line of hyphens."""

    def __init__(self, said: str) -> None:
        hyphens = "-----------------------------------------------"
        super().__init__(f"{said}\nDETAIL:\n  {hyphens}\n  error:  {said}\n  code: 1000\n")


class Server:
    """Connections that think they are Redshift's.

    Attributes:
        said: all statements, as they came.
        before: called with each statement before it runs; it may raise.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.said: list[str] = []
        self.before: Callable[[str], None] = lambda _: None
        self.role: str | None = None

    def connect(self, url: str) -> "Connection":
        inner = psycopg2.connect(url.replace("redshift://", "postgresql://", 1))
        with inner.cursor() as cursor:
            cursor.execute("SET standard_conforming_strings = off; SET escape_string_warning = off")
        inner.commit()
        return Connection(self, inner)

    def copies(self) -> list[str]:
        return [one for one in self.said if one.startswith("COPY")]


class Connection:
    def __init__(self, server: Server, inner: Any) -> None:
        self.server, self.inner = server, inner

    def cursor(self) -> "Cursor":
        return Cursor(self.server, self.inner.cursor())

    def commit(self) -> None:
        self.server.said.append("COMMIT")
        self.server.before("COMMIT")
        self.inner.commit()

    def rollback(self) -> None:
        self.inner.rollback()

    def cancel(self) -> None:
        self.inner.cancel()

    def close(self) -> None:
        self.inner.close()


class Cursor:
    def __init__(self, server: Server, inner: Any) -> None:
        self.server, self.inner = server, inner

    def execute(self, statement: str) -> None:
        self.server.said.append(statement)
        self.server.before(statement)
        if statement.startswith("COPY"):
            self._copy(statement)
            return
        told = re.sub(rf"'(?:[^']|'')*'|{NAME}", "?", statement)
        if found := UNKNOWN.search(told):
            raise RedshiftError(f"Redshift doesn't have {found[0]!r}: {told}")
        self.inner.execute(_as_postgres(statement))

    def fetchall(self) -> Sequence[tuple[Any, ...]]:
        return self.inner.fetchall()

    def close(self) -> None:
        self.inner.close()

    def _copy(self, statement: str) -> None:
        found = COPY.fullmatch(statement)
        if found is None:
            raise RedshiftError(f'syntax error at or near "COPY"\nLINE 1: {statement}')
        if found["key"] and (found["key"], found["secret"]) != (ACCESS_KEY, SECRET_KEY):
            raise RedshiftError(
                "S3ServiceException:The AWS Access Key Id you provided does not exist"
            )
        self.server.role = found["role"]
        entries = json.loads(self._read(found["manifest"]))["entries"]
        if not entries:
            raise RedshiftError("The specified S3 prefix does not exist")
        self.inner.execute(f"SELECT * FROM {found['table']} LIMIT 0")
        columns = [column.name for column in self.inner.description]
        types = self._types(found["table"])
        for entry in entries:
            assert entry.keys() == {"url", "mandatory", "meta"}, entry
            content = self._read(entry["url"])
            if len(content) != entry["meta"]["content_length"]:
                raise RedshiftError(f"the size of {entry['url']} isn't that of the manifest")
            self._insert(found["table"], columns, types, content)

    def _types(self, table: str) -> list[str]:
        self.inner.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
            f"WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped "
            "ORDER BY attnum"
        )
        return [str(kind) for (kind,) in self.inner.fetchall()]

    def _read(self, address: str) -> bytes:
        bucket, key = split_url(address)
        store = ObjectStore(self.server.bucket.connection(), bucket).store
        try:
            return bytes(obstore.get(store, key).bytes())
        except FileNotFoundError:
            raise RedshiftError(f"The specified key {key} does not exist") from None

    def _insert(
        self, table: str, columns: Sequence[str], types: Sequence[str], content: bytes
    ) -> None:
        file = pq.ParquetFile(pa.BufferReader(content), coerce_int96_timestamp_unit="us")
        if len(file.schema_arrow.names) != len(columns):
            raise RedshiftError(
                f"Unmatched number of columns between table and file. Table columns: "
                f"{len(columns)}, Data columns: {len(file.schema_arrow.names)}"
            )
        for number, kind in enumerate(types):
            _check_type(file, number, kind)
        rows = file.read().to_pylist()
        names = file.schema_arrow.names
        marks = ", ".join(["%s"] * len(columns))
        self.inner.executemany(
            f"INSERT INTO {table} VALUES ({marks})", [[row[name] for name in names] for row in rows]
        )


def _check_type(file: pq.ParquetFile, number: int, kind: str) -> None:
    """That a column of the file is what Redshift takes into a column of this type."""
    physical = file.schema.column(number).physical_type
    arrow = file.schema_arrow.field(number).type
    if kind == "timestamp without time zone":
        fits = physical == "INT96"
    elif kind.startswith("numeric"):
        precision, scale = map(int, re.findall(r"\d+", kind))
        fits = arrow == pa.decimal128(precision, scale)
    else:
        fits = arrow == _TYPES[re.sub(r"\(\d+\)", "", kind)]
    if not fits:
        raise RedshiftError(
            f"Spectrum Scan Error: incompatible Parquet schema for column {number}: "
            f"column type {kind}, Parquet schema {physical} {arrow}"
        )


def _as_postgres(statement: str) -> str:
    if statement.startswith("CREATE TABLE IF NOT EXISTS "):
        return statement  # the platform's own, as small as they are
    if statement.startswith("CREATE TABLE "):
        form = FORM.search(statement)
        assert form, statement
        statement = statement[: form.start()]
    if statement.startswith("GRANT"):
        grant = GRANT.fullmatch(statement)
        assert grant, statement
        return grant[1] + grant[2]
    return re.sub(r"varbyte\(\d+\)", "bytea", statement)
