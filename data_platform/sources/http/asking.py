"""Asking over HTTP: tries, redirects, credentials, a limit of time and size for a whole answer.

The asynchronous side of `client`, which runs it in a loop of its own. Must not know pages.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import anyio
import httpx
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from data_platform.errors import SourceError, SourceUnavailable
from data_platform.sources.http.auth import NotLetIn, Signature, basic, credentials_of
from data_platform.sources.http.masking import Secrets
from data_platform.sources.http.rates import RateLimit
from data_platform.sources.http.requests import Answer, Request, origin_of
from data_platform.sources.http.troubles import (
    LONGEST_WAIT,
    CutShort,
    Passing,
    retry_after,
    trouble_of,
)
from data_platform.spec.http import Auth, RequestRetry

LARGEST_ANSWER = 64 * 2**20
"""Bytes of one answer, decompressed: it is in memory while it is read."""
LONGEST_BACKOFF = 60.0
"""Seconds between two tries, where the server says nothing."""
_LOG = logging.getLogger("dagster.data_platform.api")
_LARGEST_REFUSAL = 65_536
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_BECOMES_GET = (301, 302, 303)
_UNAUTHORIZED = 401
_NOT_MODIFIED = 304
_HARMLESS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE")
"""Methods of which two do what one does (RFC 9110, 9.2.2)."""
_SAFE_AGAIN = (429, 503)
"""Answers by which a server says that it did nothing."""
T = TypeVar("T")


@dataclass(frozen=True)
class Manner:
    """How requests are made.

    Attributes:
        address: where the first one goes: credentials and `headers` go to its origin only.
        retry: when a request is asked again.
        headers: of every request there.
        auth: who asks, with secrets in place.
        timeout: of one try, from asking to the last byte, in seconds; None means no limit.
        limit: how often a server may be asked.
        reading: whether every request only reads, as those of sources do, and none may be refused.
            Else what may change something is tried again only where the server surely did nothing,
            and refusals are answers.
        largest: bytes of an answer.
    """

    address: httpx.URL = field(repr=False)
    retry: RequestRetry
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    auth: Auth | None = field(default=None, repr=False)
    timeout: float | None = 30.0
    limit: RateLimit | None = None
    reading: bool = True
    largest: int = LARGEST_ANSWER


def _log_retry(details: RetryDetails) -> None:
    _LOG.warning("%s; asked again in %.1f s", details.caused_by, details.wait_for)


# Stamina's own hook prints to the terminal where structlog is installed.
set_on_retry_hooks([_log_retry])


class Asker:
    """Asks, in an event loop.

    Args:
        library: httpx's client.
        manner: how requests are made.
        secrets: what is masked; those of the credentials are added.
    """

    def __init__(self, library: httpx.AsyncClient, manner: Manner, secrets: Secrets) -> None:
        self._library = library
        self._manner = manner
        self._secrets = secrets
        self._origin = origin_of(manner.address)
        self._credentials = credentials_of(manner.auth, secrets, self._ask_for_token)
        self._of_url = Signature()
        if manner.auth is None and manner.address.userinfo:
            header = basic(manner.address.username, manner.address.password, secrets)
            self._of_url = Signature({"Authorization": header})

    async def ask(self, request: Request, read: Callable[[Answer], T]) -> T:
        """What a reader makes of the answer, after as many tries as it takes or there are."""
        return await self._tried(request, lambda: self._signed_once(request, read))

    async def _ask_for_token(self, request: Request) -> Answer:
        """An answer of the server of tokens, also where it refuses."""
        return await self._tried(request, lambda: self._exchange(request, Signature()))

    async def _tried(self, request: Request, once: Callable[[], Awaitable[T]]) -> T:
        retry = self._manner.retry
        backoff = retry.backoff.total_seconds()
        last, tries = "", 0
        try:
            async for attempt in stamina.retry_context(
                on=lambda error: self._worth_it(error, request),
                attempts=retry.total + 1,
                timeout=None,
                wait_initial=backoff,
                wait_max=max(backoff, LONGEST_BACKOFF),
                wait_jitter=min(backoff, 1.0),
            ):
                with attempt:
                    tries = attempt.num
                    return await once()
        except Passing as error:
            last = str(error)
        # Raised out here, so that no library's error with its request hangs on it.
        raise SourceUnavailable(f"{last}{f' ({tries} tries)' if tries > 1 else ''}")

    def _worth_it(self, error: Exception, request: Request) -> bool | float:
        """Whether a try is followed by another; after how many seconds, if the server says so."""
        if not isinstance(error, Passing):
            return False
        harmless = self._manner.reading or request.method in _HARMLESS or error.untouched
        return harmless if error.wait is None or not harmless else error.wait

    async def _signed_once(self, request: Request, read: Callable[[Answer], T]) -> T:
        signature = await self._credentials.signature()
        answer = await self._followed(request, signature)
        if answer.status == _UNAUTHORIZED and self._credentials.refused(signature):
            answer = await self._followed(request, await self._credentials.signature())
        if self._manner.reading:
            self._let_in(answer)
        broken = None
        try:
            return read(answer)
        except CutShort as error:
            broken = str(error)
        raise Passing(f"{self._secrets.address(request.url)}: {self._secrets.masked(broken)}")

    def _let_in(self, answer: Answer) -> None:
        """Refuse refusals: for good, or until the server does better."""
        if answer.status == _UNAUTHORIZED:
            raise NotLetIn(self._about(answer))
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise SourceUnavailable(self._about(answer))
        if answer.status >= httpx.codes.MULTIPLE_CHOICES and answer.status != _NOT_MODIFIED:
            raise SourceError(self._about(answer))

    async def _followed(self, request: Request, signature: Signature) -> Answer:
        """The answer after redirects."""
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._exchange(request, signature)
            if answer.status not in _REDIRECTS or "Location" not in answer.headers:
                return answer
            request = self._redirected(request, answer)
        raise SourceError(
            f"{self._secrets.address(request.url)}: more than {_MOST_REDIRECTS} redirects"
        )

    def _redirected(self, request: Request, answer: Answer) -> Request:
        here = self._secrets.address(request.url)
        try:
            url = request.url.join(answer.headers["Location"])
        except (httpx.InvalidURL, UnicodeError):
            url = None
        if url is None or url.scheme not in ("http", "https") or not url.host:
            raise SourceError(f"{here} redirects to what is no address of the web")
        if request.url.scheme == "https" and url.scheme == "http":
            raise SourceError(f"{here} redirects to http, which anybody on the way can read")
        if answer.status in _BECOMES_GET and request.method != "HEAD":
            return replace(request, method="GET", url=url, body=None, content=None)
        if origin_of(url) != origin_of(request.url) and request.encoded()[0] is not None:
            raise SourceError(f"{here} redirects what is sent to it to another server")
        return request.to(url)

    async def _exchange(self, request: Request, signature: Signature) -> Answer:
        """One request and its answer, in time and whole."""
        if self._manner.limit is not None:
            await self._manner.limit.wait()
        trouble: Exception
        try:
            with anyio.fail_after(self._manner.timeout):
                async with self._library.stream(**self._sent(request, signature)) as response:
                    body = await self._body(request, response)
            return self._worthwhile(Answer(request, response.status_code, response.headers, body))
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            said, address = self._secrets.masked(str(error)), self._secrets.address(request.url)
            trouble = trouble_of(error, said, address, self._manner.timeout)
        raise trouble

    def _sent(self, request: Request, signature: Signature) -> dict[str, Any]:
        """The library's arguments; what is the first origin's own goes to no other."""
        content, headers = request.encoded()
        headers = {"Accept": "application/json", "User-Agent": "data-platform", **headers}
        url = request.url
        if origin_of(url) == self._origin:
            headers = _merged(headers, self._manner.headers)
        if origin_of(url) == request.home:
            headers = _merged(headers, request.headers)
        if origin_of(url) == self._origin:
            headers = _merged(headers, {**self._of_url.headers, **signature.headers})
            url = url.copy_merge_params(signature.params) if signature.params else url
        url = url.copy_with(userinfo=b"") if url.userinfo else url
        return {"method": request.method, "url": url, "headers": headers, "content": content}

    async def _body(self, request: Request, response: httpx.Response) -> bytes:
        """What came, decompressed; of a refusal the beginning."""
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if response.is_error and len(body) > _LARGEST_REFUSAL:
                break
            if len(body) > self._manner.largest:
                raise SourceError(
                    f"{self._secrets.address(request.url)}: an answer of more than "
                    f"{self._manner.largest / 2**20:g} MiB; ask for smaller pages"
                )
        return bytes(body)

    def _worthwhile(self, answer: Answer) -> Answer:
        """The answer, unless it is one that may pass."""
        if answer.status not in self._manner.retry.statuses:
            return answer
        wait = retry_after(answer.headers, datetime.now(UTC))
        about = self._about(answer)
        if wait is not None and wait > LONGEST_WAIT:
            raise SourceUnavailable(f"{about}; it asks to wait {wait:,.0f} s")
        raise Passing(about, wait, untouched=answer.status in _SAFE_AGAIN)

    def _about(self, answer: Answer) -> str:
        said = self._secrets.excerpt(answer.text)
        asked = f"{answer.request.method} {self._secrets.address(answer.request.url)}"
        return f"{asked} answered {answer.status}{f': {said}' if said else ''}"


def _merged(headers: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """Headers, of which the later ones win whatever their case."""
    taken = {name.lower() for name in others}
    return {**{n: v for n, v in headers.items() if n.lower() not in taken}, **others}
