"""What one partition asks an API: an address, parameters, headers and body, with values in place.

Called by `arriving`. Values are put where the text says, each quoted as its place needs; secrets
come in by `${...}` and are noted, so that they are masked.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast
from urllib.parse import quote

import httpx

from data_platform.errors import SourceError
from data_platform.plan.naming import WHOLE
from data_platform.plan.partitions import Partitions
from data_platform.plan.sources.kinds import Api
from data_platform.plan.sources.request_parameters import (
    WATERMARK,
    own_parameters,
    parameters_within,
    replaced,
    whole_parameter,
    with_colons,
)
from data_platform.sources.arrivals import Question
from data_platform.sources.binding import BoundValue, bound_values
from data_platform.sources.http.masking import Secrets
from data_platform.sources.http.rates import RateLimit
from data_platform.sources.http.requests import Request, origin_of, with_params
from data_platform.spec.http import Auth
from data_platform.spec.platform import ApiConnection
from data_platform.spec.references import references
from data_platform.spec.secrets import looks_secret
from data_platform.spec.variables import expand_texts


@dataclass(frozen=True)
class Place:
    """Where an API is, and who asks: of the source and its connection together.

    Attributes:
        address: where requests go.
        headers: of the connection.
        auth: with secrets in place.
        limit: how often it may be asked.
    """

    address: httpx.URL = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    auth: Auth | None = field(repr=False)
    limit: RateLimit | None


def place_of(question: Question, source: Api, secrets: Secrets) -> Place:
    """Where a source's requests go.

    Raises:
        PermanentError: a variable isn't set, or the address is none.
    """
    connection = (
        question.outside.connection(source.connection) if source.connection is not None else None
    )
    headers, url, auth = dict[str, str](), source.url or "", None
    limit = rate_limit_of(source.rate_limit, f"{question.node.key}", source)
    if isinstance(connection, ApiConnection):
        headers, auth = connection.headers, connection.auth
        url = joined(connection.url, source.path)
        if limit is None:
            limit = rate_limit_of(connection.rate_limit, "connection", connection)
    for name, value in headers.items():
        if looks_secret(name):
            secrets.add(value, value.rpartition(" ")[2])
    if source.auth is not None:
        auth = expand_texts(source.auth, _noting(question, secrets))
    return Place(address_of(url), headers, auth, limit)


def rate_limit_of(rate: str | None, name: str, where: Api | ApiConnection) -> RateLimit | None:
    """A limit that all share who ask the same: a connection by its address.

    Args:
        rate: such as `10/s`.
        name: of the source, or `connection`.
        where: it.
    """
    return RateLimit(rate, f"{name} {where.url}") if rate is not None else None


def joined(url: str, path: str | None) -> str:
    """A connection's address and a path below it."""
    return url if not path else f"{url.rstrip('/')}/{path.lstrip('/')}"


def address_of(url: str) -> httpx.URL:
    """An address of the web."""
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        address = None
    if address is None or address.scheme not in ("http", "https") or not address.host:
        raise SourceError("the url is no address: it begins with http:// or https://, and a host")
    return address


def request_of(
    question: Question, source: Api, place: Place, key: str, secrets: Secrets
) -> Request:
    """What a partition asks."""
    expand, values = _noting(question, secrets), values_of(question, key)
    secrets.add(place.address.password)

    own = own_parameters(question.node.partitions)

    def filled(text: str) -> Any:
        return _filled(expand, text, values, own)

    url = place.address.copy_with(raw_path=_path(place.address, values, own).encode("ascii"))
    params = {name: _texts(_mapped(value, filled)) for name, value in source.params.items()}
    url = with_params(url, {name: value for name, value in params.items() if value})
    headers = {name: _text(filled(text)) for name, text in source.headers.items()}
    for name, value in headers.items():
        if looks_secret(name):
            secrets.add(value, value.rpartition(" ")[2])
    body = _mapped(source.body, filled) if source.body is not None else None
    return Request(source.method, url, origin_of(url), headers, body)


def values_of(question: Question, key: str) -> dict[str, BoundValue]:
    """The values of bind parameters; begin and end of a partition are aware here."""
    values = bound_values(question, [key])
    partitions: Partitions | None = question.node.partitions
    if partitions is not None and partitions.time is not None and key != WHOLE:
        start, end = (m.astimezone(partitions.time.zone) for m in partitions.window(key))
        values |= {"partition_start": start, "partition_end": end}
    return values


def fingerprint(source: Api, place: Place, values: Mapping[str, BoundValue]) -> str:
    """A hash of what is asked, as it is written: secrets aren't part of it."""
    written = [source.params, source.headers, source.body, source.data_path, source.method]
    bound = {name: _text(value) for name, value in sorted(values.items())}
    text = json.dumps([f"{place.address.copy_with(userinfo=b'')}", written, bound], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _noting(question: Question, secrets: Secrets) -> Any:
    def expand(text: str) -> str:
        for reference in references(text):
            secrets.add(question.outside.expand(reference))
        return question.outside.expand(text)

    return expand


class _LeftOut:
    """What has no value: the parameter isn't sent."""


_LEFT_OUT = _LeftOut()


def _filled(expand: Any, text: str, values: Mapping[str, BoundValue], own: Collection[str]) -> Any:
    """A text with its variables and parameters; the value itself where it is one as a whole."""
    name = whole_parameter(text)
    if name is not None and name in values:
        value = values[name]
        return _LEFT_OUT if value is None else _plain(value)
    if any(values.get(name) is None for name in parameters_within(text, own)):
        return _LEFT_OUT
    # Parameters first: what a variable holds is sent as it is.
    return expand(replaced(text, own, lambda name: _text(values[name]).replace("${", "$${")))


def _mapped(value: Any, filled: Any) -> Any:
    match value:
        case str():
            return filled(value)
        case dict():
            below = {k: _mapped(v, filled) for k, v in cast("dict[str, Any]", value).items()}
            return {k: v for k, v in below.items() if v is not _LEFT_OUT}
        case list():
            items = [_mapped(v, filled) for v in cast("list[Any]", value)]
            return [item for item in items if item is not _LEFT_OUT]
        case _:
            return value


def _plain(value: BoundValue) -> bool | int | float | str | None:
    """A value as JSON has it: times are ISO 8601, decimals keep their digits as text."""
    match value:
        case datetime():
            return _moment(value)
        case date():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() else f"{value:f}"
        case _:
            return value


def _moment(value: datetime) -> str:
    if value.tzinfo is not None and value.utcoffset() == UTC.utcoffset(None):
        return f"{value.replace(tzinfo=None).isoformat()}Z"
    return value.isoformat()


def _text(value: Any) -> str:
    plain = "" if value is None or value is _LEFT_OUT else _plain(value)
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def _texts(value: Any) -> list[str]:
    """The values of one parameter: a list is sent as one each."""
    values = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [_text(one) for one in values if one is not None and one is not _LEFT_OUT]


def _path(address: httpx.URL, values: Mapping[str, BoundValue], own: Collection[str]) -> str:
    """The path and query of an address, with a partition's values quoted."""

    def value(name: str) -> str:
        if name == WATERMARK:
            return f":{name}"
        return quote(_text(values.get(name)), safe="")

    # httpx percent-encodes braces.
    path = address.raw_path.decode("ascii").replace("%7B", "{").replace("%7D", "}")
    return replaced(with_colons(path, own), own, value).replace("{", "%7B").replace("}", "%7D")
