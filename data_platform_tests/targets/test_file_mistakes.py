"""What is wrong with the files of a destination is told when definitions load."""

import pytest
from factories import PARTITIONED
from files_project import PLATFORM, Exports


@pytest.mark.parametrize(
    ("path", "more", "message"),
    [
        ("out/orders.csv", "", "13:5: all partitions would be written into one file: the path"),
        ("out/{partition_start:%m-%d}.csv", "", "2024-01-01 and 2025-01-01 would both be '01-01"),
        ("out/{partition_start:%d}.csv", "", "2024-01-01 and 2024-02-01 would both be '01.csv'"),
        ("out/{partition_start:%H}.csv", "", "2024-01-01 and 2024-01-02 would both be '00.csv'"),
        ("out/{partition_start}.csv", "", "doesn't say how the time is written"),
        ("out/{partition_kee}.csv", "", "{partition_kee} means nothing"),
        ("out/*/{partition_key}.csv", "", "a path with *, ? or [ names many"),
        ("out/{partition_key}/", "", "is a folder: the path names the file, too"),
        ("../out/{partition_key}.csv", "", "leaves the project's folder"),
        ("a/../../{partition_key}.csv", "", "leaves the project's folder"),
        ("ftp://host/{partition_key}.csv", "", "is on no file system"),
        ("s3://bucket", "", "names no object: s3://bucket/folder/file"),
        ("s3://bucket/a//{partition_key}.csv", "", "no part of an s3:// path may be empty"),
        ("s3://other/{partition_key}.csv", "connection: named", "has the bucket 'mine'"),
        ("out/{partition_key}.csv", "connection: exports", "it is s3://bucket/..."),
        ("s3://b/{partition_key}.csv", "connection: shop", "is of type database, and s3 is needed"),
        ("s3://b/{partition_key}.csv", "connection: nobody", "there is no connection 'nobody'"),
        ("out/{partition_key}", "", "doesn't tell the format: set format to one of parquet, csv"),
        ("out/{partition_key}.xlsx", "", "doesn't tell the format"),
        ("out/{partition_key}.json", "", "end the name in .jsonl"),
        ("out/{partition_key}.csv", "format: parquet", "readers take it for csv"),
        ("out/{partition_key}.parquet.gz", "", "Parquet is compressed within: leave .gz out"),
        ("out/{partition_key}.csv", "compression: gzip", "end the name in .gz"),
        ("out/{partition_key}.csv.gz", "compression: zstd", "end the name in .zst"),
        ("out/{partition_key}.csv.gz", "compression: none", "leave .gz out"),
        ("out/{partition_key}.csv", "compression: snappy", "csv has no compression snappy; there"),
        ("out/{partition_key}.jsonl", "csv: {header: false}", "`csv` is about CSV files, and this"),
        ("out/{partition_key}.csv", "csv: {delimiter: '\"'}", "can't be told from what it parts"),
        ("out/{partition_key}.csv", "csv: {null_value: 'a,b'}", "would have to be quoted"),
        ("{partition_key}.jsonl.manifest.json", "format: jsonl", "is that of the manifest beside"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    exports: Exports, path: str, more: str, message: str
) -> None:
    exports.project.platform(f"{PLATFORM}  named: {{type: s3, bucket: mine}}\n")
    exports.declare(path, more=f"    {more}\n" if more else "")
    text = exports.path("pipelines/shop/pipeline.yaml").read_text()
    without_end = PARTITIONED.replace(", end: 2024-02-01", "")
    exports.path("pipelines/shop/pipeline.yaml").write_text(text.replace(PARTITIONED, without_end))
    [problem] = exports.project.problems()
    assert problem.startswith("shop/pipeline.yaml:1")
    assert message in problem


def test_a_partition_of_an_asset_without_any_is_told(exports: Exports) -> None:
    exports.declare("out/{partition_key}.csv", daily=False)
    [problem] = exports.project.problems()
    assert "{partition_key} has no value: the asset has no partitions" in problem


def test_a_month_of_days_needs_no_month_in_its_names(exports: Exports) -> None:
    exports.declare("out/{partition_start:%d}.csv")
    assert exports.project.problems() == []


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        ("out/{partition_key}.csv", "out/{partition_key}.csv", True),
        ("out/{partition_key}.csv", "out/{partition_start:%Y-%m-%d}.csv", True),
        ("out/{partition_key}.csv", "copy/{partition_key}.csv", False),
        ("out/{partition_key}.csv", "out/{partition_key}.csv.gz", False),
    ],
)
def test_two_destinations_may_not_write_the_same_file(
    exports: Exports, first: str, second: str, refused: bool
) -> None:
    other = f"  again: {{from: staging.orders, type: file, path: '{second}'}}\n"
    exports.declare(first, more=other)
    found = exports.project.problems()
    assert len(found) == refused
    if found:
        assert "destinations/shop/orders writes to" in found[0]
        assert "already: each would undo the other" in found[0]
