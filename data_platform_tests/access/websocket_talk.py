"""GraphQL over a websocket, as Dagster's UI and as others speak it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

OLD, NEW = Subprotocol("graphql-ws"), Subprotocol("graphql-transport-ws")
PATIENCE = 30
"""Seconds for a message that must come."""


class Talk:
    """An open websocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send(self, **message: Any) -> None:
        self._connection.send(json.dumps(message))

    def next(self) -> dict[str, Any]:
        return json.loads(self._connection.recv(PATIENCE))

    def begin(self) -> None:
        self.send(type="connection_init", payload={})
        assert self.next() == {"type": "connection_ack"}

    def ask(self, document: str, kind: str = "start", **variables: Any) -> None:
        self.send(id="1", type=kind, payload={"query": document, "variables": variables})


@contextmanager
def talking(
    url: str, origin: str | None = None, protocols: tuple[Subprotocol, ...] = (OLD,)
) -> Iterator[Talk]:
    """Open a websocket of a server.

    Args:
        url: of the server.
        origin: of the page that would open it; None means that it is no page.
        protocols: that are offered.
    """
    address = url.replace("http://", "ws://") + "/graphql"
    page = None if origin is None else Origin(origin)
    with connect(address, origin=page, subprotocols=[*protocols]) as connection:
        talk = Talk(connection)
        talk.begin()
        yield talk
