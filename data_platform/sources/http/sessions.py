"""An httpx client for people's own code, with what a connection says: address, credentials, rate.

Made by `resources`. What is asked goes through the same client as a source's pages: retries, time
limit, redirects and secrets are the same. Refusals are answers here, as httpx gives them.
"""

from collections.abc import Generator
from contextlib import contextmanager

import httpx

from data_platform.sources.http.asking import Manner
from data_platform.sources.http.client import Client, opened
from data_platform.sources.http.masking import Secrets
from data_platform.sources.http.questions import address_of, rate_limit_of
from data_platform.sources.http.requests import Request, origin_of
from data_platform.spec.http import RequestRetry
from data_platform.spec.platform import ApiConnection

_BY_HOP = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
)
"""Headers of one connection: the inner client makes its own."""
_BY_BODY = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers about how a body came, which is whole and decompressed by now."""


@contextmanager
def session(
    connection: ApiConnection, timeout: float, retry: RequestRetry
) -> Generator[httpx.Client]:
    """A client; its connections are closed at the end.

    Args:
        connection: with secrets in place.
        timeout: of one try, from asking to the last byte, in seconds.
        retry: when a request is asked again.

    Raises:
        SourceError: the connection's url is no address.
    """
    address = address_of(connection.url)
    limit = rate_limit_of(connection.rate_limit, "connection", connection)
    manner = Manner(
        address, retry, connection.headers, connection.auth, timeout, limit, reading=False
    )
    with opened(manner, Secrets()) as client:
        base = address.copy_with(userinfo=b"")
        with httpx.Client(base_url=base, transport=_Handed(client)) as library:
            yield library


class _Handed(httpx.BaseTransport):
    """Hands requests to the platform's client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = {n: v for n, v in request.headers.items() if n.lower() not in _BY_HOP}
        content = request.read() or None
        home = origin_of(request.url)
        asked = Request(request.method, request.url, home, headers, content=content)
        answer = self._client.ask(asked, lambda answer: answer)
        return httpx.Response(
            answer.status,
            headers=[(n, v) for n, v in answer.headers.multi_items() if n.lower() not in _BY_BODY],
            content=answer.body,
        )
