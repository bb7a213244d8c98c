"""A network before PostgreSQL that breaks where a test says, or loses a COMMIT's answer.

It listens on 127.0.0.1 and carries bytes to the server's unix socket. Once it has broken, every
connection through it is gone, and there are no new ones until `break_at` or `mend`.
"""

import contextlib
import re
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

CHUNK = 8192
COMMIT = re.compile(rb"Q[\s\S]{4}COMMIT")
"""The message of the protocol by which a transaction is committed."""
PATIENCE = 20.0

Way = Literal["up", "down"]
"""To the server, or from it."""
How = Literal["reset", "silence", "close"]
"""RST; nothing more for a while, and RST then; FIN, as of a process that ended."""


@dataclass(frozen=True)
class Cut:
    """Where the network breaks, and how.

    Attributes:
        after: so many bytes have been let through; None where it breaks with the commit.
        way: of the bytes that are counted.
        how: it breaks.
        silence: seconds, where that is how.
    """

    after: int | None
    way: Way = "up"
    how: How = "reset"
    silence: float = 0.1


LOST_ANSWER = Cut(None)
"""The server gets the COMMIT and carries it out; its answer is thrown away."""


@dataclass(frozen=True)
class _End:
    """One end of a connection through the proxy, and where its bytes go."""

    socket: socket.socket
    other: socket.socket
    way: Way


class CuttingProxy:
    """Use it in a `with` statement.

    Args:
        url: of the server's database, whose `host` is the folder of its unix socket.
    """

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        folder = Path(parse_qs(split.query)["host"][0])
        [self._server] = [str(path) for path in folder.glob(".s.PGSQL.*") if path.is_socket()]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"postgresql://postgres@127.0.0.1:{self._listener.getsockname()[1]}{split.path}"
        self.passed: dict[Way, int] = {"up": 0, "down": 0}
        self.broken = threading.Event()
        self._cut: Cut | None = None
        self._then: Callable[[], object] = lambda: None
        self._committing = False
        self._silent_until: float | None = None
        self._open: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._woken, self._waking = socket.socketpair()
        self._asked: list[Callable[[], None]] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        def stop() -> None:
            self._stopped = True

        self._ask(stop)
        self._thread.join(PATIENCE)
        for one in (self._listener, self._woken, self._waking):
            one.close()

    def break_at(self, cut: Cut | None, then: Callable[[], object] = lambda: None) -> None:
        """Count from now on, and break there; connections that are open are ended.

        Args:
            cut: where; None means nowhere.
            then: called in that moment, before any side sees that it is broken.
        """

        def begin() -> None:
            self._hear_again()
            self.passed = {"up": 0, "down": 0}
            self._cut, self._then, self._committing = cut, then, False
            self.broken.clear()

        self._ask(begin)

    def mend(self) -> None:
        """Let everything through."""
        self.break_at(None)

    def break_now(self, how: How = "reset") -> None:
        """Break at this moment, wherever the bytes are."""
        self._ask(lambda: self._break(Cut(0, how=how)))

    def _ask(self, what: Callable[[], None]) -> None:
        """Have the proxy's own thread do something, and wait until it has."""
        done = threading.Event()
        self._asked += [what, done.set]
        self._waking.send(b"\0")
        assert done.wait(PATIENCE), "the proxy is stuck"

    def _run(self) -> None:
        while not self._stopped:
            for key, _ in self._selector.select(self._pause()):
                if key.fileobj is self._woken:
                    self._woken.recv(64)
                    while self._asked:
                        self._asked.pop(0)()
                elif key.fileobj is self._listener:
                    self._accept()
                elif not self.broken.is_set():
                    self._carry(key.data)
            if self._silent_until is not None and time.monotonic() >= self._silent_until:
                self._hear_again()
        self._end_all("reset")

    def _pause(self) -> float | None:
        """Seconds to wait at most; while it is silent nobody else wakes it."""
        if self._silent_until is None:
            return None
        return max(0.0, self._silent_until - time.monotonic())

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self.broken.is_set():
            _end(client, "reset")
            return
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        for end in (_End(client, server, "up"), _End(server, client, "down")):
            end.socket.settimeout(PATIENCE)
            self._selector.register(end.socket, selectors.EVENT_READ, end)
            self._open.add(end.socket)

    def _carry(self, end: _End) -> None:
        if end.socket.fileno() < 0:  # ended with the other one, in this very round
            return
        try:
            some = end.socket.recv(CHUNK)
            if some:
                self._let_through(some, end)
                return
        except OSError:
            pass
        for one in (end.socket, end.other):
            self._close(one, "close")

    def _let_through(self, some: bytes, end: _End) -> None:
        cut = self._cut
        if cut is None or (cut.after is not None and cut.way != end.way):
            self._pass(some, end)
        elif cut.after is None:
            if end.way == "down" and self._committing:
                self._break(cut)
                return
            self._committing = self._committing or (
                end.way == "up" and COMMIT.search(some) is not None
            )
            self._pass(some, end)
        else:
            left = cut.after - self.passed[end.way]
            self._pass(some[: max(0, left)], end)
            if len(some) >= left:
                self._break(cut)

    def _pass(self, some: bytes, end: _End) -> None:
        end.other.sendall(some)
        self.passed[end.way] += len(some)

    def _break(self, cut: Cut) -> None:
        if self.broken.is_set():
            return
        self.broken.set()
        self._then()
        if cut.how == "silence":
            self._silent_until = time.monotonic() + cut.silence
            for one in [*self._open, self._listener]:
                self._selector.unregister(one)
        else:
            self._end_all(cut.how)

    def _hear_again(self) -> None:
        """After a silence: what was open is gone, and who asks meets a reset."""
        if self._silent_until is not None:
            self._silent_until = None
            self._selector.register(self._listener, selectors.EVENT_READ)
        self._end_all("reset")

    def _end_all(self, how: How) -> None:
        for one in list(self._open):
            self._close(one, how)

    def _close(self, one: socket.socket, how: How) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(one)
        self._open.discard(one)
        _end(one, how)


def _end(one: socket.socket, how: How) -> None:
    with contextlib.suppress(OSError):
        if how != "close" and one.family == socket.AF_INET:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()
