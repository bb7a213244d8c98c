"""moto behind a server that breaks off, refuses and dawdles as a test says, and counts requests.

The server takes a request whole before it goes on to moto, as S3 keeps nothing of an upload that
broke off. `rule` is asked for each request and gives what goes wrong with it; None means nothing.
"""

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from object_storage import Bucket, server_url

from data_platform.spec.platform import S3Connection

_ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>said by a test</Message></Error>"
_OF_THE_LINE = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        number: of it, from 0.
        method, key: what is to be done with which object; the bucket isn't part of the key.
        query: names of parameters such as `uploads`, `uploadId`, `delete`, `list-type`.
        range: of bytes, as it was asked for; "" where there is none.
        length: of what is sent, in bytes.
    """

    number: int
    method: str
    key: str
    query: frozenset[str]
    range: str
    length: int

    @property
    def kind(self) -> str:
        """In a word, as S3's documentation calls it."""
        match self.method:
            case "PUT":
                return "UploadPart" if "uploadId" in self.query else "PutObject"
            case "POST" if "uploads" in self.query:
                return "CreateMultipartUpload"
            case "POST" if "uploadId" in self.query:
                return "CompleteMultipartUpload"
            case "POST":
                return "DeleteObjects"
            case "DELETE":
                return "AbortMultipartUpload" if "uploadId" in self.query else "DeleteObject"
            case "GET":
                return "GetObject" if self.key else "ListObjects"
            case _:
                return "HeadObject"


@dataclass(frozen=True)
class Cut:
    """The connection is reset once so many bytes of the request's body came; nothing is kept."""

    at: int


@dataclass(frozen=True)
class Lost:
    """All is done, and the connection is reset before the answer."""


@dataclass(frozen=True)
class Torn:
    """The answer's body breaks off after so many bytes."""

    at: int


@dataclass(frozen=True)
class Refused:
    """An answer of S3 instead of what was asked."""

    status: int
    code: str


@dataclass(frozen=True)
class Slow:
    """So many seconds pass first, or less if the test ends."""

    seconds: float


Fault = Cut | Lost | Torn | Refused | Slow
BUSY = Refused(503, "SlowDown")
DENIED = Refused(403, "InvalidAccessKeyId")
NO_BUCKET = Refused(404, "NoSuchBucket")


class FaultyStorage:
    """The server."""

    def __init__(self) -> None:
        self.rule: Callable[[Asked], Fault | None] = lambda _: None
        self.asked: list[Asked] = []
        self.sent = 0
        """Bytes of answers' bodies."""
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def connection(self, bucket: Bucket, **other: str | None) -> S3Connection:
        """How to reach a bucket through it."""
        return bucket.connection(**{"endpoint_url": self.url, **other})

    def forget(self) -> None:
        """Count anew."""
        self.asked, self.sent = [], 0

    def kinds(self) -> list[str]:
        """What was asked."""
        return [asked.kind for asked in self.asked]


@contextmanager
def faulty_storage() -> Iterator[FaultyStorage]:
    """One, until the block ends."""
    storage = FaultyStorage()
    thread = threading.Thread(target=storage.server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    try:
        yield storage
    finally:
        storage.ended.set()
        storage.server.shutdown()
        storage.server.server_close()
        thread.join()


def _handler(storage: FaultyStorage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            with contextlib.suppress(ConnectionError):
                _answer(storage, self)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


def _answer(storage: FaultyStorage, handler: BaseHTTPRequestHandler) -> None:
    asked = _asked(storage, handler)
    fault = storage.rule(asked)
    match fault:
        case Slow(seconds):
            storage.ended.wait(seconds)
        case Cut(at):
            handler.rfile.read(min(at, asked.length))
            _reset(handler)
            return
        case _:
            pass
    body = handler.rfile.read(asked.length)
    if isinstance(fault, Refused):
        _write(storage, handler, fault.status, {}, _ERROR.format(fault.code).encode())
        return
    status, headers, content = _forwarded(handler, body)
    match fault:
        case Lost():
            _reset(handler)
        case Torn(at):
            _write(storage, handler, status, headers, content, at)
            _reset(handler)
        case _:
            _write(storage, handler, status, headers, content)


def _asked(storage: FaultyStorage, handler: BaseHTTPRequestHandler) -> Asked:
    url = urlsplit(handler.path)
    with storage.lock:
        asked = Asked(
            len(storage.asked),
            handler.command,
            unquote(url.path.lstrip("/").partition("/")[2]),
            frozenset(parse_qs(url.query, keep_blank_values=True)),
            handler.headers.get("Range", ""),
            int(handler.headers.get("Content-Length", 0)),
        )
        storage.asked.append(asked)
    return asked


def _forwarded(handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
    moto = http.client.HTTPConnection(urlsplit(server_url()).netloc, timeout=30)
    try:
        headers = {n: v for n, v in handler.headers.items() if n.lower() not in _OF_THE_LINE}
        moto.request(handler.command, handler.path, body, headers)
        answer = moto.getresponse()
        told = {n: v for n, v in answer.getheaders() if n.lower() not in _OF_THE_LINE}
        if handler.command == "HEAD":
            told["Content-Length"] = answer.headers.get("Content-Length", "0")
        return answer.status, told, answer.read()
    finally:
        moto.close()


def _write(
    storage: FaultyStorage,
    handler: BaseHTTPRequestHandler,
    status: int,
    headers: dict[str, str],
    body: bytes,
    cut: int | None = None,
) -> None:
    handler.send_response_only(status)
    for name, value in ({"Content-Length": f"{len(body)}"} | headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    part = body if cut is None else body[:cut]
    handler.wfile.write(part)
    handler.wfile.flush()
    with storage.lock:
        storage.sent += len(part)


def _reset(handler: BaseHTTPRequestHandler) -> None:
    """Close without a word: what is on its way is thrown away on both sides."""
    time.sleep(0.01)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True
