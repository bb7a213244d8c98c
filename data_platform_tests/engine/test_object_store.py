"""What goes wrong with a bucket is told in words, and told apart by whether it passes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import obstore
import pytest
from object_storage import ACCESS_KEY, SECRET_KEY, Bucket, server_url

from data_platform.engine.object_store import ObjectStore, StoredObject
from data_platform.errors import PlatformError, SourceError, SourceUnavailable
from data_platform.resources import ObjectStoreResource
from data_platform.spec.platform import S3Connection


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    """A server that answers everything alike."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 -- as http.server calls it

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def connection(url: str) -> S3Connection:
    return S3Connection(
        type="s3", endpoint_url=url, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY
    )


@pytest.mark.parametrize(
    ("status", "code", "kind", "told"),
    [
        (503, "SlowDown", SourceUnavailable, "the server answers 503 SlowDown"),
        (500, "InternalError", SourceUnavailable, "the server answers 500"),
        (403, "AccessDenied", SourceError, r"access denied \(AccessDenied\)"),
        (403, "SignatureDoesNotMatch", SourceError, "access denied"),
        (401, "Unauthorized", SourceError, "access denied"),
        (404, "NoSuchBucket", SourceError, "there is no such bucket"),
    ],
)
def test_what_a_server_answers(
    status: int, code: str, kind: type[PlatformError], told: str
) -> None:
    with answering(status, code) as url:
        store = ObjectStore(connection(url), "some")
        with pytest.raises(kind, match=rf"s3://some/in: {told}") as error:
            list(store.list("in"))
    assert SECRET_KEY not in str(error.value)


def test_a_refused_object() -> None:
    with answering(403, "AccessDenied") as url:
        store = ObjectStore(connection(url), "some")
        with pytest.raises(SourceError, match=r"s3://some/a\.csv: access denied"):
            store.find("a.csv")


def test_an_object_that_is_replaced_while_it_is_read() -> None:
    bucket = Bucket()
    bucket.put("a.csv", "one")
    store = ObjectStore(bucket.connection(), bucket.name)
    found = store.find("a.csv")
    assert found is not None
    bucket.put("a.csv", "two")
    with pytest.raises(SourceUnavailable, match="was replaced or removed while it was read"):
        list(store.pieces(found))


def test_an_object_that_is_removed_while_it_is_read() -> None:
    bucket = Bucket()
    bucket.put("a.csv", "one")
    store = ObjectStore(bucket.connection(), bucket.name)
    found = store.find("a.csv")
    assert found is not None
    gone = StoredObject("b.csv", found.bytes, found.modified, found.etag)
    with pytest.raises(SourceUnavailable, match="was replaced or removed"):
        list(store.pieces(gone))


def test_no_bucket_is_named() -> None:
    with pytest.raises(SourceError, match="names no bucket: set `bucket`"):
        ObjectStore(S3Connection(type="s3"))


def test_a_listing_of_many_objects() -> None:
    bucket = Bucket()
    for number in range(1100):
        bucket.put(f"in/{number:04}", "x")
    store = ObjectStore(bucket.connection(), bucket.name)
    assert [found.key for batch in store.list("in") for found in batch] == [
        f"in/{number:04}" for number in range(1100)
    ]


def test_a_hand_written_asset_uses_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket()
    monkeypatch.setenv("BUCKETS_SECRET", SECRET_KEY)

    @dg.asset
    def letter(s3: ObjectStoreResource) -> str:
        obstore.put(s3.store(), "letter.txt", b"hello")
        return bytes(obstore.get(s3.store(), "letter.txt").bytes()).decode()

    resource = ObjectStoreResource(
        bucket=bucket.name,
        endpoint_url=server_url(),
        access_key_id=ACCESS_KEY,
        secret_access_key="${BUCKETS_SECRET}",
    )
    result = dg.materialize([letter], resources={"s3": resource})
    assert result.output_for_node("letter") == "hello"
