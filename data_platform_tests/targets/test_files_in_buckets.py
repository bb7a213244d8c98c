"""Files of a destination in a bucket: each object whole or absent, told from others by its ETag."""

import json
from collections.abc import Callable

import obstore
import pytest
from factories import DAY, NEXT_DAY, Project
from files_project import AMOUNTS, Exports, lines
from object_storage import Bucket, server_url
from obstore.store import S3Store

from data_platform.engine import object_store
from data_platform.engine.object_store import ObjectStore
from data_platform.errors import StorageError, StorageUnavailable
from data_platform.targets.files import places

OTHERS = "SELECT 3 AS id, 0.5 AS amount"


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def exports(project: Project, bucket: Bucket) -> Exports:
    made = Exports(project, bucket)
    made.declare(f"{bucket.url}/out/{{partition_key}}.csv", more="    connection: exports\n")
    return made


def store(bucket: Bucket) -> S3Store:
    return ObjectStore(bucket.connection(), bucket.name).store


def content(bucket: Bucket, key: str) -> str:
    return bytes(obstore.get(store(bucket), key).bytes()).decode()


def keys(bucket: Bucket) -> list[str]:
    return sorted(one["path"] for some in obstore.list(store(bucket)) for one in some)


def test_an_object_a_partition_with_a_manifest(exports: Exports, bucket: Bucket) -> None:
    exports.publish(AMOUNTS, DAY)
    exports.publish(OTHERS, NEXT_DAY)
    assert exports.deliver(DAY, NEXT_DAY).loaded == {DAY, NEXT_DAY}
    ends = ("", ".manifest.json")
    assert keys(bucket) == sorted(f"out/{d}.csv{end}" for d in (DAY, NEXT_DAY) for end in ends)
    assert lines(content(bucket, f"out/{DAY}.csv")) == ["id,amount", "1,10.10", "2,20.25"]
    manifest = json.loads(content(bucket, f"out/{DAY}.csv.manifest.json"))
    assert manifest["mark"] == obstore.head(store(bucket), f"out/{DAY}.csv")["e_tag"]
    assert sorted(exports.held()) == [DAY, NEXT_DAY]
    assert exports.deliver(DAY, NEXT_DAY).loaded == frozenset()


def delete(bucket: Bucket) -> None:
    obstore.delete(store(bucket), f"out/{DAY}.csv")


def replace(bucket: Bucket) -> None:
    bucket.put(f"out/{DAY}.csv", "id,amount\n3,9.99\n")


def delete_manifest(bucket: Bucket) -> None:
    obstore.delete(store(bucket), f"out/{DAY}.csv.manifest.json")


@pytest.mark.parametrize("spoil", [delete, replace, delete_manifest])
def test_what_somebody_did_to_an_object_is_mended(
    exports: Exports, bucket: Bucket, spoil: Callable[[Bucket], None]
) -> None:
    exports.publish(OTHERS, DAY)
    exports.deliver(DAY)
    spoil(bucket)
    assert exports.held() == {}
    assert exports.deliver(DAY).loaded == {DAY}
    assert content(bucket, f"out/{DAY}.csv") == "id,amount\n3,0.50\n"


def test_a_large_file_is_sent_in_parts(
    exports: Exports, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "PART", 5 * 1024 * 1024)
    exports.publish("SELECT i AS id, 1.0 AS amount FROM range(900000) AS t(i)", DAY)
    exports.deliver(DAY)
    assert obstore.head(store(bucket), f"out/{DAY}.csv")["e_tag"].endswith('-3"')
    assert len(content(bucket, f"out/{DAY}.csv").splitlines()) == 900_001
    assert exports.deliver(DAY).loaded == frozenset()


def test_an_upload_that_breaks_off_leaves_the_object_before(
    exports: Exports, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.publish(OTHERS, DAY)
    exports.deliver(DAY)
    before = exports.held()
    exports.publish(AMOUNTS, DAY)

    def broken(*_: object, **__: object) -> None:
        raise OSError("error sending request for url")

    with monkeypatch.context() as patched:
        patched.setattr(places.obstore, "put", broken)
        with pytest.raises(
            StorageUnavailable, match=rf"out/{DAY}.csv: the server can't be reached"
        ):
            exports.deliver(DAY)
    assert exports.held() == before
    assert content(bucket, f"out/{DAY}.csv") == "id,amount\n3,0.50\n"
    assert exports.deliver(DAY).loaded == {DAY}


def test_a_bucket_that_is_not_there_is_told(exports: Exports) -> None:
    exports.declare(
        "s3://no-such-bucket-anywhere/{partition_key}.csv", more="    connection: exports\n"
    )
    exports.publish(OTHERS, DAY)
    message = "s3://no-such-bucket-anywhere/.*there is no such bucket"
    with pytest.raises(StorageError, match=message):
        exports.deliver(DAY)


def test_a_connection_with_another_bucket_is_told(
    exports: Exports, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.publish(OTHERS, DAY)
    connection = bucket.connection(bucket="others")
    monkeypatch.setattr(bucket, "connection", lambda: connection)
    with pytest.raises(StorageError, match="the connection exports has the bucket others"):
        exports.deliver(DAY)


def test_without_a_connection_the_environment_says_how(
    exports: Exports, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": server_url(),
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    exports.declare(f"{bucket.url}/{{partition_start:%Y}}/{{partition_key}}.parquet")
    exports.publish(OTHERS, DAY)
    exports.deliver(DAY)
    assert f"2024/{DAY}.parquet" in keys(bucket)


def test_looking_lists_nothing(
    exports: Exports, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.publish(OTHERS, DAY)
    exports.deliver(DAY)

    def listed(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(object_store.obstore, "list", listed)
    assert list(exports.held()) == [DAY]
    assert exports.deliver(DAY).loaded == frozenset()
