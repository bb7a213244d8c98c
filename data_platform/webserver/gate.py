"""What stands before Dagster's webserver: foreign pages, who asks, and what may be asked at all.

Put around the application by `app`. It looks at the head of a request only; documents of GraphQL
are judged by `app` itself.
"""

from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data_platform.instance.users import request_of
from data_platform.webserver.documents import READ_ONLY

_SAFE = ("GET", "HEAD", "OPTIONS")
_LONGEST_NAME = 254
"""Characters of a user's name: an address of mail has no more."""
_FRAMES = "frame-ancestors 'self'"
_FOREIGN = (
    "the page that asks is of another site: open Dagster by its own address, or name the page's "
    "origin with --origin"
)


@dataclass(frozen=True)
class Refusal:
    """Why a request isn't taken."""

    status: HTTPStatus
    reason: str

    def response(self) -> JSONResponse:
        """As Dagster's UI and people read it."""
        return JSONResponse(
            {"error": self.reason, "data": None, "errors": [{"message": self.reason}]}, self.status
        )


@dataclass(frozen=True)
class Rules:
    """What a server lets in.

    Attributes:
        read_only: nothing that changes anything.
        user_header: in which a proxy says who asks; None means that nobody says so.
        origins: of whose pages requests are taken, besides those of the server's own address.
        prefix: of all paths, such as `/dagster`; empty means none.
    """

    read_only: bool = False
    user_header: str | None = None
    origins: frozenset[str] = frozenset()
    prefix: str = ""

    def unknown(self, user: str | None) -> Refusal | None:
        """A change that nobody made is refused where all who sign in are known."""
        if self.user_header is None or user is not None:
            return None
        reason = (
            f"the header {self.user_header} is missing, or there are several: the server doesn't "
            "know who asks; sign in at the address of the proxy"
        )
        return Refusal(HTTPStatus.UNAUTHORIZED, reason)


class Gate:
    """An application that passes on what may come in."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        """Stand before an application.

        Args:
            app: Dagster's webserver.
            rules: of what may come in.
        """
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on with whom it is from."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        user = self._user(headers)
        refusal = self._foreign(scope, headers) or self._by_path(scope, user)
        sending = send if scope["type"] == "websocket" else _with_headers(send)
        if refusal is not None:
            # Of a websocket too: the answer is sent instead of opening it.
            await refusal.response()(scope, receive, sending)
            return
        with request_of(user):
            await self._app(scope, receive, sending)

    def _foreign(self, scope: Scope, headers: Headers) -> Refusal | None:
        """A page of another site that uses the cookies of whoever looks at it."""
        if scope["type"] == "http" and scope["method"] in _SAFE:
            return None
        origin = headers.get("origin")
        if origin is None:
            # Programs send none. Browsers do, but for what an old one asks of its own site.
            foreign = headers.get("sec-fetch-site", "none") in ("cross-site", "same-site")
        else:
            foreign = origin not in self._rules.origins and not _is_own(origin, headers)
        return Refusal(HTTPStatus.FORBIDDEN, _FOREIGN) if foreign else None

    def _by_path(self, scope: Scope, user: str | None) -> Refusal | None:
        """What changes something by its path and method. POST is GraphQL's for questions too."""
        path = scope["path"].removeprefix(self._rules.prefix)
        if scope["type"] == "websocket" or scope["method"] in _SAFE or path == "/graphql":
            return None
        if self._rules.read_only:
            return Refusal(HTTPStatus.FORBIDDEN, READ_ONLY)
        return self._rules.unknown(user)

    def _user(self, headers: Headers) -> str | None:
        name = self._rules.user_header
        return None if name is None else named(headers.getlist(name))


def named(said: Collection[str]) -> str | None:
    """The user that headers name; None where they name none, or more than one."""
    if len(said) != 1:
        return None
    # A proxy sends names in UTF-8, which HTTP takes for Latin-1.
    text = "".join(said).encode("latin-1").decode("utf-8", "replace").strip()
    return "".join(one for one in text if one.isprintable())[:_LONGEST_NAME] or None


def _is_own(origin: str, headers: Headers) -> bool:
    """Whether a page is of the address that is asked. Pages can't choose these headers."""
    hosts = {headers.get("host", ""), *_parts(headers.get("x-forwarded-host", ""))}
    return urlsplit(origin).netloc.lower() in {host.lower() for host in hosts if host}


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _with_headers(send: Send) -> Send:
    """Answers that browsers show in no page of another site, and of which they guess nothing."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Frame-Options"] = "SAMEORIGIN"
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Referrer-Policy", "strict-origin-when-cross-origin")
            policy = headers.get("content-security-policy", "").rstrip("; ")
            headers["Content-Security-Policy"] = f"{policy}; {_FRAMES}" if policy else _FRAMES
        await send(message)

    return sending
