"""Each row of a file knows its file; nobody sees that who doesn't ask for it."""

import gzip
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from factories import DAY, NEXT_DAY, Project

from data_platform.errors import SourceError
from data_platform.plan.naming import PROVENANCE


def put(project: Project, name: str, content: bytes | str) -> Path:
    path = project.folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (1_700_000_000.25, 1_700_000_000.25))
    return path


def declare(project: Project, path: str, more: str = "") -> None:
    project.declare(f"sources:\n  orders: {{type: file, path: '{path}'}}\n{more}")


def origins(project: Project) -> list[tuple[object, ...]]:
    snapshot = project.table("raw/orders").snapshot()
    assert snapshot is not None
    with project.workbench.open() as (session, _):
        session.show("o", snapshot.files(snapshot.partitions), hidden=False, provenance=True)
        return sorted(session.rows(f"SELECT id, {', '.join(PROVENANCE)} FROM o"))


def origin_of(path: Path) -> tuple[object, ...]:
    content = path.read_bytes()
    modified = datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC).replace(tzinfo=None)
    return str(path), hashlib.sha256(content).hexdigest(), len(content), modified


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"id\n1\n"),
        ("a b.csv.gz", gzip.compress(b"id\n1\n", mtime=0)),
        ("größe.json", b'[{"id": 1}]'),
        ("a.jsonl.zst", pa.compress(b'{"id": 1}\n', codec="zstd", asbytes=True)),
        ("[a]*.csv", b"id\n1\n"),
    ],
)
def test_where_a_row_is_from(project: Project, name: str, content: bytes) -> None:
    path = put(project, f"in/{name}", content)
    declare(project, f"in/*.{name.partition('.')[2]}")
    assert not project.land_source("orders").failed
    assert origins(project) == [(1, *origin_of(path))]


def test_rows_of_several_files_and_days(project: Project) -> None:
    body = "sources:\n  orders: {type: file, path: 'in/{partition_key}/*.csv'}\n"
    project.declare(body, daily=True)
    one = put(project, f"in/{DAY}/a.csv", "id\n1\n")
    two = put(project, f"in/{DAY}/b.csv", "id\n2\n")
    three = put(project, f"in/{NEXT_DAY}/a.csv", "id\n3\n")
    project.land_source("orders", DAY, NEXT_DAY)
    assert origins(project) == [
        (1, *origin_of(one)),
        (2, *origin_of(two)),
        (3, *origin_of(three)),
    ]


def test_nobody_sees_it_who_does_not_ask(project: Project) -> None:
    put(project, "o.csv", "id\n1\n")
    declare(project, "o.csv", "staging:\n  orders: {from: raw.orders}\n")
    project.land_source("orders")
    project.compute("staging/orders")
    assert project.rows("raw/orders") == [{"id": 1}]
    assert project.rows("staging/orders") == [{"id": 1}]
    table = project.table("raw/orders")
    snapshot = table.snapshot()
    assert snapshot is not None
    assert snapshot.schema.names == ["id"]
    options = dict(table.place.storage_options or {})
    assert DeltaTable(table.path, storage_options=options).to_pyarrow_table().column_names == ["id"]


def test_a_file_of_another_name_with_the_same_rows_is_the_same_version(project: Project) -> None:
    path = put(project, "in/a.csv", "id\n1\n")
    declare(project, "in/*.csv")
    project.land_source("orders")
    path.rename(path.with_name("b.csv"))
    publication = project.land_source("orders").publication
    assert publication is not None
    assert not publication.changed


def test_it_is_no_new_column(project: Project) -> None:
    put(project, "o.csv", "id\n1\n")
    declare(project, "o.csv")
    project.land_source("orders")
    put(project, "o.csv", "id\n2\n")
    passage = project.land_source("orders")
    assert {found.check.name: found.verdict for found in passage.outcomes} == {
        "not_empty": "pass",
        "new_columns": "pass",
        "bad_files": "pass",
    }


@pytest.mark.parametrize("name", [*PROVENANCE, "_SOURCE_FILE", "_partition"])
@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_a_column_of_such_a_name_is_refused(project: Project, name: str, ending: str) -> None:
    content = {"csv": f"id,{name}\n1,x\n", "json": json.dumps([{"id": 1, name: "x"}])}
    if ending == "parquet":
        pq.write_table(pa.table({"id": [1], name: ["x"]}), project.folder / "o.parquet")
    else:
        put(project, f"o.{ending}", content[ending])
    declare(project, f"o.{ending}")
    with pytest.raises(SourceError, match=f"{name}.* the platform needs"):
        project.land_source("orders")


def test_it_costs_next_to_nothing(project: Project) -> None:
    rows = "".join(f"{number},{number * 7919 % 10007}\n" for number in range(100_000))
    put(project, "o.csv", f"id,v\n{rows}")
    declare(project, "o.csv")
    publication = project.land_source("orders").publication
    assert publication is not None
    [path] = [file.path for version in publication.versions.values() for file in version.files]
    with duckdb.connect() as connection:
        sizes = connection.execute(
            "SELECT path_in_schema, SUM(total_compressed_size) FROM parquet_metadata(?) GROUP BY 1",
            [str(next(project.fetched("raw/shop/orders").glob("*.parquet")))],
        ).fetchall()
    assert path
    found = dict(sizes)
    hidden = sum(found[name] for name in PROVENANCE)
    assert hidden < sum(found.values()) / 100


def test_a_run_tells_of_its_files(project: Project) -> None:
    paths = [put(project, f"in/{number:02}.csv", f"id\n{number}\n") for number in range(25)]
    declare(project, "in/*.csv")
    said = project.land_source("orders").said[""]
    assert said["files"] == 25
    told = said["source_files"]
    assert [row["file"] for row in told] == [str(path) for path in paths[:20]]
    assert told[0] == {
        "file": str(paths[0]),
        "checksum": hashlib.sha256(b"id\n0\n").hexdigest(),
        "bytes": 5,
        "modified": "2023-11-14T22:13:20+00:00",
    }
