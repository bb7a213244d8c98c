# ruff: noqa: E501 -- cases stand in tables, one a line
"""CSV lands as it is written: no sign lost, no line skipped, nothing guessed that could be wrong."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from factories import Project

from data_platform.errors import SourceError

BIG = "12345678901234567890"
TYPES: dict[str, tuple[list[str], list[object]]] = {
    "integers": (["1", "-2", "0"], [1, -2, 0]),
    "leading zeros stay": (["007", "12"], ["007", "12"]),
    "telephone numbers stay": (["+49123", "+1"], ["+49123", "+1"]),
    "twenty digits stay": ([BIG, "1"], [Decimal(BIG), Decimal(1)]),
    "forty digits are a text": (["1" * 40], ["1" * 40]),
    "decimals": (["1.5", "2"], [1.5, 2.0]),
    "a double as Python writes it": (["0.30000000000000004", "1e-07"], [0.1 + 0.2, 1e-07]),
    "decimals that a double would round": (
        ["1234567890123456.78", "0.5"],
        [Decimal("1234567890123456.78"), Decimal("0.50")],
    ),
    "numbers with spaces are texts": ([" 5", "6"], [" 5", "6"]),
    "numbers with thousands are texts": (["1_000"], ["1_000"]),
    "truth": (["true", "False"], [True, False]),
    "zero and one are numbers": (["0", "1"], [0, 1]),
    "days": (["2024-02-29"], [date(2024, 2, 29)]),
    "a day that isn't there is a text": (["2024-02-30"], ["2024-02-30"]),
    "days of another order are texts": (["01/02/2024"], ["01/02/2024"]),
    "moments": (
        ["2024-01-01 10:00:00.123456", "2024-01-01"],
        [
            datetime.fromisoformat("2024-01-01 10:00:00.123456"),
            datetime.fromisoformat("2024-01-01"),
        ],
    ),
    "nanoseconds are texts": (["2024-01-01 10:00:00.123456789"], ["2024-01-01 10:00:00.123456789"]),
    "moments with a zone": (
        ["2024-01-01T10:00:00Z", "2024-01-01 12:00:00+02:00"],
        [datetime(2024, 1, 1, 10, tzinfo=UTC)] * 2,
    ),
    "numbers and words": (["1", "x"], ["1", "x"]),
    "numbers beyond doubles are texts": (["1e999"], ["1e999"]),
    "nothing at all": (["", ""], [None, None]),
}


def put(project: Project, content: bytes | str, name: str = "o.csv") -> None:
    (project.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def declare(project: Project, csv: str = "{}", more: str = "", path: str = "o*.csv") -> None:
    project.declare(f"sources:\n  orders: {{type: file, path: '{path}', csv: {csv}}}\n{more}")


def landed(project: Project) -> list[tuple[object, ...]]:
    assert not project.land_source("orders").failed
    return [
        tuple(value for name, value in row.items() if not name.startswith("_source_"))
        for row in project.rows("raw/orders")
    ]


@pytest.mark.parametrize("case", TYPES)
def test_types(project: Project, case: str) -> None:
    texts, wanted = TYPES[case]
    put(project, "n,v\n" + "".join(f"{number},{text}\n" for number, text in enumerate(texts)))
    declare(project)
    found = [value for _, value in sorted(landed(project), key=lambda row: str(row[0]))]
    assert found == wanted
    assert [type(value) for value in found] == [type(value) for value in wanted]


def test_types_are_those_that_hold_all_files(project: Project) -> None:
    put(project, "v\n1\n", "o1.csv")
    put(project, "v\n007\n", "o2.csv")
    declare(project)
    assert sorted(map(str, landed(project))) == ["('007',)", "('1',)"]


def test_a_late_text_among_many_numbers_is_seen(project: Project) -> None:
    put(project, "v\n" + "".join(f"{number}\n" for number in range(30_000)) + "x7\n")
    declare(project)
    assert ("x7",) in landed(project)


@pytest.mark.parametrize(
    ("first", "then", "told"),
    [
        ("1", "007", "line 3: column v: 007 is not BIGINT"),
        ("1", "1.5", "line 3: column v: 1.5 is not BIGINT"),
        ("1.5", "12345678901234567.8", "12345678901234567.8 is not DOUBLE"),
        ("2024-01-01", "2024-13-01", "2024-13-01 is not DATE"),
    ],
)
def test_what_the_tables_type_would_lose_is_refused(
    project: Project, first: str, then: str, told: str
) -> None:
    declare(project)
    put(project, f"v\n{first}\n")
    landed(project)
    put(project, f"v\n{first}\n{then}\n")
    with pytest.raises(SourceError, match=told):
        project.land_source("orders")


def test_a_type_that_a_person_named_reads_any_exact_value(project: Project) -> None:
    put(project, "v,w\n007,1.50\n")
    project.declare(
        "sources:\n  orders:\n    type: file\n    path: o.csv\n"
        "    columns: {v: {type: bigint}, w: {type: 'decimal(6,2)'}}\n"
    )
    assert landed(project) == [(7, Decimal("1.50"))]
    put(project, "v,w\n1,1.505\n")
    with pytest.raises(SourceError, match=r"line 2: column w: 1\.505 is not DECIMAL\(6,2\)"):
        project.land_source("orders")


def test_no_message_shows_a_value_of_a_person(project: Project) -> None:
    put(project, "v\n1\n")
    project.declare(
        "sources:\n  orders:\n    type: file\n    path: o.csv\n"
        "    columns: {v: {type: bigint, pii: true}}\n"
    )
    landed(project)
    put(project, "v\nsecret\n")
    with pytest.raises(SourceError, match="column v: a value is not BIGINT") as error:
        project.land_source("orders")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("told", ["pii: true", "description: Years."])
def test_a_bad_file_of_personal_data_is_told_without_its_values(
    project: Project, told: str
) -> None:
    project.declare(
        "sources:\n  orders:\n    type: file\n    path: p*.jsonl\n    partitions: none\n"
        f"    columns: {{v: {{type: bigint, {told}}}}}\n"
    )
    put(project, '{"v": 1}\n', "p1.jsonl")
    put(project, '{"v": 2}\n{"v": "secret-17"}\n', "p2.jsonl")
    passage = project.land_source("orders")
    kept = "".join(
        path.read_text()
        for path in (project.folder / "lake" / "quarantine").rglob("*.json")
        if path.is_file()
    )
    assert "p2.jsonl" in kept
    assert ("secret-17" in kept + repr(passage)) == ("pii" not in told)
    assert ("may name a person" in kept + repr(passage)) == ("pii" in told)


SOUND: dict[str, tuple[str | bytes, str, list[tuple[object, ...]]]] = {
    "no line break at the end": ("a,b\n1,x", "{}", [(1, "x")]),
    "line breaks of Windows": ("a,b\r\n1,x\r\n2,y\r\n", "{}", [(1, "x"), (2, "y")]),
    "a line break in quotes": ('a,b\n1,"x\ny"\n', "{}", [(1, "x\ny")]),
    "a quote in quotes": ('a,b\n1,"x""y"\n', "{}", [(1, 'x"y')]),
    "a line break in the header": ('a,"b\nc"\n1,x\n', "{}", [(1, "x")]),
    "a byte order mark": (b"\xef\xbb\xbfa,b\n1,x\n", "{}", [(1, "x")]),
    "a byte order mark without a header": (b"\xef\xbb\xbf1,x\n", "{header: false}", [(1, "x")]),
    "empty lines": ("a,b\n1,x\n\n2,y\n\n", "{}", [(1, "x"), (2, "y")]),
    "a name that is empty": (",b\n1,x\n", "{}", [(1, "x")]),
    "an empty field too many": ("a,b\n1,x,\n", "{}", [(1, "x")]),
    "a separator of two signs": ("a||b\n1||x|y\n", "{delimiter: '||'}", [(1, "x|y")]),
    "tabs": ("a\tb\n1\tx\n", '{delimiter: "\\t"}', [(1, "x")]),
    "no quotes": ('a,b\n1,"x\n', "{quote: ''}", [(1, '"x')]),
    "other quotes": ("a,b\n1,'x,y'\n", '{quote: "\'"}', [(1, "x,y")]),
    "texts that mean nothing": ("a,b\nNA,\n1,x\n", "{null_values: [NA]}", [(1, "x"), (None, "")]),
    "an empty text in quotes is nothing": ('a,b\n1,""\n', "{}", [(1, None)]),
    "one column": ("a\n1\n\n2\n", "{}", [(1,), (2,), (None,)]),
    "no header": ("1,x\n2,y\n", "{header: false}", [(1, "x"), (2, "y")]),
    "only a header": ("a,b\n", "{}", []),
    "only a header without a line break": ("a,b", "{}", []),
}


@pytest.mark.parametrize("case", SOUND)
def test_forms_that_are_read(project: Project, case: str) -> None:
    content, csv, wanted = SOUND[case]
    put(project, content)
    declare(project, csv)
    assert sorted(landed(project), key=str) == sorted(wanted, key=str)


BAD: dict[str, tuple[str | bytes, str, str]] = {
    "a field too many": ("a,b\n1,x\n2,y,z\n", "{}", "line 3: 3 fields where 2 columns are"),
    "a field too few": ("a,b\n1,x\n2\n3,z\n", "{}", "line 3: 1 fields where 2 columns are"),
    "a last line that is cut": ("a,b\n1,x\n2", "{}", "line 3: 1 fields where 2 columns are"),
    "a quote that isn't closed": ('a,b\n1,"x\n2,y\n', "{}", "line 2: a quote isn't closed"),
    "something after a quote": ('a,b\n1,"x"y\n', "{}", "line 2: a quote isn't closed"),
    "a quote in the header": ('a,"b\n1,x\n', "{}", "line 1: a quote isn't closed"),
    "line breaks of two kinds": ("a,b\r\n1,x\n2,y\r\n", "{}", "line breaks differ"),
    "bytes that are no text": (b"a,b\n1,x\n2,\xff\n", "{}", "line 3: it isn't utf-8"),
    "bytes in the header that are no text": (
        "größe,b\n1,x\n".encode("latin-1"),
        "{}",
        "line 1 isn't utf-8",
    ),
    "a column twice": ("a,b,A\n1,x,2\n", "{}", "line 1 names the column A twice"),
    "no header": ("\na,b\n1,x\n", "{}", "line 1 is empty"),
    "no bytes": ("", "{}", "it has no bytes"),
    "a mark and nothing else": (b"\xef\xbb\xbf", "{}", "it has no bytes"),
    "bytes that are no ASCII": ("a\nü\n", "{encoding: ascii}", "it isn't"),
    "bytes that are no UTF-16": (b"a\n1\n\x00", "{encoding: utf-16}", "it isn't utf-16"),
}


@pytest.mark.parametrize("case", BAD)
def test_forms_that_are_refused(project: Project, case: str) -> None:
    content, csv, told = BAD[case]
    put(project, content)
    declare(project, csv)
    with pytest.raises(SourceError, match=rf"its file is bad: .*o\.csv: .*{told}"):
        project.land_source("orders")


def test_columns_in_another_order_and_case(project: Project) -> None:
    put(project, "id,name\n1,a\n", "o1.csv")
    put(project, "Name,ID\nb,2\n", "o2.csv")
    declare(project)
    assert sorted(landed(project)) == [(1, "a"), (2, "b")]
    put(project, "NAME,extra,ID\nc,x,3\n", "o2.csv")
    assert (3, "c", "x") in landed(project)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "iso-8859-15", "cp037"],
)
def test_encodings(project: Project, encoding: str) -> None:
    put(project, "id,größe\n1,straße é\n2,\n".encode(encoding))
    declare(project, f"{{encoding: {encoding}}}")
    assert landed(project) == [(1, "straße é"), (2, None)]
    assert "größe" in project.rows("raw/orders")[0]


def test_asian_text_over_the_edge_of_a_piece(project: Project) -> None:
    text = "id,name\n" + "".join(f"{number},漢字かな{number}\n" for number in range(120_000))
    put(project, text.encode("shift_jis"))
    declare(project, "{encoding: shift_jis}")
    rows = landed(project)
    assert len(rows) == 120_000
    assert (119_999, "漢字かな119999") in rows


@pytest.mark.parametrize(
    ("csv", "told"),
    [
        ("{encoding: utf8-sig}", "did you mean"),
        ("{encoding: klingon}", "no encoding of text that Python knows"),
        ("{encoding: rot13}", "no encoding of text"),
    ],
)
def test_an_encoding_that_is_none(project: Project, csv: str, told: str) -> None:
    declare(project, csv)
    [problem] = project.problems()
    assert told in problem
    assert "pipeline.yaml:" in problem
