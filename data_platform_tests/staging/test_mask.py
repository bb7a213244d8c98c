"""`mask`: tokens by the platform's key, one text for all, and ends of values."""

import hashlib
import hmac
from dataclasses import replace

import pytest
from factories import PLATFORM, Project

from data_platform.errors import PermanentError

KEY = "a key of twenty-four signs"
BODY = """
staging:
  people:
    from: raw.orders
    transformations:
      - mask:
          {masks}
"""


@pytest.fixture
def keyed(project: Project) -> Project:
    """A project whose platform has a key."""
    project.platform(f"{PLATFORM}masking:\n  key: ${{MASKING_KEY}}\n")
    project.workbench = replace(project.workbench, masking_key=lambda: KEY)
    return project


def token(text: str) -> str:
    """By the standard library."""
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def masked(project: Project, rows: str, method: str) -> list[object]:
    """The values of column `v` after the mask, in the order of column `n`."""
    project.declare(BODY.format(masks=f"v: {method}"))
    project.land("raw/orders", rows)
    project.compute("staging/people")
    found = {row["n"]: row["v"] for row in project.rows("staging/people")}
    return [found[n] for n in sorted(found, key=str)]


def test_a_hash_is_the_hmac_of_the_text_and_null_stays_null(keyed: Project) -> None:
    rows = (
        "select * from (values (1, 'anna@example.com'), (2, NULL), (3, ''), (4, 'Zoë 🦊')) t(n, v)"
    )
    assert masked(keyed, rows, "hash") == [
        token("anna@example.com"),
        None,
        token(""),
        token("Zoë 🦊"),
    ]


@pytest.mark.parametrize(
    "kind", ["tinyint", "bigint", "hugeint", "decimal(9,2)", "decimal(38,10)", "double", "varchar"]
)
def test_a_number_has_one_token_whatever_its_type(keyed: Project, kind: str) -> None:
    assert masked(keyed, f"select 1 as n, 42::{kind} as v", "hash") == [token("42")]


def test_numbers_that_differ_have_tokens_that_differ(keyed: Project) -> None:
    rows = "select * from (values (1, 0.5::double), (2, -0.0), (3, 1e15), (4, 'nan')) t(n, v)"
    texts = ["0.5", "0", "1000000000000000", "nan"]
    assert masked(keyed, rows, "hash") == [token(text) for text in texts]


def test_text_is_hashed_as_it_stands(keyed: Project) -> None:
    rows = "select * from (values (1, '1.0'), (2, '1'), (3, ' 1'), (4, '1e+3')) t(n, v)"
    assert masked(keyed, rows, "hash") == [token(text) for text in ("1.0", "1", " 1", "1e+3")]


def test_a_key_longer_than_a_block_is_hashed_first(keyed: Project) -> None:
    long = "k" * 100
    keyed.workbench = replace(keyed.workbench, masking_key=lambda: long)
    expected = hmac.new(long.encode(), b"anna", hashlib.sha256).hexdigest()
    assert masked(keyed, "select 1 as n, 'anna' as v", "hash") == [expected]


def test_redaction_gives_one_text_and_needs_no_key(project: Project) -> None:
    rows = "select * from (values (1, 5), (2, NULL)) t(n, v)"
    assert masked(project, rows, "redact") == ["[redacted]", None]


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("4111111111111111", "***1111"),
        ("anna@example.com", "***.com"),
        ("Jonathan", "***an"),
        ("abc", "***c"),
        ("ab", "***"),
        ("", "***"),
        ("ßüé🦊öä", "***öä"),
    ],
)
def test_a_part_is_at_most_four_characters_and_a_third(
    project: Project, value: str, left: str
) -> None:
    assert masked(project, f"select 1 as n, '{value}' as v", "partial") == [left]


def test_steps_after_a_mask_see_the_token_and_those_before_the_value(keyed: Project) -> None:
    keyed.declare("""
staging:
  people:
    from: raw.orders
    transformations:
      - add_columns: {long: "length(v)"}
      - mask: {v: hash}
      - add_columns: {again: "v"}
      - rename_columns: {v: token}
    columns:
      token: {type: varchar, nullable: false, unique: true}
    extra_columns: keep
""")
    keyed.land("raw/orders", "select 1 as n, 'anna' as v")
    keyed.compute("staging/people")
    assert keyed.rows("staging/people") == [
        {"n": 1, "token": token("anna"), "long": 4, "again": token("anna")}
    ]


def test_the_key_is_in_no_text_of_the_plan(keyed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKING_KEY", KEY)
    keyed.declare(BODY.format(masks="v: hash"))
    node = keyed.staging("people")
    assert 'mask_hash("v")' in node.sql
    assert KEY not in f"{node}{node.code}{keyed.workspace().platform!r}"


def test_hash_without_a_key_in_the_platform_is_a_load_error(project: Project) -> None:
    project.declare(BODY.format(masks="v: hash\n          w: redact"))
    [problem] = project.problems()
    assert problem.startswith("shop/pipeline.yaml:12:11: v is masked by `hash`, which needs")
    assert "masking: {key: ${MASKING_KEY}}" in problem


def test_a_column_that_does_not_arrive_is_named_with_its_line(keyed: Project) -> None:
    keyed.know(orders={"n": "BIGINT"})
    keyed.declare(BODY.format(masks="v: hash"))
    assert keyed.problems() == ["shop/pipeline.yaml:12:11: no column 'v' arrives here; there are n"]


def test_an_unknown_method_is_named_with_those_that_there_are(keyed: Project) -> None:
    keyed.declare(BODY.format(masks="v: hush"))
    [problem] = [str(problem) for broken in keyed.workspace().broken for problem in broken.problems]
    assert "'hash'" in problem
    assert "pipeline.yaml:12:" in problem


@pytest.mark.parametrize("key", ["", "fifteen letters"])
def test_a_key_that_is_too_short_ends_the_step_and_is_not_told(keyed: Project, key: str) -> None:
    keyed.workbench = replace(keyed.workbench, masking_key=lambda: key)
    with pytest.raises(PermanentError, match=f"has {len(key)} characters, and at least 16") as told:
        masked(keyed, "select 1 as n, 'a' as v", "hash")
    assert not key or key not in str(told.value)


def test_a_key_that_nobody_gives_ends_the_step(keyed: Project) -> None:
    keyed.workbench = replace(keyed.workbench, masking_key=None)
    with pytest.raises(PermanentError, match=r"masks by `hash`, and nothing gives the platform's"):
        masked(keyed, "select 1 as n, 'a' as v", "hash")


def test_a_key_that_is_written_out_is_a_warning(project: Project) -> None:
    project.platform(f"{PLATFORM}masking:\n  key: {KEY}\n")
    project.declare(BODY.format(masks="v: hash"))
    [problem] = project.workspace().problems
    assert problem.warning
    assert "platform.yaml:7:" in str(problem)
    assert "'key' is written out here" in str(problem)
    assert KEY not in str(problem)


def test_quarantine_holds_masked_columns_masked_and_rows_are_known_as_they_came(
    keyed: Project,
) -> None:
    keyed.declare("""
sources:
  orders:
    type: file
    path: o.parquet
    partitions: none
    columns: {Mail: {pii: true}, phone: {pii: true}}
staging:
  people:
    from: raw.orders
    transformations:
      - rename_columns: {Mail: email}
      - mask: {email: hash}
      - drop_columns: [phone]
    quality:
      - not_null: [id]
    on_violation: quarantine
""")
    keyed.land(
        "raw/orders", "select null::bigint as id, 'a@x.org' as Mail, 491701 as phone, 5 as n"
    )
    keyed.compute("staging/people")
    [row] = keyed.rows("quarantine/people")
    assert (row["Mail"], row["phone"], row["n"]) == (token("a@x.org"), "[redacted]", 5)
    first = row.get("_row_id")
    keyed.workbench = replace(keyed.workbench, masking_key=lambda: KEY[::-1])
    keyed.land(
        "raw/orders", "select null::bigint as id, 'a@x.org' as Mail, 491701 as phone, 5 as n"
    )
    keyed.compute("staging/people")
    [row] = keyed.rows("quarantine/people")
    assert row["Mail"] != token("a@x.org")
    assert row.get("_row_id") == first
