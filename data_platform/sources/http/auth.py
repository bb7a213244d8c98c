"""How it is shown who asks: what is added to a request that goes to the first origin.

Made of `auth` of a source or connection; `client` asks for a signature before each request. Only
tokens of OAuth2 come from a server; requests for them go by the same client.
"""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, assert_never, cast
from urllib.parse import quote_plus, urlencode

import anyio
import httpx

from data_platform.errors import SourceError
from data_platform.sources.http.masking import Secrets
from data_platform.sources.http.requests import Answer, Request, origin_of
from data_platform.spec.http import ApiKeyAuth, Auth, BasicAuth, BearerAuth, OAuth2Auth

_MARGIN = 30.0
"""Seconds before its end from which a token is renewed, so that it doesn't end on the way; of a
token of less than five minutes a tenth of its life."""
_REFUSED = (400, 401)

Ask = Callable[[Request], Awaitable[Answer]]


class NotLetIn(SourceError):
    """The server doesn't take the credentials: no request of this source will do better."""


@dataclass(frozen=True)
class Signature:
    """What is added to a request, headers and parameters."""

    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    params: dict[str, str] = field(default_factory=dict[str, str], repr=False)


class Credentials(Protocol):
    """Who asks."""

    async def signature(self) -> Signature:
        """What is added to the next request."""
        ...

    def refused(self, signature: Signature) -> bool:
        """Note that a signature was refused; whether another one may do better."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Credentials that stay the same; without any, nobody's."""

    given: Signature = Signature()

    async def signature(self) -> Signature:
        """The one that there is."""
        return self.given

    def refused(self, signature: Signature) -> bool:
        """There is no other."""
        del signature
        return False


def credentials_of(auth: Auth | None, secrets: Secrets, ask: Ask) -> Credentials:
    """Who asks, by what was declared.

    Args:
        auth: with secrets in place.
        secrets: where these are noted.
        ask: sends a request for a token.
    """
    match auth:
        case None:
            return Fixed()
        case BearerAuth():
            secrets.add(auth.token)
            return Fixed(Signature({"Authorization": f"Bearer {auth.token}"}))
        case BasicAuth():
            return Fixed(Signature({"Authorization": basic(auth.username, auth.password, secrets)}))
        case ApiKeyAuth():
            secrets.add(auth.value)
            pair = {auth.name: auth.value}
            return Fixed(Signature(pair) if auth.in_ == "header" else Signature(params=pair))
        case OAuth2Auth():
            return ClientCredentials(auth, secrets, ask)
        case _:
            assert_never(auth)


def basic(username: str, password: str, secrets: Secrets) -> str:
    """The header of basic authentication (RFC 7617)."""
    empty = httpx.Request("GET", "http://localhost")
    signed = next(httpx.BasicAuth(username, password).auth_flow(empty))
    header = signed.headers["Authorization"]
    secrets.add(password, header.removeprefix("Basic "))
    return header


class ClientCredentials:
    """A token for client credentials (RFC 6749, 4.4), shared by all requests of a client.

    It is kept until it ends, less a margin, and renewed when it is refused. The client shows who it
    is by basic authentication, which every server must know; to one that doesn't, in the form.

    Args:
        auth: what was declared.
        secrets: where secrets and tokens are noted.
        ask: sends a request.
        clock: rises, in seconds.
    """

    def __init__(
        self,
        auth: OAuth2Auth,
        secrets: Secrets,
        ask: Ask,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._auth = auth
        self._secrets = secrets
        self._ask = ask
        self._clock = clock
        self._lock = anyio.Lock()
        self._kept: Signature | None = None
        self._ends: float | None = None
        secrets.add(auth.client_secret)

    async def signature(self) -> Signature:
        """The token that there is, or a new one."""
        async with self._lock:
            ended = self._ends is not None and self._clock() >= self._ends
            if self._kept is None or ended:
                self._kept = await self._renewed()
            return self._kept

    def refused(self, signature: Signature) -> bool:
        """Forget the token, unless somebody has a newer one already."""
        if self._kept is signature:
            self._kept = None
        return True

    async def _renewed(self) -> Signature:
        asked_at = self._clock()
        answer = await self._ask(self._request(in_form=False))
        if answer.status in _REFUSED:
            answer = await self._ask(self._request(in_form=True))
        given = _mapping(answer.body)
        token = given.get("access_token")
        if answer.status in _REFUSED or not isinstance(token, str) or not token:
            raise NotLetIn(f"{self._auth_address()} gave no token: {self._reason(answer, given)}")
        life = _seconds(given.get("expires_in"))
        self._ends = asked_at + life - min(_MARGIN, life / 10) if life is not None else None
        self._secrets.add(token)
        return Signature({"Authorization": f"Bearer {token}"})

    def _request(self, *, in_form: bool) -> Request:
        auth = self._auth
        form = {"grant_type": "client_credentials"}
        if auth.scope is not None:
            form["scope"] = auth.scope
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if in_form:
            form |= {"client_id": auth.client_id, "client_secret": auth.client_secret}
        else:
            name, secret = quote_plus(auth.client_id), quote_plus(auth.client_secret)
            headers["Authorization"] = basic(name, secret, self._secrets)
        url = httpx.URL(auth.token_url)
        content = urlencode(form).encode()
        return Request("POST", url, origin_of(url), headers, content=content)

    def _auth_address(self) -> str:
        return self._secrets.address(httpx.URL(self._auth.token_url))

    def _reason(self, answer: Answer, given: dict[str, Any]) -> str:
        """What the server said, as RFC 6749, 5.2 has it. Other values may be tokens."""
        words = [str(given[key]) for key in ("error", "error_description") if given.get(key)]
        if not words and given:
            words = [f"keys {', '.join(given)}"]
        return f"status {answer.status}, {self._secrets.excerpt(': '.join(words) or answer.text)}"


def _mapping(body: bytes) -> dict[str, Any]:
    try:
        given: Any = json.loads(body)
    except ValueError:
        given = None
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {}


def _seconds(life: object) -> float | None:
    """How long a token lives; None where nothing sensible is said: then until it is refused."""
    try:
        seconds = float(cast("Any", life))
    except (TypeError, ValueError):
        return None
    return seconds if seconds > 0 else None
