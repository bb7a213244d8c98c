"""`${VAR}` in texts."""

from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from data_platform.spec.document import read_document
from data_platform.spec.references import VariableError, references, referred
from data_platform.spec.variables import check_document, expand, expand_document

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
        ("${file:/run/secrets/x}", "the file /run/secrets/x can't be read: No such file"),
        ("${file:secrets/x}", r"'\${file:secrets/x}' names no file: the path must be absolute"),
        ("${file:}", "names no file"),
        ("${aws-secret:}", r"'\${aws-secret:}' names no secret: it is \${aws-secret:name#key}"),
        ("${aws-secret:a b}", "names no secret"),
        ("${aws-secret:a#}", "names no secret"),
        ("${vault:secret/shop}", r"names no secret: it is \${vault:mount/path#key}"),
        ("${vault:secret#key}", "names no secret"),
        ("${valt:secret/shop#key}", r"is no variable: .*or \${vault:mount/path#key}"),
        ("${aws-secret:a}", "can't be asked for here"),
        ("${file:/dev/zero}", "the file /dev/zero is no text of at most 65,536 bytes"),
    ],
)
def test_what_is_missing_or_wrong(text: str, match: str) -> None:
    with pytest.raises(VariableError, match=match):
        expand(text, ENVIRON)


@pytest.mark.parametrize(
    ("content", "read"),
    [(b"s3cret\n", "s3cret"), (b"s3cret\r\n", "s3cret"), (b"a\n\n", "a\n"), ("ö".encode(), "ö")],
)
def test_a_file_is_read_less_one_line_break(tmp_path: Path, content: bytes, read: str) -> None:
    (tmp_path / "token").write_bytes(content)
    assert expand(f"Bearer ${{file:{tmp_path}/token}}", {}) == f"Bearer {read}"


def test_a_file_that_is_no_text_is_refused_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"secret\xff")
    with pytest.raises(VariableError, match="token is no text of at most") as raised:
        expand(f"${{file:{tmp_path}/token}}", {})
    assert "secret" not in str(raised.value)


def test_files_stay_references_where_texts_may_be_secret(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "sources:\n  a:\n    url: ${file:/run/a}\n    auth: {token: '${file:/run/b}'}\n"
        "    headers: {x: '${file:c}'}\n"
    )
    data, problems = expand_document(read_document(path), ENVIRON)
    assert data["sources"]["a"]["auth"] == {"token": "${file:/run/b}"}
    first, second = problems
    assert (first.location.line, second.location.line) == (3, 5)
    assert "can't stand here" in first.message
    assert "the path must be absolute" in second.message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("${A}", ("variable", "A", None, None)),
        ("${A:-}", ("variable", "A", None, "")),
        ("${file:/run/x}", ("file", "/run/x", None, None)),
        ("${aws-secret:prod/shop-1}", ("aws-secret", "prod/shop-1", None, None)),
        (
            "${aws-secret:arn:aws:secretsmanager:eu-west-1:1:secret:shop-Ab#pass word}",
            (
                "aws-secret",
                "arn:aws:secretsmanager:eu-west-1:1:secret:shop-Ab",
                "pass word",
                None,
            ),
        ),
        ("${vault:kv/team/shop#a.b}", ("vault", "kv/team/shop", "a.b", None)),
    ],
)
def test_each_kind_of_reference_has_its_parts(
    text: str, parts: tuple[str, str, str | None, str | None]
) -> None:
    [found] = referred(text)
    assert (found.kind, found.name, found.key, found.default) == parts
    assert found.default is not None or str(found) == text


def test_secrets_stay_references_where_texts_may_be_secret(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "sources:\n  a:\n    url: ${aws-secret:shop}\n    auth: {token: '${vault:kv/shop#token}'}\n"
        "    headers: {x: '${vault:kv}'}\n"
    )
    data, problems = expand_document(read_document(path), ENVIRON)
    assert data["sources"]["a"]["auth"] == {"token": "${vault:kv/shop#token}"}
    first, second = problems
    assert (first.location.line, second.location.line) == (3, 5)
    assert "a secret may be named in platform.yaml, and in auth, body, headers" in first.message
    assert "names no secret" in second.message


def test_references_are_told_from_literals() -> None:
    assert references("Bearer ${A} $${B} ${C:-d}${file:/e}") == ["${A}", "${C:-d}", "${file:/e}"]


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
