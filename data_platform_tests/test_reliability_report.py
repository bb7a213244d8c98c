"""The page of what faults leave: what it names exists, and rows outlive later campaigns."""

import re
from pathlib import Path

from reliability_report import PROMISES, Figures, report

HERE = Path(__file__).parent


def test_tests_that_stand_behind_promises_exist() -> None:
    named = re.findall(r"`([\w/]+\.py)`", PROMISES)
    assert len(named) > 20
    assert [name for name in named if not (HERE / name).is_file()] == []


def test_a_row_is_replaced_by_its_own_test_only() -> None:
    first = report([Figures("a", 1, "old", 2.0), Figures("b", 1_000, "kept", 3.0)])
    second = report([Figures("a", 2, "new", 4.0)], first)
    assert "| a | 2 | new | 4 |" in second
    assert "| b | 1,000 | kept | 3 |" in second
    assert "old" not in second.removeprefix(PROMISES)
    assert second.startswith(PROMISES)


def test_the_page_is_what_the_report_makes() -> None:
    page = (HERE.parent / "docs" / "reliability.md").read_text()
    assert page.startswith(PROMISES)
