"""A server that takes events of OpenLineage.

Made by `choosing`.
"""

import json
import time
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

import requests
from openlineage.client.transport.http import (
    ApiKeyTokenProvider,
    HttpConfig,
    HttpTransport,
    TokenProvider,
)

from data_platform.observability.openlineage.sinks.sending import (
    SECONDS,
    Refused,
    Sent,
    Unavailable,
)

_OF_THE_EVENT = frozenset({400, 409, 411, 413, 414, 415, 422, 431})
"""Statuses by which a server refuses an event; others of 4xx are about who asks, or the address."""


class HttpSink:
    """A server that takes OpenLineage's API, by OpenLineage's own client.

    Args:
        url: of the server; the API is below it.
        api_key: None where it asks for none.
        seconds: in which it must answer.
    """

    def __init__(self, url: str, api_key: str | None, seconds: float = SECONDS) -> None:
        parts = urlsplit(url)
        self._place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        session = requests.Session()
        # An answer's text isn't waited for, however slowly it comes.
        session.stream = True
        self._transport = HttpTransport(
            HttpConfig(
                url=f"{url.rstrip('/')}/",
                timeout=seconds,
                auth=ApiKeyTokenProvider({"apiKey": api_key}) if api_key else TokenProvider({}),
                session=session,
                retry={"total": 0, "status_forcelist": []},
            )
        )

    def send(self, events: Sequence[str], until: float) -> Sent:
        """One request an event."""
        for number, event in enumerate(events):
            if time.monotonic() >= until:
                return Sent(number)
            trouble = self._posted(event)
            if trouble is not None:
                return Sent(number, trouble)
        return Sent(len(events))

    def close(self) -> None:
        """Close connections that are open."""
        self._transport.close()

    def _posted(self, event: str) -> Unavailable | Refused | None:
        try:
            answer = self._transport.emit(json.loads(event))  # pyright: ignore[reportArgumentType]
        except requests.HTTPError as error:
            return self._answered(error.response.status_code if error.response is not None else 0)
        except requests.Timeout:
            return Unavailable(f"{self._place} doesn't answer in time")
        except requests.RequestException as error:
            return Unavailable(f"{self._place} can't be reached: {type(error).__name__}")
        if answer.history:
            # A POST that is redirected is asked again as a GET, which tells nothing.
            return Unavailable(f"{self._place} sends to another address: name that as `url`")
        return None

    def _answered(self, status: int) -> Unavailable | Refused:
        words = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
        text = f"{self._place} answers {status} {words}".rstrip()
        return Refused(text) if status in _OF_THE_EVENT else Unavailable(text)
