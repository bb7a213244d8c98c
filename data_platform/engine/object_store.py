"""Objects of S3, or of what speaks its protocol: list them, stream them, say in words what failed.

Used by sources of files and by `resources`. Errors are told apart by what helps: a missing bucket,
no credentials and a refusal stay; a timeout, a refused connection and a busy server pass.
"""

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError, PreconditionError
from obstore.store import S3Store

from data_platform.errors import SourceError, SourceUnavailable
from data_platform.spec.platform import S3Connection

if TYPE_CHECKING:
    from obstore import GetOptions

SCHEME = "s3://"
PIECE = 16 * 1024 * 1024
"""Bytes that one request reads: each has a time limit and is tried again by itself."""
REQUEST_SECONDS, RETRIES = 60, 3
_COLOURS = re.compile(r"\x1b\[\d*m")
"""With which Delta writes what the server said."""
_STATUS = re.compile(r"status code: (\d{3})|↳ (\d{3}) [A-Z]")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_DENIED = "lacked the necessary privileges"
_PLACE_OF_KEYS = ("169.254.", "/latest/api/token", "security-credentials", "sts.")


@dataclass(frozen=True)
class StoredObject:
    """An object as its listing tells it.

    Attributes:
        key: within the bucket.
        bytes: of it.
        modified: aware.
        etag: another one where its content is another one; "" where the server has none.
    """

    key: str
    bytes: int
    modified: datetime
    etag: str


class ObjectStore:
    """One bucket.

    Args:
        connection: with its secrets in place.
        bucket: its name; None means the connection's.

    Raises:
        SourceError: nobody named a bucket.
    """

    def __init__(self, connection: S3Connection, bucket: str | None = None) -> None:
        named = bucket or connection.bucket
        if named is None:
            raise SourceError("the s3 connection names no bucket: set `bucket` in platform.yaml")
        self.bucket = named
        self._connection = connection

    @property
    def url(self) -> str:
        """Of the bucket."""
        return f"{SCHEME}{self.bucket}"

    @cached_property
    def store(self) -> S3Store:
        """The bucket as obstore takes it; what the connection leaves out, the environment says."""
        connection = self._connection
        written: dict[str, Any] = {
            "endpoint": connection.endpoint_url,
            "region": connection.region,
            "access_key_id": connection.access_key_id,
            "secret_access_key": connection.secret_access_key,
            **_encrypting(connection),
        }
        with self.in_words(""):
            return S3Store(
                self.bucket,
                **{name: value for name, value in written.items() if value},
                client_options={
                    # Plain http is a matter of the endpoint, which a person names.
                    "allow_http": True,
                    "timeout": timedelta(seconds=REQUEST_SECONDS),
                    "connect_timeout": timedelta(seconds=10),
                },
                retry_config={
                    "max_retries": RETRIES,
                    "retry_timeout": timedelta(seconds=2 * REQUEST_SECONDS),
                },
            )

    def list(self, folder: str) -> Iterator[list[StoredObject]]:
        """All objects below a folder, some hundred at a time.

        Args:
            folder: whole parts of a key; empty means the bucket.

        Raises:
            SourceError: there is no such bucket, or it may not be listed.
            SourceUnavailable: the server can't be reached or is busy.
        """
        with self.in_words(folder):
            for batch in obstore.list(self.store, prefix=folder or None, chunk_size=1000):
                yield [
                    StoredObject(
                        found["path"], found["size"], found["last_modified"], found["e_tag"] or ""
                    )
                    for found in batch
                ]

    def find(self, key: str) -> StoredObject | None:
        """An object; None where there is none.

        Raises:
            SourceError: there is no such bucket, or it may not be read.
            SourceUnavailable: the server can't be reached or is busy.
        """
        with self.in_words(key):
            try:
                found = obstore.head(self.store, key)
            except FileNotFoundError:
                # The same answer where the bucket isn't there: only listing tells.
                next(self.list(key), None)
                return None
            return StoredObject(key, found["size"], found["last_modified"], found["e_tag"] or "")

    def pieces(self, stored: StoredObject) -> Iterator[bytes]:
        """The bytes of an object, in order; each piece is of the version that was found.

        Raises:
            SourceError: it may not be read.
            SourceUnavailable: the server can't be reached or is busy, or the object is gone or
                another one by now.
        """
        with self.in_words(stored.key):
            for start in range(0, stored.bytes, PIECE):
                end = min(start + PIECE, stored.bytes)
                options: GetOptions = {"if_match": stored.etag} if stored.etag else {}
                if stored.bytes > PIECE:
                    options["range"] = (start, end)
                try:
                    piece = bytes(obstore.get(self.store, stored.key, options=options).bytes())
                except (FileNotFoundError, PreconditionError):
                    piece = b""
                if len(piece) != end - start:
                    raise SourceUnavailable(
                        f"{self.url}/{stored.key} was replaced or removed while it was read"
                    )
                yield piece

    @contextmanager
    def in_words(self, key: str) -> Generator[None]:
        """What goes wrong with an object in here, in the platform's words.

        Args:
            key: of the object; empty means the bucket.

        Raises:
            SourceError: it will go wrong again.
            SourceUnavailable: trying again may help.
        """
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise _worded(f"{self.url}/{key}".rstrip("/"), error) from error


def _encrypting(connection: S3Connection) -> dict[str, Any]:
    encryption = connection.encryption
    if encryption is None:
        return {}
    by_service = encryption.type == "aws:kms"
    return {
        "server_side_encryption": encryption.type,
        "sse_kms_key_id": encryption.key,
        # One question to the key service for many objects.
        "sse_bucket_key_enabled": by_service,
    }


def split_url(url: str) -> tuple[str, str]:
    """The bucket and the key of `s3://bucket/key`."""
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    return bucket, key


def _worded(what: str, error: Exception) -> SourceError | SourceUnavailable:
    text = _COLOURS.sub("", str(error))
    status, code = _STATUS.search(text), _CODE.search(text)
    number = int(status[1] or status[2]) if status else 0
    name = code[1] if code else ""
    if name == "NoSuchBucket" or (number == HTTPStatus.NOT_FOUND and not name):
        return SourceError(f"{what}: there is no such bucket")
    if any(place in text for place in _PLACE_OF_KEYS):
        return SourceError(
            f"{what}: there are no credentials: name access_key_id and secret_access_key at the "
            "connection in platform.yaml, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if number in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} or _DENIED in text:
        about = f" ({name})" if name else ""
        return SourceError(f"{what}: access denied{about}: the credentials may not do this")
    busy = number in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}
    if number >= HTTPStatus.INTERNAL_SERVER_ERROR or busy:
        about = f" {name}" if name else ""
        return SourceUnavailable(f"{what}: the server answers {number}{about}")
    if "error sending request" in text or "timed out" in text or "HTTP error" in text:
        return SourceUnavailable(f"{what}: the server can't be reached, or is too slow")
    return SourceError(f"{what}: {text.splitlines()[0][:300]}")
