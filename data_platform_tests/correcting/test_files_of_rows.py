"""Rows of quarantine in files: every value comes back, and only what was edited is an edit."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from factories import DAY, PLATFORM, Project
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.correcting import deciding, exporting
from data_platform.correcting.comparing import Edits, compare
from data_platform.correcting.deciding import Author
from data_platform.correcting.held import read_held
from data_platform.correcting.json_sheets import list_text
from data_platform.correcting.sheet_files import read_sheet
from data_platform.errors import ConfigurationError, PermanentError
from data_platform.observability.quarantine import held_rows
from data_platform.plan.naming import WHOLE

STAGING = """staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, nullable: false}
      price: {min: 0}
    extra_columns: keep
    on_violation: quarantine
"""
VALUES = """SELECT * FROM (VALUES
  (1, -1, 9223372036854775807, 12345678901234567890.10::DECIMAL(38,2), 'nan'::DOUBLE,
   TIMESTAMPTZ '2024-01-01 10:00:00.123456+02', ['a, b', NULL, 'c''d\\'], [[1, NULL], []],
   '=1+1', '\\xDE'::BLOB, TRUE, DATE '2024-02-29'),
  (2, -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, -1, 0, 0.10, '-inf', TIMESTAMPTZ '0001-01-01', [], [NULL], '', '', FALSE, '9999-12-31'),
  (4, -1, -1, -0.01, 1e300, TIMESTAMPTZ '2024-06-30 23:59:59', ['NULL', ''], [[9007199254740993]],
   '\\N', 'x', NULL, '0001-01-01'),
  (5, -1, 5, 5, 0.1, NULL, ['1'], NULL, '''quoted', NULL, NULL, NULL)
) t(id, price, large, exact, real, moment, many, nested, text, raw, yes, day)"""


def edits(project: Project, path: Path) -> Edits:
    """What a file says."""
    node, lake = project.staging("orders"), project.workbench.lake
    with project.workbench.open() as (session, _):
        table = read_held(session, node, lake)
        return compare(session, read_sheet(session, path), table, None)


def export(project: Project, path: Path) -> Path:
    """All rows that wait, in the format of the file's ending."""
    node, lake = project.staging("orders"), project.workbench.lake
    with project.workbench.open([path.parent]) as (session, _):
        table = read_held(session, node, lake)
        rows = exporting.chosen(table, None, None)
        match path.suffix:
            case ".csv":
                path.write_text(exporting.as_csv(table, rows), encoding="utf-8-sig", newline="")
            case ".jsonl":
                path.write_text(exporting.as_json_lines(session, table, rows))
            case _:
                exporting.write_parquet(session, table, rows, path)
    return path


@pytest.fixture
def shop(project: Project) -> Project:
    """Rows of all types in quarantine."""
    project.declare(STAGING)
    project.land("raw/orders", VALUES)
    project.compute("staging/orders")
    return project


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_values_of_all_types_come_back_as_they_are(shop: Project, tmp_path: Path, ending: str):
    found = edits(shop, export(shop, tmp_path / f"held.{ending}"))
    assert found.changed == {}
    assert len(found.same) == 5


def test_what_a_spreadsheet_does_by_itself_is_no_edit(shop: Project, tmp_path: Path):
    path = export(shop, tmp_path / "held.csv")
    text = path.read_text(encoding="utf-8-sig")
    text = text.replace(",true,", ",TRUE,").replace(",0.10,", ",0.1,")
    text = text.replace("\n", "\r\n") + ",,,,,,,,,,,,,,\r\n"
    path.write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))
    assert edits(shop, path).changed == {}


def test_lists_in_json_are_lists(shop: Project, tmp_path: Path):
    path = export(shop, tmp_path / "held.jsonl")
    rows = {row["id"]: row for row in map(json.loads, path.read_text().splitlines())}
    assert (rows[1]["many"], rows[1]["nested"]) == (["a, b", None, "c'd\\"], [[1, None], []])
    assert (rows[1]["large"], rows[1]["real"], rows[2]["text"]) == (2**63 - 1, "nan", None)
    rows[3] |= {"many": ["é 'x'", None], "nested": [[1.5]], "yes": True, "text": None}
    path.write_text(json.dumps(rows[3]) + "\n" + json.dumps(rows[4] | {"many": {"a": 1}}))
    with pytest.raises(ConfigurationError) as caught:
        edits(shop, path)
    assert "many is an object: no column has one" in str(caught.value)
    path.write_text(json.dumps(rows[3]))
    with pytest.raises(ConfigurationError, match=r"nested: '\[\[1.5\]\]' isn't a value of BIGINT"):
        edits(shop, path)
    rows[3]["nested"] = [[2]]
    path.write_text(json.dumps(rows[3]))
    (changed,) = edits(shop, path).changed.values()
    assert changed == {
        "many": "['é \\'x\\'', NULL]", "nested": "[[2]]", "yes": "true", "text": None,
    }  # fmt: skip


def test_a_line_that_is_no_json_is_told_with_its_place(shop: Project, tmp_path: Path):
    path = tmp_path / "held.jsonl"
    path.write_text('{"_row_id": "x", }\n[1]\n{"id": 1}\n')
    with pytest.raises(ConfigurationError) as caught:
        edits(shop, path)
    said = str(caught.value)
    assert ":1:18: no JSON" in said or ":1:16: no JSON" in said
    assert ":2:1: a line holds one object" in said
    assert ":3:8: no column _row_id" in said


def test_a_file_that_is_not_utf8_or_parquet_is_told(shop: Project, tmp_path: Path):
    path = tmp_path / "held.csv"
    path.write_bytes("_row_id,text\nx,caf\xe9\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=":2:6: byte 0xe9 isn't UTF-8"):
        edits(shop, path)
    other = tmp_path / "held.parquet"
    other.write_text("no")
    with pytest.raises(ConfigurationError, match="no Parquet file"):
        edits(shop, other)


@settings(max_examples=40)
@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")))
def test_any_text_comes_back_from_a_cell(text: str):
    cell = exporting.csv_cell(text, "VARCHAR")
    assert cell != exporting.NULL
    assert cell.removeprefix(exporting.GUARD) == text
    assert not cell or cell[0] == exporting.GUARD or cell[0].isalpha()


def test_items_of_lists_are_written_as_the_database_reads_them():
    assert list_text(["a'b\\", None, ["x"], True]) == "['a\\'b\\\\', NULL, ['x'], true]"


# Masked columns -------------------------------------------------------------------------------

KEY = "a key of twenty-four signs"
MASKED = STAGING.replace(
    "    columns:", "    transformations:\n      - mask: {email: hash, phone: redact}\n    columns:"
)
PEOPLE = """SELECT * FROM (VALUES
  (1, -1, 'anna@example.com', 555), (2, -1, 'bob@example.com', 777)) t(id, price, email, phone)"""


@pytest.fixture
def people(project: Project) -> Project:
    """Rows of people in quarantine, masked."""
    project.platform(f"{PLATFORM}masking:\n  key: ${{MASKING_KEY}}\n")
    project.workbench = replace(project.workbench, masking_key=lambda: KEY)
    project.declare(MASKED)
    project.land("raw/orders", PEOPLE)
    project.compute("staging/orders")
    return project


def test_a_masked_cell_that_nobody_edits_stays_what_raw_has(people: Project, tmp_path: Path):
    path = export(people, tmp_path / "held.jsonl")
    text = path.read_text()
    assert "anna" not in text
    assert "555" not in text
    first, second = map(json.loads, text.splitlines())
    if first["id"] != 1:
        first, second = second, first
    first["price"] = 1
    second |= {"email": "eve@example.com", "phone": 888}
    path.write_text("\n".join(map(json.dumps, (first, second))))
    found = edits(people, path)
    assert found.changed[first["_row_id"]] == {"price": "1"}
    assert found.changed[second["_row_id"]] == {"email": "eve@example.com", "phone": "888"}


def test_a_wrong_value_of_a_masked_column_is_not_told(people: Project, tmp_path: Path):
    path = export(people, tmp_path / "held.jsonl")
    rows = [json.loads(line) | {"phone": "a secret"} for line in path.read_text().splitlines()]
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(ConfigurationError, match="phone: what stands here isn't a value") as caught:
        edits(people, path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("price", ["1", "-2"])
def test_a_corrected_value_of_a_masked_column_is_masked_wherever_it_goes(
    people: Project, price: str
):
    """Published or held again."""
    node, lake = people.staging("orders"), people.workbench.lake
    with people.workbench.open() as (session, _):
        table = read_held(session, node, lake)
        found = Edits({key: {"email": "eve@example.com", "price": price} for key in table.rows})
        author = Author("ada", datetime(2024, 1, 1, tzinfo=UTC))
        assert len(deciding.correct(session, lake, table, found, author)) == 2
        assert deciding.correct(session, lake, table, found, author) == []
    passage = people.compute("staging/orders")
    assert passage.failed == {}
    rows = [*people.rows("staging/orders"), *people.rows("quarantine/orders")]
    assert len(rows) == 2
    assert "eve@" not in str(rows)
    assert len(set(people.column("staging/orders", "email"))) == (1 if price == "1" else 0)
    with people.workbench.open() as (session, _):
        shown = read_held(session, node, lake).rows.values()
    assert "eve@" not in str([row.cells for row in shown])


def test_two_quarantines_in_one_query_are_two(project: Project):
    from data_platform.observability.querying import ask

    for number, name in enumerate(("shop", "mall"), start=1):
        project.declare(STAGING, name=name, daily=True)
        project.land(f"raw/{name}/orders", f"SELECT {number} AS id, -1 AS price", DAY)
        project.compute(f"staging/{name}/orders", DAY)
    sql = (
        "SELECT a.id, b.id FROM shop.quarantine.orders a JOIN mall.quarantine.orders b "
        "ON a.partition = b.partition"
    )
    assert ask(sql, project.build().plan, project.workbench, None).rows == ((1, 2),)


def test_rows_of_an_older_version_are_listed_and_not_taken_back_in(project: Project):
    """They have no identity until their partition runs again."""
    project.declare(STAGING)
    project.land("raw/orders", "SELECT 1 AS id, -1 AS price")
    project.land("staging/orders", "SELECT 2 AS id, 2 AS price")
    standing = project.table("staging/orders").snapshot()
    assert standing
    version = standing.partitions[WHOLE].data_version
    project.land(
        "quarantine/orders",
        f"SELECT 1 AS id, -1 AS price, ['range_price'] AS _reasons, '{version}' AS _data_version, "
        "'x' AS _source_version, 'r' AS _run_id, now() AS _quarantined_at",
    )
    node = project.staging("orders")
    assert [(one.rows, one.discarded) for one in held_rows([node], project.workbench)] == [(1, 0)]
    with (
        project.workbench.open() as (session, _),
        pytest.raises(PermanentError, match="run staging/shop/orders again"),
    ):
        read_held(session, node, project.workbench.lake)
