"""How rows that are expected and rows that are there are told apart."""

import math
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.unit_tests.comparing import differences

ROWS = st.lists(
    st.tuples(st.sampled_from([None, 0, 1]), st.sampled_from(["a", "", None])), max_size=6
)


def kinds(expected, found, *, ordered=False, tolerance=0.0):
    return [row.kind for row in differences(expected, found, ordered=ordered, tolerance=tolerance)]


@given(expected=ROWS, found=ROWS)
@settings(max_examples=40, deadline=None)
def test_nothing_differs_just_where_the_bags_are_equal(expected, found):
    told = differences(expected, found, ordered=False, tolerance=0)
    assert (not told) == (Counter(expected) == Counter(found))
    missing = sum(row.kind != "surplus" for row in told)
    surplus = sum(row.kind != "missing" for row in told)
    assert len(expected) - missing == len(found) - surplus


def test_the_row_that_is_most_alike_is_taken_for_the_same():
    (row, other) = differences(
        [(1, "a", 5), (2, "b", 6)],
        [(2, "b", 7), (1, "a", 6)],
        ordered=False,
        tolerance=0,
    )
    assert (row.found, row.wrong) == ((1, "a", 6), (2,))
    assert (other.found, other.wrong) == ((2, "b", 7), (2,))


def test_rows_that_share_little_are_missing_and_surplus():
    assert kinds([(1, "a", 5)], [(2, "b", 5)]) == ["missing", "surplus"]


def test_nan_is_equal_to_nan_and_to_nothing_else():
    nan = float("nan")
    assert kinds([(nan,), ([nan, 1.0],)], [([nan, 1.0],), (nan,)]) == []
    assert kinds([(nan,)], [(None,)]) == ["missing", "surplus"]
    assert kinds([(math.inf,)], [(-math.inf,)]) == ["missing", "surplus"]


def test_doubles_are_equal_within_a_billionth_of_their_value():
    assert kinds([(0.1 + 0.2,)], [(0.3,)]) == []
    assert kinds([(1e9,)], [(1e9 + 10,)]) == ["missing", "surplus"]
    assert kinds([(1e9,)], [(1e9 + 10,)], tolerance=10) == []


def test_order_counts_where_it_is_asked_for():
    assert kinds([(1,), (2,)], [(2,), (1,)]) == []
    assert kinds([(1,), (2,)], [(2,), (1,)], ordered=True) == ["differs", "differs"]
    assert kinds([(1,)], [(1,), (2,)], ordered=True) == ["surplus"]
