"""A failure says what, why, what stands, and what to do next."""

from typing import cast

import pytest
from factories import DAY, NEXT_DAY, Project

from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import LakeNode
from data_platform.reporting.failure_texts import LONGEST_LINE, failure_text, in_a_line


@pytest.fixture
def node(project: Project) -> LakeNode:
    project.declare("staging:\n  orders: {from: raw.orders}\n", daily=True)
    return cast("LakeNode", project.node("staging/orders"))


@pytest.mark.parametrize(
    ("standing", "stands"),
    [
        ({WHOLE: "v"}, "the last good version stands"),
        ({}, "nothing is published yet"),
        (None, "what was there before stands"),
    ],
)
def test_an_asset_without_partitions(
    node: LakeNode, standing: dict[str, str] | None, stands: str
) -> None:
    assert failure_text(node, {WHOLE: "row_count: 3 rows, wanted at least 10"}, standing) == (
        f"staging/shop/orders was not published ({stands}): row_count: 3 rows, wanted at least 10\n"
        "Mend what is named, then: data-platform run shop"
    )


def test_one_partition(node: LakeNode) -> None:
    text = failure_text(node, {DAY: "unique: 7 of 10 rows"}, {DAY: "v"}, rows_shown=True)
    assert text == (
        "staging/shop/orders: 1 partition was not published (the last good version stands):\n"
        f"  {DAY}: unique: 7 of 10 rows\n"
        "Its checks show offending rows. Mend what is named, then: "
        f"data-platform run shop --partition {DAY}"
    )


def test_several_partitions_of_which_some_never_stood(node: LakeNode) -> None:
    text = failure_text(node, {NEXT_DAY: "b", DAY: "a"}, {DAY: "v"})
    assert "2 partitions were not published (the last good version of 1 stands, the others" in text
    assert f":\n  {DAY}: a\n  {NEXT_DAY}: b\n" in text
    assert text.endswith("then: data-platform backfill shop --failed-only")


def test_ten_partitions_are_named_at_most(node: LakeNode) -> None:
    text = failure_text(node, {f"2024-01-{day:02}": "bad" for day in range(1, 32)}, {})
    assert "\n  2024-01-10: bad\n  and 21 more\n" in text


def test_a_key_that_a_shell_would_read_is_quoted(node: LakeNode) -> None:
    text = failure_text(node, {f"{DAY}|eu": "bad"}, {})
    assert text.endswith(f"then: data-platform run shop --partition '{DAY}|eu'")


def test_where_no_row_broke_a_rule_none_is_pointed_to(node: LakeNode) -> None:
    assert "checks" not in failure_text(node, {DAY: "no file matches"}, {})


def test_in_a_line_the_reason_stands_and_not_what_all_of_them_say(node: LakeNode) -> None:
    one = failure_text(node, {DAY: "no file matches"})
    assert in_a_line(one) == f"{DAY}: no file matches"
    more = failure_text(node, {DAY: "no file matches", NEXT_DAY: "bad"}, {DAY: "v"})
    assert in_a_line(more) == f"2 partitions: {DAY}: no file matches"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", None),
        ("\n \n", None),
        ("\n  it broke\nat line 2", "it broke"),
        ("some columns are gone:\n  a\n  b", "some columns are gone: a"),
        ("nothing follows:", "nothing follows:"),
        ("é" * 1000, "é" * LONGEST_LINE + "…"),
    ],
)
def test_in_a_line_any_other_text_is_its_beginning(text: str, line: str | None) -> None:
    assert in_a_line(text) == line
