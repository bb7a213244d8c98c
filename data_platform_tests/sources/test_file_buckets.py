"""Files in a bucket of S3 land as those of this machine do."""

import gzip
import hashlib
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import DAY, NEXT_DAY, Project, outcome
from object_storage import ACCESS_KEY, SECRET_KEY, Bucket, server_url

from data_platform.errors import SourceError, SourceUnavailable

PLATFORM = "connections:\n  lake: {type: s3}\n"


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def declare(project: Project, path: str, more: str = "", *, daily: bool = False) -> None:
    project.platform(PLATFORM)
    source = f"{{type: file, connection: lake, path: '{path}'{more}}}"
    project.declare(f"sources:\n  orders: {source}\n", daily=daily)


def test_an_object(project: Project, bucket: Bucket) -> None:
    bucket.put("in/a.csv", "id,name\n1,größe\n")
    declare(project, f"{bucket.url}/in/a.csv")
    project.land_source("orders", connection=bucket.connection())
    assert project.rows("raw/orders") == [{"id": 1, "name": "größe"}]


def test_formats_and_compressions(project: Project, bucket: Bucket) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [4]}), sink)
    for name, content, wanted in [
        ("a.csv.gz", gzip.compress(b"id\n1\n", mtime=0), 1),
        ("a.json", b'{"id": 2}', 2),
        ("a.jsonl.zst", pa.compress(b'{"id": 3}\n', codec="zstd", asbytes=True), 3),
        ("a.parquet", sink.getvalue(), 4),
    ]:
        bucket.put(f"in/{name}", content)
        declare(project, f"{bucket.url}/in/{name}")
        project.land_source("orders", connection=bucket.connection())
        assert project.column("raw/orders", "id") == [wanted]


def test_globs_and_days(project: Project, bucket: Bucket) -> None:
    bucket.put("in/2024/01/01/a.csv", "id\n1\n")
    bucket.put("in/2024/01/02/a [1].csv", "id\n2\n")
    bucket.put("in/2024/01/02/größe.csv", "id\n3\n")
    bucket.put("in/2024/01/02/deep/c.csv", "id\n9\n")
    bucket.put("in/2024/01/02/", "")
    bucket.put("in/2024/01/02/notes.txt", "x")
    path = f"{bucket.url}/in/{{partition_start:%Y/%m/%d}}/*.csv"
    declare(project, path, daily=True)
    passage = project.land_source(
        "orders", DAY, NEXT_DAY, "2024-01-03", connection=bucket.connection()
    )
    assert project.column("raw/orders", "id", DAY) == [1]
    assert project.column("raw/orders", "id", NEXT_DAY) == [2, 3]
    assert list(passage.failed) == ["2024-01-03"]
    assert "no file matches s3://" in passage.failed["2024-01-03"]


def test_a_glob_over_folders(project: Project, bucket: Bucket) -> None:
    for key in ("in/a.csv", "in/x/b.csv", "in/x/y/c.csv", "out/d.csv", "in.csv"):
        bucket.put(key, "id\n1\n")
    declare(project, f"{bucket.url}/in/**/*.csv")
    project.land_source("orders", connection=bucket.connection())
    assert len(project.rows("raw/orders")) == 3


def test_where_rows_are_from(project: Project, bucket: Bucket) -> None:
    bucket.put("in/a.csv", "id\n1\n")
    declare(project, f"{bucket.url}/in/*.csv")
    passage = project.land_source("orders", connection=bucket.connection())
    [told] = passage.said[""]["source_files"]
    assert told["file"] == f"{bucket.url}/in/a.csv"
    assert told["checksum"] == hashlib.sha256(b"id\n1\n").hexdigest()


def test_a_bad_object_goes_to_quarantine(project: Project, bucket: Bucket) -> None:
    bucket.put("in/a.csv", "id\n1\n")
    bucket.put("in/b.csv", "id\n1,2\n")
    bucket.put("in/c.csv", "")
    declare(project, f"{bucket.url}/in/*.csv")
    passage = project.land_source("orders", connection=bucket.connection())
    detail = outcome(passage, "bad_files").findings[""].detail or ""
    assert f"{bucket.url}/in/b.csv: line 2: 2 fields where 1 columns are" in detail
    assert f"{bucket.url}/in/c.csv: it has no bytes" in detail
    kept = project.folder / "lake" / "quarantine" / "files" / "shop" / "orders"
    [copy] = kept.glob("*-b.csv")
    assert copy.read_text() == "id\n1,2\n"


def test_an_object_of_many_pieces(
    project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_platform.engine.object_store.PIECE", 1000)
    content = "id\n" + "".join(f"{number}\n" for number in range(5000))
    bucket.put("a.csv", content)
    declare(project, f"{bucket.url}/a.csv")
    passage = project.land_source("orders", connection=bucket.connection())
    assert sorted(map(int, map(str, project.column("raw/orders", "id")))) == list(range(5000))
    [told] = passage.said[""]["source_files"]
    assert told["checksum"] == hashlib.sha256(content.encode()).hexdigest()


def test_the_environments_credentials(
    project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("a.csv", "id\n1\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server_url())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    project.declare(f"sources:\n  orders: {{type: file, path: '{bucket.url}/a.csv'}}\n")
    project.land_source("orders")
    assert project.column("raw/orders", "id") == [1]


def test_no_such_bucket(project: Project, bucket: Bucket) -> None:
    for path in ("s3://nothing-here/*.csv", "s3://nothing-here/a.csv"):
        declare(project, path)
        with pytest.raises(SourceError, match=r"s3://nothing-here.*: there is no such bucket"):
            project.land_source("orders", connection=bucket.connection())


def test_no_such_object(project: Project, bucket: Bucket) -> None:
    for path in ("a.csv", "*.csv"):
        declare(project, f"{bucket.url}/{path}")
        with pytest.raises(SourceError, match=r"no file matches s3://"):
            project.land_source("orders", connection=bucket.connection())


def test_a_server_that_is_not_there_may_come_back(project: Project, bucket: Bucket) -> None:
    declare(project, f"{bucket.url}/*.csv")
    connection = bucket.connection(endpoint_url="http://127.0.0.1:9")
    with pytest.raises(SourceUnavailable, match="the server can't be reached"):
        project.land_source("orders", connection=connection)


def test_a_connection_of_another_bucket(project: Project, bucket: Bucket) -> None:
    declare(project, f"{bucket.url}/*.csv")
    with pytest.raises(SourceError, match="the connection lake has the bucket other"):
        project.land_source("orders", connection=bucket.connection(bucket="other"))


def test_a_connection_without_a_bucket_in_the_path(project: Project) -> None:
    declare(project, "in/*.csv")
    [problem] = project.problems()
    assert "with a connection of type s3 it is s3://bucket/..." in problem
