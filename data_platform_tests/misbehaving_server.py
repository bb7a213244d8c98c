"""A real HTTP server that does what a test tells it to: statuses, delays, cut bodies, resets.

A test gives it a function from what is asked to a `Reply`, or a list of replies, one a request, the
last of which stays. Every request is kept. Threads, 127.0.0.1, HTTP/1.1 with connections kept open.
"""

import contextlib
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes
    pairs: list[tuple[str, str]] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What the server does.

    Attributes:
        json: the body, unless `body` is.
        wait: before the answer; ended with the server.
        cut: how many bytes of the body are sent, while the length of all is told.
        length: what is told as the length instead.
        chunks: whether the body is sent in chunks; with `cut` the last one doesn't come.
        reset: the connection is reset instead of an answer.
        drip: seconds between two bytes.
        until_close: no length is told: the body ends where the connection does.
    """

    json: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    wait: float = 0.0
    cut: int | None = None
    length: int | None = None
    chunks: bool = False
    reset: bool = False
    drip: float = 0.0
    gzip: bool = False
    until_close: bool = False

    @property
    def content(self) -> bytes:
        content = self.body if self.body is not None else json.dumps(self.json).encode()
        return gzip.compress(content, mtime=0) if self.gzip else content


Script = Callable[[Asked], Reply] | Sequence[Reply] | Reply


class MisbehavingServer(ThreadingHTTPServer):
    """Asked from any thread.

    Args:
        script: what it does.
        port: where it is asked; 0 is one that is free.
    """

    daemon_threads = True

    def __init__(self, script: Script, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.script = script
        self.asked: list[Asked] = []
        self.ended = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reply_to(self, asked: Asked) -> Reply:
        with self._lock:
            number = len(self.asked)
            self.asked.append(asked)
            match self.script:
                case Reply() as reply:
                    return reply
                case list() | tuple() as replies:
                    return replies[min(number, len(replies) - 1)]
                case function:
                    return function(asked)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever goes away is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MisbehavingServer

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pairs = parse_qsl(split.query, keep_blank_values=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, split.path, dict(pairs), headers, body, pairs)
        self._do(self.server.reply_to(asked))

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815 -- the library's names

    def _do(self, reply: Reply) -> None:
        self.server.ended.wait(reply.wait)
        if reply.reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
            return
        bare = reply.status in (204, 304) or self.command == "HEAD"
        content = b"" if bare else reply.content
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.gzip:
            self.send_header("Content-Encoding", "gzip")
        if reply.chunks:
            self.send_header("Transfer-Encoding", "chunked")
        elif not reply.until_close and reply.status != 204:
            self.send_header("Content-Length", str(reply.length or len(content)))
        self.end_headers()
        self._send(reply, content)
        if reply.cut is not None or reply.length is not None or reply.until_close:
            self.close_connection = True

    def _send(self, reply: Reply, content: bytes) -> None:
        sent = content[: reply.cut] if reply.cut is not None else content
        if reply.chunks:
            sent = b"%x\r\n%s\r\n" % (len(sent), sent) + (
                b"" if reply.cut is not None else b"0\r\n\r\n"
            )
        if not reply.drip:
            self.wfile.write(sent)
            return
        for byte in sent:
            if self.server.ended.wait(reply.drip):
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextlib.contextmanager
def misbehaving(script: Script, port: int = 0) -> Iterator[MisbehavingServer]:
    """A server, while the block runs."""
    with MisbehavingServer(script, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
