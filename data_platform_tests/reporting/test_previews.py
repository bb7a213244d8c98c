"""Ten rows as Markdown: readable, escaped, bounded, and without what tells of a person."""

import re
from pathlib import Path

import duckdb
import pytest

from data_platform.plan.schemas import NO_MASKING, Masking
from data_platform.reporting.markdown import escaped
from data_platform.reporting.previews import COLUMNS, MAX_LENGTH, WIDTH, preview_of
from data_platform.storage.places.folder import Folder
from data_platform.storage.versions import DataFile, PartitionVersion

PLACE = Folder(Path("/nowhere"))
"""Files are told by their paths."""


def version_of(folder: Path, *queries: str) -> PartitionVersion:
    """A partition with a file for each SELECT."""
    files: list[DataFile] = []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for number, query in enumerate(queries):
            path = folder / f"{number}.parquet"
            connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
            counted = connection.execute(f"SELECT count(*) FROM '{path}'").fetchone()
            assert counted
            files.append(DataFile(str(path), counted[0], path.stat().st_size))
    return PartitionVersion("version", tuple(files))


def cells(folder: Path, query: str, masking: Masking = NO_MASKING) -> list[list[str]]:
    """The cells of a preview, headers first, the rule left out."""
    lines = preview_of(version_of(folder, query), masking, PLACE).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    split = [re.split(r"(?<!\\)\|", row)[1:-1] for row in rows]
    return [[cell.strip() for cell in row] for row in (split[0], *split[2:])]


def test_the_first_ten_rows_in_the_order_of_the_files(tmp_path: Path) -> None:
    version = version_of(
        tmp_path,
        "SELECT i AS id FROM range(3) r(i)",
        "SELECT i AS id FROM range(0) r(i)",
        "SELECT i + 100 AS id FROM range(2000) r(i)",
    )
    preview = preview_of(version, NO_MASKING, PLACE)
    assert preview.startswith("2,003 rows, the first 10 of them:\n\n| id |\n| ---: |\n| 0 |\n")
    assert preview.endswith("| 2 |\n| 100 |\n| 101 |\n| 102 |\n| 103 |\n| 104 |\n| 105 |\n| 106 |")
    assert preview == preview_of(version, NO_MASKING, PLACE)


@pytest.mark.parametrize(
    ("rows", "about"), [(0, "No rows."), (1, "The one row:"), (10, "All 10 rows:")]
)
def test_few_rows_are_all_shown(tmp_path: Path, rows: int, about: str) -> None:
    version = version_of(tmp_path, f"SELECT i AS id FROM range({rows}) r(i)")
    assert preview_of(version, NO_MASKING, PLACE).startswith(f"{about}\n\n| id |")


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("NULL::INTEGER", "*NULL*"),
        ("'NULL'", "NULL"),
        ("'*NULL*'", r"\*NULL\*"),
        ("''", "*empty*"),
        ("1.50::DECIMAL(12,2)", "1.50"),
        ("99999999999999999999999999999999999999::DECIMAL(38,0)", "9" * 38),
        ("0.1::DOUBLE", "0.1"),
        ("'nan'::DOUBLE", "nan"),
        ("'-infinity'::DOUBLE", "-inf"),
        ("true", "true"),
        ("DATE '2024-02-29'", "2024-02-29"),
        ("TIMESTAMP '2024-02-29 01:02:03'", "2024-02-29 01:02:03"),
        ("TIMESTAMP '2024-02-29 01:02:03.4'", "2024-02-29 01:02:03.400000"),
        ("TIMESTAMPTZ '2024-02-29 01:02:03+02'", "2024-02-28 23:02:03Z"),
        ("TIMESTAMP '12024-02-29 01:02:03'", "12024-02-29 01:02:03"),
        ("TIMESTAMP 'infinity'", "infinity"),
        ("TIMESTAMP '-infinity'", "-infinity"),
        ("TIME '01:02:03'", "01:02:03"),
        ("[1, NULL, 3]", r"\[1, null, 3\]"),
        ("{'a': 1, 'b': ['x|y']}", r"""{"a": 1, "b": \["x\|y"\]}"""),
        (r"'\xff'::BLOB", "ff"),
        ("'a|b'", r"a\|b"),
        (r"'a\|b'", r"a\\\|b"),
        ("'`rm`'", r"\`rm\`"),
        ("'<b>&amp;'", "&lt;b&gt;&amp;amp;"),
        ("'[a](http://b)'", r"\[a\](http://b)"),
        ("'_x_ a_b ~c~'", r"\_x\_ a_b \~c\~"),
        ("'a' || chr(10) || 'b' || chr(27) || chr(8238)", r"a\\nb\\x1b\\u202e"),
        ("'日本語 🎉 ß'", "日本語 🎉 ß"),
        (f"repeat('w', {WIDTH})", "w" * WIDTH),
        (f"repeat('日', {WIDTH + 1})", "日" * (WIDTH - 1) + "…"),
    ],
)
def test_a_value_reads_as_it_is(tmp_path: Path, expression: str, shown: str) -> None:
    query = f"SELECT {expression} AS v, 'after' AS a"
    assert cells(tmp_path, query) == [["v", "a"], [shown, "after"]]


def test_columns_that_tell_of_a_person_are_masked_null_or_not(tmp_path: Path) -> None:
    query = "SELECT 'me@example.org' AS Email, NULL AS phone, 'Rome' AS city"
    masking = Masking(frozenset({"email", "phone"}))
    assert cells(tmp_path, query, masking)[1] == ["•••", "•••", "Rome"]
    assert cells(tmp_path, query, Masking(shown=frozenset({"city"})))[1] == ["•••", "•••", "Rome"]
    assert cells(tmp_path, query, Masking(shown=frozenset()))[1] == ["•••", "•••", "•••"]


def test_further_columns_are_only_named(tmp_path: Path) -> None:
    columns = ", ".join(f"{number} AS c{number}" for number in range(COLUMNS + 2))
    version = version_of(tmp_path, f"SELECT {columns}")
    preview = preview_of(version, NO_MASKING, PLACE)
    assert preview.endswith("\n\nand 2 more columns: c12, c13")
    assert "| c11 |\n" in preview


def test_names_of_columns_are_escaped_and_found_with_dots_in_them(tmp_path: Path) -> None:
    query = """SELECT 1 AS "a.b", {'b': 2} AS a, 3 AS "x|y", 4 AS "<i>" """
    assert cells(tmp_path, query) == [
        ["a.b", "a", r"x\|y", "&lt;i&gt;"],
        ["1", '{"b": 2}', "3", "4"],
    ]


def test_rows_are_left_out_until_it_is_small(tmp_path: Path) -> None:
    columns = ", ".join(f"repeat('<', 500) AS \"{'n' * 100}{n}\"" for n in range(COLUMNS * 4))
    version = version_of(tmp_path, f"SELECT {columns} FROM range(20)")
    preview = preview_of(version, NO_MASKING, PLACE)
    assert len(preview) <= MAX_LENGTH
    assert re.match(r"20 rows, the first \d of them", preview)


def test_a_file_that_is_gone_keeps_nothing_from_being_recorded(tmp_path: Path) -> None:
    version = version_of(tmp_path, "SELECT 1 AS id")
    (tmp_path / "0.parquet").unlink()
    assert preview_of(version, NO_MASKING, PLACE).startswith("The rows can't be shown: ")
    (tmp_path / "0.parquet").write_text("no parquet")
    assert preview_of(version, NO_MASKING, PLACE).startswith("The rows can't be shown: ")


def test_a_line_is_cut_before_it_is_escaped() -> None:
    assert escaped("<<<<", 3) == "&lt;&lt;…"
    assert escaped("", 3) == ""
