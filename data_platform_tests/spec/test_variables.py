"""`${VAR}` in texts."""

from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from data_platform.spec.document import read_document
from data_platform.spec.variables import VariableError, check_document, expand, expand_document

ENVIRON = {"HOST": "db", "EMPTY": "", "HOST_2": "${HOST}", "_x1": "y"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("${HOST}", "db"),
        ("a-${HOST}-${_x1}", "a-db-y"),
        ("${EMPTY}", ""),
        ("${EMPTY:-other}", "other"),
        ("${NOWHERE:-other}", "other"),
        ("${NOWHERE:-}", ""),
        ("${NOWHERE:-postgresql://u:p@h/d?x=1}", "postgresql://u:p@h/d?x=1"),
        ("${HOST:-other}", "db"),
        ("${HOST_2}", "${HOST}"),
        ("$${HOST}", "${HOST}"),
        ("$${", "${"),
        ("$HOST", "$HOST"),
        (r"^\d+$", r"^\d+$"),
        ("$$ text $$", "$$ text $$"),
        ("{partition_key}", "{partition_key}"),
    ],
)
def test_expanding(text: str, expanded: str) -> None:
    assert expand(text, ENVIRON) == expanded


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("${NOWHERE}", "NOWHERE is not set; set it, or give a default: .{NOWHERE:-...}"),
        ("${HOSTS}", r"HOSTS is not set; did you mean 'HOST'\? Set it"),
        ("${}", r"'\${}' is no variable"),
        ("${A B}", r"'\${A B}' is no variable"),
        ("${1}", "is no variable"),
        ("${HOST", r"'\${HOST' is no variable"),
        ("${A:-${B}}", "is no variable"),
        ("${HOST-x}", "is no variable"),
        ("${file:/run/secrets/x}", "is no variable"),
    ],
)
def test_what_is_missing_or_wrong(text: str, match: str) -> None:
    with pytest.raises(VariableError, match=match):
        expand(text, ENVIRON)


@given(st.text(alphabet="${}:-AB a"))
def test_expanding_gives_a_text_or_says_what_is_wrong(text: str) -> None:
    try:
        assert isinstance(expand(text, {"A": "x", "AB": "y"}), str)
    except VariableError as error:
        event(str(error)[:20])


def test_all_texts_of_a_document_are_expanded_and_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: ${HOST}\nb: [1, true, '${NOWHERE}', {c: 'x${_x1}'}]\n${HOST}: 1\n")
    data, problems = expand_document(read_document(path), ENVIRON)
    assert data == {"a": "db", "b": [1, True, "${NOWHERE}", {"c": "xy"}], "${HOST}": 1}
    [problem] = problems
    assert (problem.location.line, problem.location.column) == (2, 14)


def test_references_are_checked_for_their_form_only(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: ${NOWHERE}\nb: [x, '${A B}', '$${ }']\n")
    [problem] = check_document(read_document(path))
    assert (problem.location.line, problem.location.column) == (2, 8)
