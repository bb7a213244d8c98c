"""Steps against a server that is down: it sees few connections, whoever runs them."""

import socket
import threading
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster_steps import failure_of, run_assets
from factories import Project

from data_platform.instance.circuit_store import CircuitStore
from data_platform.sources.circuits import FAILURES, read


class Hanging:
    """A server that closes every connection, and counts them."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@pytest.fixture
def server() -> Iterator[Hanging]:
    one = Hanging()
    yield one
    one.close()


def test_a_dead_server_sees_few_connections(
    project: Project, instance: dg.DagsterInstance, server: Hanging
) -> None:
    url = f"postgresql://u:secret@127.0.0.1:{server.port}/x?sslmode=disable&gssencmode=disable"
    project.platform(f"connections:\n  shop: {{type: database, url: '{url}'}}\n")
    names = [f"t{number}" for number in range(8)]
    project.declare(
        "sources:\n"
        + "".join(
            f"  {name}: {{type: database, connection: shop, table: {name},"
            " retries: {delays: [0s, 0s]}}\n"
            for name in names
        )
    )
    result = run_assets(project, instance, *(f"raw/{name}" for name in names[:4]))
    assert not result.success
    seen = server.connections
    assert 0 < seen <= 2 * FAILURES
    # Another run, as in another process: it finds the circuit in Dagster's database.
    last = run_assets(project, instance, "raw/t7")
    assert server.connections == seen
    text = failure_of(last)
    assert "connection shop wasn't asked: it has failed " in text
    assert "secret" not in text
    circuit = read(CircuitStore(instance).get("connection shop"))
    assert circuit.is_open
    assert "secret" not in circuit.said
