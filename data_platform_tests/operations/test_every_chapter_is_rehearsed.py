"""Each of the ten chapters of docs/operations.md has a test that makes its trouble and mends it."""

import re
from pathlib import Path

import pytest
from handbook import assert_shows, chapters

_MARKED = re.compile(r'^@rehearses\("(?P<anchor>[\w-]+)"\)$', re.MULTILINE)


def test_every_chapter_has_a_rehearsal() -> None:
    files = sorted(Path(__file__).parent.glob("test_rehearsed_*.py"))
    texts = (file.read_text(encoding="utf-8") for file in files)
    rehearsed = {match["anchor"] for text in texts for match in _MARKED.finditer(text)}
    assert {chapter.anchor for chapter in chapters()} == rehearsed


def test_there_are_ten_chapters_and_each_is_whole() -> None:
    assert len(chapters()) == 10
    for chapter in chapters():
        assert chapter.symptom, chapter.title
        assert all(not line.startswith("#") for line in chapter.look), chapter.title
        assert chapter.fix[-1] == "data-platform status retail", chapter.title
        for told in ("**Cause.**", "**By itself.**", "**Never**"):
            assert chapter.text.count(told) == 1, (chapter.title, told)


PRINTED = "1 red\n\nRED aXb\nRED a  critical\n  failed 2 min ago (the disk is full)\n"


def test_a_symptom_is_seen() -> None:
    assert_shows("RED a\nfailed just now (...full...)", PRINTED)


@pytest.mark.parametrize(
    "symptom", ["RED a\nfailed just now (...empty...)", "failed just now\nRED a", "RED a.b"]
)
def test_a_symptom_that_is_not_there(symptom: str) -> None:
    with pytest.raises(AssertionError, match="isn't seen in"):
        assert_shows(symptom, PRINTED)
