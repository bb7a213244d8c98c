"""`lake` and encryption in platform.yaml: what is taken, and what is told where."""

from datetime import timedelta
from pathlib import Path

import pytest

from data_platform.spec.platform import S3Connection
from data_platform.spec.reading import read_workspace

CONNECTIONS = """
connections:
  exports: {type: s3, bucket: exports}
  files: {type: s3, encryption: {type: "aws:kms", key: "${KEY}"}}
  shop: {type: database, url: "postgresql://nowhere"}
"""


def problems(folder: Path, text: str, **environ: str) -> list[str]:
    (folder / "platform.yaml").write_text(text)
    found = read_workspace([folder], environ, folder)
    return [str(problem).removeprefix(f"{folder}/") for problem in found.platform_problems]


@pytest.mark.parametrize(
    "lake",
    [
        "{root: lake}",
        "{root: 's3://a-lake/prefix/of.it/', connection: files}",
        "{root: 's3://exports', connection: exports}",
        "{root: '${LAKE_ROOT:-.data/lake}', connection: files}",
        "{root: '${NOT_SET}', connection: exports}",
        "{root: '${FAR}', connection: files, retention: 12h}",
    ],
)
def test_a_lake_may_be_there(tmp_path: Path, lake: str) -> None:
    assert problems(tmp_path, f"lake: {lake}\n{CONNECTIONS}", FAR="s3://far-away/lake") == []


@pytest.mark.parametrize(
    ("lake", "message"),
    [
        (
            "{root: 's3://A/b'}",
            "1:8: 'A' in 's3://A/b' is no name of a bucket: 3 to 63 small letters, digits, dots",
        ),
        ("{root: '${FAR}/x y'}", "1:8: 'x y' in 's3://far-away/lake/x y' is no part of a prefix"),
        ("{root: 'file:///tmp/x'}", "1:8: 'file:///tmp/x' is no place of a lake: a folder, or s3"),
        (
            "{root: 's3://lake', connection: exprots}",
            "1:27: no connection 'exprots'; there are of type s3: exports, files; did you mean",
        ),
        (
            "{root: 's3://lake', connection: shop}",
            "1:27: connection 'shop' is of type database: a lake takes one of type s3; there are:",
        ),
        (
            "{root: lake, connection: files}",
            "1:20: `connection` is for a lake on S3, and 'lake' is a folder: leave it out, or name",
        ),
        (
            "{root: 's3://lake', connection: exports}",
            "1:27: the lake is in the bucket lake, and the connection has exports",
        ),
        ("{root: lake, retention: a month}", "1:20: 'a month' is no duration"),
        ("{root: lake, conection: files}", "1:20: "),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, lake: str, message: str) -> None:
    [found] = problems(tmp_path, f"lake: {lake}\n{CONNECTIONS}", FAR="s3://far-away/lake")
    path, _, said = found.partition(":")
    assert path == "platform.yaml"
    assert said.startswith(message)


@pytest.mark.parametrize(
    ("encryption", "message"),
    [
        ("{type: AES256, key: k}", "`key` goes with type aws:kms: AES256 has none"),
        ("{type: des}", "'des'"),
        ("{key: k}", "'type' is missing"),
        ("{type: 'aws:kms', key: ''}", "found an empty one"),
    ],
)
def test_an_encryption_that_is_none_is_told(tmp_path: Path, encryption: str, message: str) -> None:
    text = f"connections:\n  exports:\n    type: s3\n    encryption: {encryption}\n"
    [found] = problems(tmp_path, text)
    assert found.startswith("platform.yaml:4:")
    assert message in found


def test_what_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text(f"lake: {{root: 's3://lake'}}\n{CONNECTIONS}")
    platform = read_workspace([tmp_path], {}, tmp_path).platform
    assert (platform.lake.connection, platform.lake.retention) == (None, timedelta(days=30))
    files = platform.connections["files"]
    assert isinstance(files, S3Connection)
    assert files.encryption is not None
    assert (files.encryption.type, files.encryption.key) == ("aws:kms", "${KEY}")
