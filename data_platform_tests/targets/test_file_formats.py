"""What is written into a file comes out of it: each type in each format, to the last bit."""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import DAY, DAYS
from files_project import Exports

from data_platform.engine.session import open_session
from data_platform.errors import StorageError
from data_platform.targets.files import delivering
from data_platform.targets.files.reading import StagedRows

TYPES = {
    "yes": "BOOLEAN",
    "tiny": "TINYINT",
    "big": "BIGINT",
    "single": "FLOAT",
    "double": "DOUBLE",
    "money": "DECIMAL(12,2)",
    "long": "DECIMAL(38,9)",
    "huge": "DECIMAL(38,0)",
    "text": "VARCHAR",
    "bytes": "BLOB",
    "day": "DATE",
    "local": "TIMESTAMP",
    "moment": "TIMESTAMP WITH TIME ZONE",
    "names": "VARCHAR[]",
    "shares": "DECIMAL(38,9)[]",
    "measures": "DOUBLE[]",
    "times": "TIMESTAMP WITH TIME ZONE[]",
    "nested": "INTEGER[][]",
    "blobs": "BLOB[]",
}
FIRST = """(true, -128, 9223372036854775807, 0.1, 0.1, 99.90,
 12345678901234567890123456789.123456789, 99999999999999999999999999999999999999,
 'a,"b"' || chr(13) || chr(10) || 'ü🙂;\t', '\\x00\\xff'::BLOB,
 '2024-02-29', '2024-01-01 10:11:12.123456', '2024-01-01 10:11:12.5+02', ['a', NULL, '', 'x"y'],
 [1.5, NULL], ['nan'::DOUBLE, 'inf', NULL, 0.1], ['2024-01-01 00:00:00+01', NULL],
 [[1, NULL], [], NULL], ['\\x00'::BLOB, ''::BLOB, NULL])"""
NULLS = f"({', '.join(['NULL'] * len(TYPES))})"
EDGES = [
    """(false, 0, -9223372036854775808, 'nan', '-inf', -0.01, 0, -1, '', ''::BLOB, 'infinity',
 '-infinity', 'infinity', [], [], [], [], [], [])""",
    """(false, 0, 0, 1e-45, 5e-324, 0, 0, 0, chr(0) || 'NULL', 'x'::BLOB, '0001-01-01',
 '12024-01-01 00:00:00', '9999-12-31 23:59:59.999999+00', [chr(0)], [], ['-0.0'::DOUBLE], [], [],
 [])""",
    """(false, 0, 0, 3.4028235e38, 1.7976931348623157e308, 0, 0, 0, ' \\N ', 'x'::BLOB,
 '1582-10-15', '1677-01-01', '2500-01-01 00:00:00+00', ['null', '[]'], [], [1e-7], [], [], [])""",
]
EVERYTHING = "SELECT {} FROM (VALUES {}) AS v({})".format(
    ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in TYPES.items()),
    ", ".join([FIRST, NULLS, *EDGES]),
    ", ".join(TYPES),
)
PATHS = {
    "out/{partition_key}.parquet": ("none", "gzip", "zstd", "snappy"),
    "out/{partition_key}.csv": ("none",),
    "out/{partition_key}.csv.gz": ("gzip",),
    "out/{partition_key}.csv.zst": ("zstd",),
    "out/{partition_key}.jsonl": ("none",),
    "out/{partition_key}.ndjson.gz": ("gzip",),
    "out/{partition_key}.jsonl.zst": ("zstd",),
}


def publish(exports: Exports, rows: str, *keys: str) -> None:
    exports.project.land_all("staging/orders", dict.fromkeys(keys or (DAY,), rows))


@pytest.mark.parametrize(
    ("path", "compression"), [(path, one) for path, all_ in PATHS.items() for one in all_]
)
def test_every_value_of_every_type_comes_back(
    exports: Exports, path: str, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where several partitions are written by one statement."""
    exports.declare(path, more=f"    compression: {compression}\n")
    publish(exports, EVERYTHING, *DAYS[:2])
    kept: list[StagedRows] = []

    def all_(self: delivering._Putting, files: object) -> None:
        kept.append(StagedRows(self._target, TYPES, files))  # pyright: ignore
        read_back(kept[0], exports.project.folder)

    monkeypatch.setattr(delivering._Putting, "all", all_)
    exports.deliver(*DAYS[:2])
    assert len(kept) == 1


def read_back(rows: StagedRows, folder: Path) -> None:
    with open_session(folder, ["/"], "1GB", threads=1) as session:
        rows.keep(session, "back", DAYS[:2], None)
        assert session.columns("SELECT * EXCLUDE (_partition) FROM back") == TYPES
        session.run(f"CREATE TABLE meant AS {EVERYTHING}")
        for day in DAYS[:2]:
            back = f"SELECT * EXCLUDE (_partition) FROM back WHERE _partition = '{day}'"
            # As bits: NaN equals NaN for EXCEPT, and so does -0.0 equal 0.0.
            both = [
                session.rows(f"SELECT COLUMNS(*)::VARCHAR FROM ({one}) ORDER BY ALL")
                for one in ("FROM meant", back)
            ]
            assert both[0] == both[1]
            assert session.rows(f"FROM meant EXCEPT ALL {back}") == []


def test_csv_is_what_others_read(exports: Exports) -> None:
    exports.declare("out/{partition_key}.csv")
    publish(exports, EVERYTHING)
    exports.deliver(DAY)
    rows = list(csv.DictReader(io.StringIO(exports.text(f"out/{DAY}.csv"), newline="")))
    [first] = [row for row in rows if row["tiny"] == "-128"]
    assert first == {
        "yes": "true",
        "tiny": "-128",
        "big": "9223372036854775807",
        "single": "0.1",
        "double": "0.1",
        "money": "99.90",
        "long": "12345678901234567890123456789.123456789",
        "huge": "99999999999999999999999999999999999999",
        "text": 'a,"b"\r\nü🙂;\t',
        "bytes": "AP8=",
        "day": "2024-02-29",
        "local": "2024-01-01T10:11:12.123456",
        "moment": "2024-01-01T08:11:12.5Z",
        "names": '["a",null,"","x\\"y"]',
        "shares": '["1.500000000",null]',
        "measures": '["NaN","Infinity",null,0.1]',
        "times": '["2023-12-31T23:00:00Z",null]',
        "nested": "[[1,null],[],null]",
        "blobs": '["AA==","",null]',
    }


def test_jsonl_is_what_others_read(exports: Exports) -> None:
    exports.declare("out/{partition_key}.jsonl.gz")
    publish(exports, EVERYTHING)
    exports.deliver(DAY)
    content = gzip.decompress(exports.path(f"out/{DAY}.jsonl.gz").read_bytes()).decode()
    rows = [json.loads(line, parse_constant=no_json) for line in content.split("\n") if line]
    [first] = [row for row in rows if row["tiny"] == -128]
    assert first == {
        "yes": True,
        "tiny": -128,
        "big": 9223372036854775807,
        "single": 0.1,
        "double": 0.1,
        "money": 99.9,
        "long": "12345678901234567890123456789.123456789",
        "huge": "99999999999999999999999999999999999999",
        "text": 'a,"b"\r\nü🙂;\t',
        "bytes": "AP8=",
        "day": "2024-02-29",
        "local": "2024-01-01T10:11:12.123456",
        "moment": "2024-01-01T08:11:12.5Z",
        "names": ["a", None, "", 'x"y'],
        "shares": ["1.500000000", None],
        "measures": ["NaN", "Infinity", None, 0.1],
        "times": ["2023-12-31T23:00:00Z", None],
        "nested": [[1, None], [], None],
        "blobs": ["AA==", "", None],
    }
    assert dict.fromkeys(TYPES) in rows


def no_json(word: str) -> None:
    raise AssertionError(word)


def test_parquet_is_what_others_read(exports: Exports) -> None:
    exports.declare("out/{partition_key}.parquet")
    publish(exports, EVERYTHING)
    exports.deliver(DAY)
    table = pq.ParquetFile(exports.path(f"out/{DAY}.parquet")).read()
    assert table.column_names == list(TYPES)
    assert table.schema.field("long").type == pa.decimal128(38, 9)
    assert table.schema.field("moment").type == pa.timestamp("us", "UTC")
    values = table.column("long").to_pylist()
    assert Decimal("12345678901234567890123456789.123456789") in values
    assert sorted(map(str, table.column("text").to_pylist())) == sorted(
        ['a,"b"\r\nü🙂;\t', "None", "", "\0NULL", " \\N "]
    )


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ("delimiter: ';'", 'a;b\n1;"x;y"\n2;\n3;""\n'),
        ('delimiter: "\\t", header: false', '1\tx;y\n2\t\n3\t""\n'),
        ("null_value: 'NULL'", "a,b\n1,x;y\n2,NULL\n3,\n"),
        ("null_value: x;y", 'a,b\n1,"x;y"\n2,x;y\n3,\n'),
    ],
)
def test_options_of_csv(exports: Exports, options: str, content: str) -> None:
    exports.declare("out/{partition_key}.csv", more=f"    csv: {{{options}}}\n")
    publish(exports, "SELECT * FROM (VALUES (1, 'x;y'), (2, NULL), (3, '')) AS t(a, b)")
    exports.deliver(DAY)
    assert exports.text(f"out/{DAY}.csv") == content


def test_names_of_columns_are_quoted_like_values(exports: Exports) -> None:
    exports.declare("out/{partition_key}.csv")
    publish(exports, 'SELECT 1 AS "a,b", 2 AS "say ""x""", 3 AS "größe"')
    exports.deliver(DAY)
    assert exports.text(f"out/{DAY}.csv") == '"a,b","say ""x""",größe\n1,2,3\n'


@pytest.mark.parametrize(
    ("path", "rows", "message"),
    [
        (
            "out/{partition_key}.csv",
            "SELECT CAST(NULL AS INTEGER) AS a",
            "column a is the only one, and NULL in it would be a blank line",
        ),
        (
            "out/{partition_key}.jsonl",
            "SELECT DATE '0044-03-15 (BC)' AS a",
            "column a has a time before the year 1, which has no ISO 8601",
        ),
    ],
)
def test_what_no_reader_would_get_back_is_refused(
    exports: Exports, path: str, rows: str, message: str
) -> None:
    exports.declare(path)
    publish(exports, rows)
    with pytest.raises(StorageError, match=message):
        exports.deliver(DAY)
    assert not exports.path("out").exists()


def test_a_single_column_has_nulls_where_they_have_a_text(exports: Exports) -> None:
    exports.declare("out/{partition_key}.csv", more="    csv: {null_value: '-'}\n")
    publish(exports, "SELECT UNNEST(['x', NULL, '-', '']) AS a")
    exports.deliver(DAY)
    assert exports.text(f"out/{DAY}.csv") == '"a"\n"x"\n-\n"-"\n""\n'


@pytest.mark.parametrize("ending", ["csv", "jsonl.zst", "parquet"])
def test_a_source_of_files_reads_them(exports: Exports, ending: str) -> None:
    path = f"out/{{partition_key}}.{ending}"
    exports.declare(path)
    publish(exports, "SELECT * FROM (VALUES (1, 'x'), (2, NULL)) AS t(id, name)")
    exports.deliver(DAY)
    exports.project.declare(
        f"sources:\n  files: {{type: file, path: '{path}', settle: 0s}}\n", daily=True
    )
    exports.project.land_source("files", DAY)
    rows = exports.project.rows("raw/files")
    assert sorted((int(str(row["id"])), row["name"]) for row in rows) == [(1, "x"), (2, None)]


def test_text_of_megabytes_comes_back(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    exports.declare("out/{partition_key}.jsonl", "expression: length(a) = 20000000")
    publish(exports, "SELECT REPEAT('x', 20000000) AS a")
    loading = exports.deliver(DAY)
    assert [outcome.verdict for outcome in loading.outcomes] == ["pass"]


def shown(rows: Sequence[object]) -> list[str]:
    return sorted(map(str, rows))


def test_duckdb_reads_csv_by_itself(exports: Exports) -> None:
    exports.declare("out/{partition_key}.csv.zst")
    publish(
        exports, "SELECT * FROM (VALUES (1, 1.5, DATE '2024-01-01'), (2, NULL, NULL)) t(a, b, c)"
    )
    exports.deliver(DAY)
    with duckdb.connect() as connection:
        path = exports.path(f"out/{DAY}.csv.zst")
        rows = connection.sql(f"SELECT a, b, c::VARCHAR FROM '{path}'").fetchall()
    assert shown(rows) == ["(1, 1.5, '2024-01-01')", "(2, None, None)"]
