"""The one HTTP client, for plain code: asks in a thread of its own, and can be stopped.

Used by `arriving` for sources and by `sessions` for people's own code. It is asynchronous inside:
only so a time limit holds for a whole answer, and whatever waits, for a server or before the next
try, can be ended at once. What is asked how is `asking`'s.
"""

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from data_platform.errors import SourceUnavailable
from data_platform.sources.http.asking import Asker, Manner
from data_platform.sources.http.masking import Secrets
from data_platform.sources.http.requests import Answer, Request

T = TypeVar("T")


class Client:
    """Asks, from any thread, until it is stopped. Made by `opened`."""

    def __init__(self, portal: BlockingPortal, asker: Asker) -> None:
        self._portal = portal
        self._asker = asker
        self._lock = threading.Lock()
        self._open: set[Future[Any]] = set()
        self._stopped = False

    def ask(self, request: Request, read: Callable[[Answer], T]) -> T:
        """What a reader makes of the answer; one that breaks off (`CutShort`) is asked for again.

        Raises:
            SourceError: the server refused, or the answer can't be had as it is.
            SourceUnavailable: it couldn't be reached, or had trouble, for as often as it was tried.
        """
        with self._lock:
            if self._stopped:
                raise SourceUnavailable("the request was stopped")
            future = self._portal.start_task_soon(self._asker.ask, request, read)
            self._open.add(future)
        try:
            return future.result()
        finally:
            with self._lock:
                self._open.discard(future)

    def stop(self) -> None:
        """End what is under way, from another thread, and ask nothing more."""
        with self._lock:
            self._stopped = True
            under_way = list(self._open)
        for future in under_way:
            future.cancel()


@contextmanager
def opened(manner: Manner, secrets: Secrets) -> Generator[Client]:
    """A client; connections are closed at the end.

    Args:
        manner: how requests are made.
        secrets: what is masked; those of the credentials are added.
    """
    with start_blocking_portal(name="http") as portal:
        library = portal.call(_library)
        try:
            yield Client(portal, Asker(library, manner, secrets))
        finally:
            portal.call(library.aclose)


async def _library() -> httpx.AsyncClient:
    # Cookies know no ports, and so would go from one origin to another.
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(timeout=None, cookies=cookies)  # noqa: S113 -- `Asker` has the clock
