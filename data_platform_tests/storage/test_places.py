"""Where a lake can be: a folder and a bucket do the same, and what only a bucket is asked."""

import functools
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_storage import FaultyStorage, Refused, faulty_storage
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from object_storage import ACCESS_KEY, SECRET_KEY, Bucket, server_url

from data_platform.errors import PermanentError, StorageError
from data_platform.plan.keys import Key
from data_platform.storage import delta
from data_platform.storage.lake import Lake, LakeTable, lake_at
from data_platform.storage.places import bucket as buckets
from data_platform.storage.places.bucket import Bucket as InBucket
from data_platform.storage.places.folder import Folder
from data_platform.storage.places.opening import place_of
from data_platform.storage.places.place import FRESH, Place
from data_platform.storage.versions import DataFile, PartitionVersion

ORDERS = Key("raw", "shop", "orders")


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Folder(tmp_path / "lake")
    bucket = Bucket()
    return InBucket(f"{bucket.url}/a/lake", bucket.connection())


@pytest.fixture
def storage() -> Iterator[FaultyStorage]:
    with faulty_storage() as served:
        yield served


def scratch_file(tmp_path: Path, content: bytes, folder: str = "s") -> Path:
    path = tmp_path / "lake" / "_scratch" / folder / f"{time.monotonic_ns()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def listed(place: Place, below: str = "raw") -> dict[str, int]:
    return {found.relative: found.bytes for found in place.list(below)}


def content_of(place: Place, relative: str) -> bytes:
    with place.open(place.path_of(relative)) as opened:
        return opened.read()


def client() -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server_url(),
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
    )


def test_files_come_to_their_names(place: Place, tmp_path: Path) -> None:
    contents = {f"raw/t/partition=2024-01-0{day}/x.parquet": b"x" * day for day in range(1, 5)}
    contents["raw/t/large.parquet"] = os.urandom(2 * buckets.PART + 1)
    files = [(scratch_file(tmp_path, content), name) for name, content in contents.items()]
    assert place.adopt_all(files) == [len(content) for content in contents.values()]
    assert listed(place) == {name: len(content) for name, content in contents.items()}
    assert {name: content_of(place, name) for name in contents} == contents
    assert place.adopt_all([]) == []


@pytest.mark.parametrize("size", [3, buckets.PART + 1])
def test_what_is_there_stays_and_tells_its_size(place: Place, tmp_path: Path, size: int) -> None:
    name, first = "raw/t/x.parquet", os.urandom(size)
    place.adopt(scratch_file(tmp_path, first), name)
    assert place.adopt(scratch_file(tmp_path, b"y" * (size + 7)), name) == size
    assert content_of(place, name) == first


def age(place: Place, relative: str, by: timedelta) -> None:
    """Let a file be older than it is."""
    then = datetime.now(UTC) - by
    if isinstance(place, InBucket):
        bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[place.objects.bucket]
        bucket.keys[f"{place.prefix}/{relative}"].last_modified = then.replace(tzinfo=None)
    else:
        os.utime(place.path_of(relative), (then.timestamp(), then.timestamp()))


@pytest.mark.parametrize("size", [0, 3, buckets.PART + 1])
def test_what_is_there_for_long_is_one_of_now(place: Place, tmp_path: Path, size: int) -> None:
    """Whoever removes what no version names lets new files be: this one will be named."""
    name, first = "raw/t/x.parquet", os.urandom(size)
    place.adopt(scratch_file(tmp_path, first), name)
    age(place, name, timedelta(days=40))
    assert place.adopt(scratch_file(tmp_path, b"y" * size), name) == size
    [found] = place.list("raw")
    assert datetime.now(UTC) - found.modified < FRESH
    assert content_of(place, name) == first


def test_small_notes_are_written_over(place: Place) -> None:
    name = "raw/t/_landings/ä ö.json"
    assert place.read(name) is None
    place.write_all([(name, b"1"), ("raw/t/_landings/b.json", b"")])
    place.write(name, b"22")
    assert place.read_all([name, "raw/t/_landings/none.json", "raw/t/_landings/b.json"]) == [
        b"22", None, b"",
    ]  # fmt: skip
    assert listed(place, "raw/t") == {name: 2, "raw/t/_landings/b.json": 0}


def test_a_listing_is_of_whole_folders(place: Place) -> None:
    for name in ("raw/t/a", "raw/t/b/c", "raw/table/d"):
        place.write(name, b"x")
    assert sorted(listed(place, "raw/t")) == ["raw/t/a", "raw/t/b/c"]
    assert listed(place, "staging") == {}
    [found] = place.list("raw/table")
    assert abs(datetime.now(UTC) - found.modified) < timedelta(seconds=10)


def test_removing_what_is_not_there_is_no_mistake(place: Place) -> None:
    place.write("raw/t/a/x", b"x")
    place.write("raw/t/b/y", b"y")
    place.remove(["raw/t/a/x", "raw/t/a/none", "none/none"])
    place.remove([])
    assert sorted(listed(place, "")) == ["raw/t/b/y"]


def test_a_file_that_is_not_there_is_told(place: Place) -> None:
    with pytest.raises(StorageError, match=r"raw/t/none"), place.open(place.path_of("raw/t/none")):
        pass


def test_a_sound_place_is_left_as_it_was(place: Place) -> None:
    place.check()
    assert listed(place, "") == {}


def test_a_server_that_would_lose_commits_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket()
    put = obstore.put

    def forgetful(*given: object, mode: str = "", **options: object) -> object:
        return put(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(obstore, "put", forgetful)
    place = InBucket(bucket.url, bucket.connection())
    with pytest.raises(StorageError, match="the server makes an object where one is"):
        place.check()
    assert listed(place, "") == {}


def test_a_file_that_breaks_off_leaves_no_parts(storage: FaultyStorage, tmp_path: Path) -> None:
    bucket = Bucket()
    storage.rule = lambda asked: Refused(400, "BadDigest") if asked.kind == "UploadPart" else None
    place = InBucket(bucket.url, storage.connection(bucket))
    with pytest.raises(StorageError):
        place.adopt(scratch_file(tmp_path, os.urandom(buckets.PART + 1)), "raw/t/x.parquet")
    assert "AbortMultipartUpload" in storage.kinds()
    assert not client().list_multipart_uploads(Bucket=bucket.name).get("Uploads")
    assert listed(place, "") == {}


@pytest.mark.parametrize(
    ("encryption", "algorithm"),
    [
        ({"type": "AES256"}, "AES256"),
        ({"type": "aws:kms", "key": "arn:aws:kms:us-east-1:1:key/k"}, "aws:kms"),
    ],
)
def test_all_that_is_written_is_encrypted(
    tmp_path: Path, encryption: dict[str, str], algorithm: str
) -> None:
    bucket = Bucket()
    place = InBucket(bucket.url, bucket.connection(encryption=encryption))  # type: ignore[arg-type]
    published(Lake(place, tmp_path).table(ORDERS), tmp_path, b"a")
    place.adopt(scratch_file(tmp_path, os.urandom(buckets.PART + 1)), "raw/large")
    place.write("raw/note", b"x")
    names = [*listed(place, "")]
    assert len(names) == 4
    for name in names:
        head = client().head_object(Bucket=bucket.name, Key=name)
        assert head["ServerSideEncryption"] == algorithm
        assert head.get("SSEKMSKeyId") == encryption.get("key")


def published(table: LakeTable, folder: Path, *versions: bytes) -> None:
    """Commits of one row, each in place of the one before."""
    for version in versions:
        path = folder / f"{time.monotonic_ns()}.parquet"
        pq.write_table(pa.table({"v": [version]}), path)
        file = DataFile(str(path), 1, path.stat().st_size)
        table.publish({"": PartitionVersion(version.hex() * 10, (file,))}, SCHEMA, {})


SCHEMA = pa.schema([("v", pa.binary())])


def test_requests_do_not_grow_with_the_history(
    storage: FaultyStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket()
    monkeypatch.setattr(delta, "_CONFIGURATION", {"delta.checkpointInterval": "1"})
    table = Lake(InBucket(bucket.url, storage.connection(bucket)), tmp_path).table(ORDERS)
    counts: list[tuple[int, int]] = []
    for number in range(4):
        storage.forget()
        published(table, tmp_path, bytes([number]))
        committed = len(storage.asked)
        assert storage.kinds().count("ListObjects") <= 5
        assert table.snapshot() is not None
        counts.append((committed, len(storage.asked) - committed))
    # What a checkpoint holds grows until it is as large as the table and what went out of it.
    assert counts[-1] == counts[-2]
    assert max(read for _, read in counts) <= 20


def test_a_table_says_how_often_its_log_is_summed_up(tmp_path: Path) -> None:
    table = Lake(tmp_path).table(ORDERS)
    published(table, tmp_path, *(bytes([number]) for number in range(12)))
    opened = table.delta.opened()
    assert opened is not None
    assert opened.metadata().configuration == {"delta.checkpointInterval": "10"}
    summed = [name for name in listed(table.place) if name.endswith(".checkpoint.parquet")]
    assert [Path(name).name[:20] for name in summed] == [f"{9:020}"]


def test_what_stands_is_sent_once(storage: FaultyStorage, tmp_path: Path) -> None:
    bucket = Bucket()
    place = InBucket(bucket.url, storage.connection(bucket))
    files = [(scratch_file(tmp_path, b"x" * 9), f"raw/t/{number}") for number in range(20)]
    place.adopt_all(files)
    assert storage.kinds() == ["PutObject"] * 20


def test_a_scratch_folder_is_on_this_machine(tmp_path: Path) -> None:
    at = functools.partial(lake_at, home=tmp_path, data_dir=tmp_path / "data")
    local, far = at("lake"), at("s3://bucket/lake/")
    assert (local.root, local.scratch_root) == (
        str(tmp_path / "lake"),
        tmp_path / "lake" / "_scratch",
    )
    assert (far.root, far.scratch_root) == ("s3://bucket/lake", tmp_path / "data" / "_scratch")
    assert far.table(ORDERS).uri == "s3://bucket/lake/raw/shop/orders"
    assert local.table(ORDERS).uri == (tmp_path / "lake/raw/shop/orders").as_uri()


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("s3://", "'' in 's3://' is no name of a bucket"),
        ("s3://A_Bucket/x", "'A_Bucket' in 's3://A_Bucket/x' is no name of a bucket"),
        ("s3://bucket/a//b", "'' in 's3://bucket/a//b' is no part of a prefix"),
        ("s3://bucket/a/../b", "'..' in 's3://bucket/a/../b' is no part of a prefix"),
        ("s3://bucket/a b", "'a b' in 's3://bucket/a b' is no part of a prefix"),
        ("gs://bucket/a", "'gs://bucket/a' is no place of a lake: a folder, or s3://bucket/prefix"),
        ("S3://bucket/a", "'S3://bucket/a' is no place of a lake"),
    ],
)
def test_a_root_that_is_none_is_told(root: str, message: str) -> None:
    with pytest.raises(PermanentError, match="the lake's root: ") as raised:
        place_of(root, Path("/nowhere"))
    assert message in str(raised.value)
