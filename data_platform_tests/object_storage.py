"""An S3 server for tests: moto, on a port of 127.0.0.1, started when the first test asks for it.

A test's `Bucket` is its own; what it leaves there no other test sees.
"""

import atexit
import functools
import itertools
import logging
import os
import subprocess
import sys
from collections.abc import Mapping

import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from data_platform.spec.platform import S3Connection

on_both_places = pytest.mark.parametrize("lake_place", ["folder", "bucket"], indirect=True)
"""A test whose lake is in a folder, and in a bucket. `--lake-on-s3` puts all into buckets."""

ACCESS_KEY, SECRET_KEY = "tests", "a-secret-of-tests"
_numbers = itertools.count()


@functools.cache
def server_url() -> str:
    """Where the one server of this process listens."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


@functools.cache
def server_apart_url() -> str:
    """Where another server listens, in a process of its own, for lakes.

    Delta keeps Python's lock while it asks for a table's history: a server in the same process
    couldn't answer.
    """
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.kill)
    assert process.stdout is not None
    return process.stdout.readline().strip()


def usual_variables() -> dict[str, str]:
    """What AWS's own tools take from the environment, to reach the server of lakes."""
    return {
        "AWS_ENDPOINT_URL": server_apart_url(),
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }


class Bucket:
    """A new bucket on a server.

    Args:
        server: where it listens; None means the one of this process.
    """

    def __init__(self, server: str | None = None) -> None:
        self._server = server or server_url()
        self.name = f"bucket-{os.getpid()}-{next(_numbers)}"
        self.url = f"s3://{self.name}"
        self._store = S3Store(
            self.name,
            endpoint=self._server,
            region="us-east-1",
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            client_options={"allow_http": True},
        )
        self._create()

    def put(self, key: str, content: bytes | str) -> None:
        """Put an object."""
        obstore.put(self._store, key, content.encode() if isinstance(content, str) else content)

    def connection(self, **other: str | None) -> S3Connection:
        """How to reach it."""
        written: Mapping[str, str | None] = {
            "type": "s3",
            "endpoint_url": self._server,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            **other,
        }
        return S3Connection.model_validate(written)

    def keys(self) -> list[str]:
        """Of all objects."""
        return sorted(one["path"] for page in obstore.list(self._store) for one in page)

    def unfinished(self) -> int:
        """Uploads in parts that were begun and neither ended nor taken back."""
        return self._ask("GET", "?uploads").count("<Upload>")

    def _create(self) -> None:
        self._ask("PUT")

    def _ask(self, method: str, query: str = "") -> str:
        import urllib.request

        authorization = (
            f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20240101/us-east-1/s3/aws4_request"
        )
        request = urllib.request.Request(
            f"{self._server}/{self.name}{query}",
            method=method,
            headers={"Authorization": authorization},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
            return answer.read().decode()


if __name__ == "__main__":
    logging.disable()
    sys.stdout.write(f"{server_url()}\n")
    sys.stdout.flush()
    sys.stdin.read()  # until whoever started it ends
