"""The HTTP server from which Prometheus scrapes: `/metrics`, `/healthz`, and a page that says so.

Called by the command.
"""

import socket
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from data_platform.errors import PermanentError

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>data-platform metrics</title>
<h1>data-platform metrics</h1>
<p><a href="/metrics">/metrics</a>: for Prometheus. <a href="/healthz">/healthz</a>: this process is
up; whether it reaches Dagster's database, <code>data_platform_up</code> says.</p></html>
"""
_Reply = Callable[..., Any]


@contextmanager
def served(collector: Collector, host: str, port: int) -> Generator[int]:
    """A server of what is collected, until the block ends.

    Args:
        collector: asked at each scrape.
        host: to listen on.
        port: to listen on; 0 takes a free one.

    Yields:
        The port.

    Raises:
        PermanentError: it can't listen there.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server = make_server(host, port, _app(registry), _server_of(host), _Quiet)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PermanentError(
            f"can't listen on {host}:{port}: {reason}; choose another --port or --host"
        ) from error
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _app(registry: CollectorRegistry) -> Callable[[dict[str, Any], _Reply], Iterable[bytes]]:
    metrics = make_wsgi_app(registry)

    def app(environ: dict[str, Any], reply: _Reply) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, reply)
            case "/healthz":
                return _text(reply, "200 OK", "text/plain", "up\n")
            case "/":
                return _text(reply, "200 OK", "text/html", _PAGE)
            case _:
                return _text(reply, "404 Not Found", "text/plain", "metrics are at /metrics\n")

    return app


def _text(reply: _Reply, status: str, kind: str, text: str) -> list[bytes]:
    body = text.encode()
    reply(status, [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]


class _Quiet(WSGIRequestHandler):
    """Says nothing of a scrape every few seconds."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base's name
        """Nothing."""


def _server_of(host: str) -> type[WSGIServer]:
    class Server(ThreadingWSGIServer):
        """In the host's family of addresses."""

        address_family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]

    return Server
