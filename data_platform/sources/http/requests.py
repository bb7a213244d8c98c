"""One request of a source: where it goes, what it carries, what changes from page to page.

Made by `sources.http.questions`, turned by `pagination`, sent by `client`. Holds no credentials.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import httpx

from data_platform.errors import SourceError

Origin = tuple[str, str, int | None]


def origin_of(url: httpx.URL) -> Origin:
    """Scheme, host and port: credentials belong to one of these."""
    ports = {"http": 80, "https": 443}
    return url.scheme, url.host, url.port or ports.get(url.scheme)


def with_params(url: httpx.URL, params: Mapping[str, Any]) -> httpx.URL:
    """A URL with further parameters, in place of those of their names.

    Raises:
        SourceError: it would be longer than a URL can be.
    """
    try:
        return url.copy_merge_params(params)
    except httpx.InvalidURL:
        names = ", ".join(params)
    raise SourceError(
        f"the address would be too long with {names}: send them in the body of a POST"
    )


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        method: GET or POST of sources; any of a person's own code.
        url: with its parameters.
        home: whom the headers are meant for: redirects and links elsewhere go without them.
        headers: of this request.
        body: None, a text that is sent as it is, or what is sent as JSON.
        content: a body in bytes; goes before `body`.
    """

    method: str
    url: httpx.URL = field(repr=False)
    home: Origin
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: Any = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)

    def asking(self, **parameters: str | int) -> "Request":
        """The same with other parameters: of a body that is a mapping, else of the URL."""
        body: Any = self.body
        if isinstance(body, dict):
            return replace(self, body={**cast("dict[str, Any]", body), **parameters})
        return replace(self, url=with_params(self.url, parameters))

    def with_headers(self, headers: Mapping[str, str]) -> "Request":
        """The same with further headers."""
        return replace(self, headers={**self.headers, **headers})

    def to(self, url: httpx.URL) -> "Request":
        """The same of another address."""
        return replace(self, url=url)

    def encoded(self) -> tuple[bytes | None, dict[str, str]]:
        """The body as bytes, and the header that tells what it is."""
        match self.body:
            case _ if self.content is not None:
                return self.content, {}
            case None:
                return None, {}
            case str() as text:
                return text.encode(), {"Content-Type": "text/plain; charset=utf-8"}
            case other:
                content = json.dumps(other, ensure_ascii=False, separators=(",", ":"))
                return content.encode(), {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What came back, whole.

    Attributes:
        request: that it answers, after redirects.
        status: of HTTP.
        headers: as they came.
        body: decoded where it was compressed.
    """

    request: Request
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def text(self) -> str:
        """The body, as far as it is text: for messages."""
        return self.body[:2000].decode("utf-8", "replace")
