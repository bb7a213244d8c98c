from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from data_platform.observability.following.positions import (
    MOST_GAPS,
    PATIENCE,
    Gap,
    Position,
)


def test_what_is_missing_is_looked_for():
    assert Position(4).after([5, 8, 9], 1.0) == Position(9, (Gap(6, 7, 1.0),))


def test_what_comes_late_divides_a_gap():
    position = Position(9, (Gap(2, 6, 1.0),))
    assert position.after([4], 2.0).gaps == (Gap(2, 3, 1.0), Gap(5, 6, 1.0))
    assert position.after([2, 3, 4, 5, 6, 10], 2.0) == Position(10)


def test_nothing_new_changes_nothing():
    position = Position(9, (Gap(2, 6, 1.0),))
    assert position.after([], 2.0) == position


def test_a_number_that_nobody_writes_is_given_up():
    assert Position(9, (Gap(2, 6, 1.0),)).after([], 1.0 + PATIENCE) == Position(9)


def test_gaps_are_bounded_and_the_newest_stay():
    found = Position(0).after(range(2, 4 * MOST_GAPS, 2), 1.0)
    assert len(found.gaps) == MOST_GAPS
    assert found.gaps[-1] == Gap(found.upto - 1, found.upto - 1, 1.0)


def test_it_is_kept_as_json():
    position = Position(9, (Gap(2, 6, 1.5),))
    assert Position.from_json(position.as_json()) == position


@given(st.lists(st.sets(st.integers(1, 60), max_size=20), max_size=6))
def test_each_number_is_seen_once_whenever_it_is_committed(commits: list[set[int]]):
    """A reader asks for what is new and what is missing; numbers turn up in any order."""
    position, visible, told = Position(0), set[int](), list[int]()
    for commit in commits:
        visible |= commit
        seen = sorted(n for n in visible if n > position.upto or _is_missing(position, n))
        told += seen
        position = position.after(seen, 1.0)
        assert all(one.last < other.first for one, other in pairwise(position.gaps))
    assert sorted(told) == sorted(visible)


def _is_missing(position: Position, number: int) -> bool:
    return any(gap.first <= number <= gap.last for gap in position.gaps)
