"""A file's values are those of YAML 1.2, and each knows its place."""

from pathlib import Path
from typing import Any

import pytest

from data_platform.errors import ConfigurationError
from data_platform.spec.document import Document, read_document


def document(tmp_path: Path, text: str) -> Document:
    path = tmp_path / "some.yaml"
    path.write_bytes(text.encode())
    return read_document(path)


def place(found: Document, *keys: str | int) -> tuple[int, int]:
    location = found.locate(*keys)
    assert location.file == found.path
    return location.line, location.column


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("0", 0),
        ("-12", -12),
        ("+3", 3),
        ("0x1F", 31),
        ("0o17", 15),
        ("007", "007"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.5e-3", 0.0015),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("9" * 5000, "9" * 5000),
        ("2017-01-01", "2017-01-01"),
        ("2017-01-01 10:00:00", "2017-01-01 10:00:00"),
        ("=", "="),
        ("'1'", "1"),
        ('"true"', "true"),
        ("''", ""),
        ("'a''b'", "a'b"),
        ("|\n  a\n  b", "a\nb\n"),
        (">\n  a\n  b", "a b\n"),
        ("[1, a]", [1, "a"]),
        ("{a: 1}", {"a": 1}),
        ("[]", []),
        ("{}", {}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    found = document(tmp_path, f"x: {text}\n").data["x"]
    assert found == value
    assert type(found) is type(value)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    found = document(tmp_path, "\ufeffa: 1\r\nb:\r\n  c: ü\r\n")
    assert found.data == {"a": 1, "b": {"c": "ü"}}
    assert place(found, "b", "c") == (3, 3)


def test_columns_count_characters(tmp_path: Path) -> None:
    assert place(document(tmp_path, "ü: {öö: 1, b: 2}\n"), "ü", "b") == (1, 12)


NESTED = """\
sources:
  sales:
    type: database
staging:
  sales:
    quality:
      - unique: [a, b]
      - range:
          column: c
"""


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((), (1, 1)),
        (("nowhere",), (1, 1)),
        (("sources", "sales", "type"), (3, 5)),
        (("sources", "sales", "database", "type"), (3, 5)),
        (("sources", "sales", "database", "missing"), (2, 3)),
        (("staging", "sales", "quality", 0), (7, 9)),
        (("staging", "sales", "quality", 0, "unique", "columns", 1), (7, 21)),
        (("staging", "sales", "quality", 0, "unique", "b"), (7, 21)),
        (("staging", "sales", "quality", 1, "range", "column"), (9, 11)),
        (("staging", "sales", "quality", 7), (6, 5)),
    ],
)
def test_locate_gives_the_deepest_key_or_item(
    tmp_path: Path, keys: tuple[str | int, ...], expected: tuple[int, int]
) -> None:
    assert place(document(tmp_path, NESTED), *keys) == expected


def test_an_anchor_is_used_and_located_where_it_is_written(tmp_path: Path) -> None:
    found = document(tmp_path, "a: &a\n  x: 1\nb: *a\nc: [*a]\n")
    assert found.data == {"a": {"x": 1}, "b": {"x": 1}, "c": [{"x": 1}]}
    assert place(found, "b") == (3, 1)
    assert place(found, "b", "x") == (2, 3)


@pytest.mark.parametrize("merged", ["*a", "[*b, *a]"])
def test_merged_keys_go_behind_those_of_the_mapping(tmp_path: Path, merged: str) -> None:
    text = f"a: &a {{x: 1, y: 1}}\nb: &b {{z: 1}}\nc:\n  y: 2\n  <<: {merged}\n"
    found = document(tmp_path, text)
    expected = {"x": 1, "y": 2, "z": 1} if "b" in merged else {"x": 1, "y": 2}
    assert found.data["c"] == expected
    assert place(found, "c", "x") == (1, 8)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{x: concat(a, b), y: 1}", {"x": "concat(a, b)", "y": 1}),
        ("{x: f(a, g(2, b), 3)}", {"x": "f(a, g(2, b), 3)"}),
        ("[f(a, b), c]", ["f(a, b)", "c"]),
    ],
)
def test_a_broken_expression_is_one_problem_and_goes_on_whole(
    tmp_path: Path, text: str, value: Any
) -> None:
    found = document(tmp_path, f"v: {text}\n")
    assert found.data["v"] == value
    assert [problem.message[:20] for problem in found.problems] == ["quote the expression"]


@pytest.mark.parametrize("text", ["{x: 'f(a, b)'}", "{x: f(a)}", "{x: (a}", "\n  x: f(a, b)"])
def test_sound_expressions_are_left_alone(tmp_path: Path, text: str) -> None:
    assert document(tmp_path, f"v: {text}\n").problems == ()


def test_a_folder_and_a_missing_file_are_problems(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no file"):
        read_document(tmp_path)
    with pytest.raises(ConfigurationError, match="there is no such file"):
        read_document(tmp_path / "nowhere.yaml")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    with pytest.raises(ConfigurationError, match=r"loop.yaml:1:1: "):
        read_document(tmp_path / "loop.yaml")


def test_a_file_that_never_ends_is_no_file() -> None:
    with pytest.raises(ConfigurationError, match="no file"):
        read_document(Path("/dev/zero"))
