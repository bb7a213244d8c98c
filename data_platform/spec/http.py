"""How an HTTP API is asked: who asks, how its pages follow one another, when it is asked again.

The models of `auth`, `pagination`, `retry` and `rate_limit` of a source `api` and of a connection
`api`; `sources.http` does what they say. Texts keep their `${VAR}` until something connects.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from data_platform.spec.model import Model
from data_platform.spec.times import Duration
from data_platform.spec.wording import problem

_RATE_PATTERN = r"^[1-9][0-9]{0,6}/[smh]$"
_PATH_PATTERN = r"^[^.\s]+(\.[^.\s]+)*$"
MAX_PAGES = 100


def _rate(value: str) -> str:
    if not re.fullmatch(_RATE_PATTERN, value):
        template = "{found} is no rate: requests a second, minute or hour, such as 10/s, 600/m"
        raise problem("rate", template, value)
    return value


def _dotted(value: str) -> str:
    if not re.fullmatch(_PATH_PATTERN, value):
        raise problem("path", "{found} is no path into JSON: keys joined by dots", value)
    return value


Rate = Annotated[
    str, AfterValidator(_rate), WithJsonSchema({"type": "string", "pattern": _RATE_PATTERN})
]
"""Requests a second, minute or hour: `10/s`."""
JsonPath = Annotated[
    str, AfterValidator(_dotted), WithJsonSchema({"type": "string", "pattern": _PATH_PATTERN})
]
"""Keys joined by dots, from the document's root: `data.items`."""


class BearerAuth(Model):
    """`Authorization: Bearer <token>`."""

    type: Literal["bearer"]
    """How it is shown who asks."""
    token: str = Field(repr=False)
    """By reference, such as `${API_TOKEN}` or `${file:/run/secrets/token}`."""


class BasicAuth(Model):
    """`Authorization: Basic ...`."""

    type: Literal["basic"]
    """How it is shown who asks."""
    username: str
    """Who asks."""
    password: str = Field(repr=False)
    """By reference."""


class ApiKeyAuth(Model):
    """A key in a header or in the query."""

    type: Literal["api_key"]
    """How it is shown who asks."""
    name: str
    """Of the header or parameter."""
    value: str = Field(repr=False)
    """By reference."""
    in_: Literal["header", "query"] = Field(default="header", alias="in")
    """Where it stands."""


class OAuth2Auth(Model):
    """A token for client credentials (RFC 6749, 4.4), renewed when it ends or is refused."""

    type: Literal["oauth2"]
    """How it is shown who asks."""
    token_url: str
    """Where tokens are given."""
    client_id: str
    """Who asks."""
    client_secret: str = Field(repr=False)
    """By reference."""
    scope: str | None = None
    """What is asked for; None means what the server gives."""


def _typed(kinds: str) -> BeforeValidator:
    def has_type(value: Any) -> Any:
        if isinstance(value, dict) and "type" not in value:
            raise problem("missing", f"'type' is missing; there are: {kinds}")
        return value  # pyright: ignore[reportUnknownVariableType]

    return BeforeValidator(has_type)


Auth = Annotated[
    BearerAuth | BasicAuth | ApiKeyAuth | OAuth2Auth,
    Field(discriminator="type"),
    _typed("bearer, basic, api_key, oauth2"),
]


class PagePagination(Model):
    """Pages by number, up to an empty one or as the answer says."""

    type: Literal["page"]
    """How pages follow one another."""
    page_param: str = "page"
    """The parameter of the page's number."""
    size_param: str = "per_page"
    """The parameter of the page's size."""
    page_size: int = Field(default=100, ge=1)
    """Records of a page."""
    first_page: int = Field(default=1, ge=0)
    """The first page's number."""
    total_path: JsonPath | None = None
    """Where the answer says how many records there are in all."""
    has_more_path: JsonPath | None = None
    """Where the answer says whether there is another page."""
    max_pages: int = Field(default=MAX_PAGES, ge=1)
    """Pages that are read at most; more to come is an error."""


class OffsetPagination(Model):
    """Pages by the number of records before them."""

    type: Literal["offset"]
    """How pages follow one another."""
    offset_param: str = "offset"
    """The parameter of the records before the page."""
    limit_param: str = "limit"
    """The parameter of the page's size."""
    page_size: int = Field(default=100, ge=1)
    """Records of a page."""
    total_path: JsonPath | None = None
    """Where the answer says how many records there are in all."""
    has_more_path: JsonPath | None = None
    """Where the answer says whether there is another page."""
    max_pages: int = Field(default=MAX_PAGES, ge=1)
    """Pages that are read at most; more to come is an error."""


class CursorPagination(Model):
    """Pages by what the page before names as the next one."""

    type: Literal["cursor"]
    """How pages follow one another."""
    next_path: JsonPath
    """Where the answer has the cursor of the next page; missing, null or empty is the end."""
    cursor_param: str = "cursor"
    """The parameter that takes it."""
    max_pages: int = Field(default=MAX_PAGES, ge=1)
    """Pages that are read at most; more to come is an error."""


class LinkPagination(Model):
    """Pages by the header `Link` with `rel="next"` (RFC 8288)."""

    type: Literal["link"]
    """How pages follow one another."""
    max_pages: int = Field(default=MAX_PAGES, ge=1)
    """Pages that are read at most; more to come is an error."""


class NoPagination(Model):
    """One answer has all."""

    type: Literal["none"]
    """How pages follow one another."""


Pagination = Annotated[
    PagePagination | OffsetPagination | CursorPagination | LinkPagination | NoPagination,
    Field(discriminator="type"),
    _typed("page, offset, cursor, link, none"),
]


class RequestRetry(Model):
    """When one request is asked again, before its step fails."""

    total: int = Field(default=3, ge=0)
    """Tries after the first."""
    backoff: Duration = Field(default="1s", validate_default=True)
    """Before the second try; doubled from try to try, unless `Retry-After` says otherwise."""
    statuses: list[Annotated[int, Field(ge=400, le=599)]] = Field(
        default_factory=lambda: [429, 500, 502, 503, 504]
    )
    """Answers that may pass."""
