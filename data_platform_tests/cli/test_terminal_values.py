"""How single values look in tables, JSON and CSV."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from data_platform.engine.answers import Answer
from data_platform.terminal.status_tables import age_words
from data_platform.terminal.tables import closing_line
from data_platform.terminal.values import as_text, csv_text, json_lines


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        ("", ""),
        ("two\nlines", "two\\nlines"),
        ("Zoë", "Zoë"),
        (True, "true"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (datetime(2024, 1, 1, 10, tzinfo=UTC), "2024-01-01 10:00:00+00:00"),
        (date(2024, 1, 1), "2024-01-01"),
        (b"\x00\xff", "00ff"),
        (["a", "b"], "a; b"),
        ({"a": [1, None]}, '{"a": [1, null]}'),
    ],
)
def test_a_value_in_a_table(value: object, text: str):
    assert as_text(value) == text


def test_json_is_valid_whatever_the_value():
    values = (
        None, True, 1, 1.5, float("nan"), float("inf"), Decimal("12345678901234567890.12"), 'a "b"',
        datetime(2024, 1, 1, tzinfo=UTC), date(2024, 1, 1), time(10), timedelta(days=1), b"\x01",
        [Decimal("1.5"), None], {"k": {"n": 1}},
    )  # fmt: skip
    names = tuple(f"c{number}" for number in range(len(values)))
    text = "\n".join(json_lines(Answer(names, (values, values), 2)))
    rows = json.loads(text, parse_float=Decimal)
    assert len(rows) == 2
    assert rows[0]["c6"] == Decimal("12345678901234567890.12")
    assert (rows[0]["c4"], rows[0]["c5"]) == (None, None)
    assert rows[0]["c13"] == [Decimal("1.5"), None]


def test_no_rows_are_an_empty_array():
    assert json.loads("\n".join(json_lines(Answer(("a",), (), 0)))) == []


def test_csv_has_its_header_without_rows():
    assert csv_text(Answer(("a", "b c"), (), 0)) == "a,b c\n"


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (None, "-"),
        (timedelta(0), "0s"),
        (timedelta(seconds=-5), "0s"),
        (timedelta(seconds=59), "59s"),
        (timedelta(minutes=90), "1h"),
        (timedelta(days=400), "400d"),
    ],
)
def test_ages_are_in_their_greatest_unit(age: timedelta | None, words: str):
    assert age_words(age) == words


@pytest.mark.parametrize(
    ("shown", "total", "line"),
    [
        (0, 0, "no rows"),
        (1, 1, "1 row"),
        (2, 2, "2 rows"),
        (2, 1_234, "2 of 1,234 rows shown, 1,232 more: --limit 0 shows all"),
    ],
)
def test_the_closing_line_counts(shown: int, total: int, line: str):
    assert closing_line(Answer(("a",), ((1,),) * shown, total)) == line
