from datetime import date

import pytest
from days import daily

from data_platform.errors import SourceError
from data_platform.sources.topics.spans import (
    Bounds,
    Span,
    belongs,
    cut,
    milliseconds,
    spans_after,
    spans_from,
    windows_of,
)

ZURICH = daily(date(2024, 3, 30), date(2024, 4, 2), "Europe/Zurich").timed


class TestAfter:
    def test_the_first_run_reads_all(self):
        assert spans_after({}, {0: Bounds(0, 5), 1: Bounds(7, 7)}) == (
            {0: Span(0, 5), 1: Span(7, 7)},
            {},
        )

    def test_a_run_goes_on_and_takes_new_partitions_from_their_beginning(self):
        spans, lost = spans_after({0: 3}, {0: Bounds(1, 5), 1: Bounds(2, 4)})

        assert spans == {0: Span(3, 5), 1: Span(2, 4)}
        assert lost == {}

    def test_what_was_deleted_unread_is_counted(self):
        spans, lost = spans_after({0: 3, 1: 9}, {0: Bounds(10, 12), 1: Bounds(9, 9)})

        assert spans == {0: Span(10, 12), 1: Span(9, 9)}
        assert lost == {0: 7}

    def test_a_partition_that_ends_before_the_position_is_another_topic(self):
        with pytest.raises(SourceError, match="offset 3 and ends at offset 2: the topic was made"):
            spans_after({0: 3}, {0: Bounds(0, 2)})

    def test_a_partition_that_is_gone_is_another_topic(self):
        with pytest.raises(SourceError, match=r"partition 1 was read .* isn't there any more"):
            spans_after({0: 3, 1: 0}, {0: Bounds(0, 3)})


class TestFrom:
    def test_a_partition_without_later_messages_is_not_read(self):
        assert spans_from({0: None}, {0: Bounds(2, 5)}) == {0: Span(5, 5)}

    def test_what_came_after_the_bounds_is_left(self):
        assert spans_from({0: 3, 1: 9}, {0: Bounds(0, 5), 1: Bounds(0, 5)}) == {
            0: Span(3, 5),
            1: Span(5, 5),
        }


class TestCut:
    @pytest.mark.parametrize(
        ("start", "bounds", "may_lack"),
        [
            (0, Bounds(0, 5), False),  # nothing was ever deleted
            (None, Bounds(0, 0), False),
            (4, Bounds(3, 5), False),  # a message from before is left
            (None, Bounds(3, 5), False),  # all that is left is from before
            (3, Bounds(3, 5), True),
            (None, Bounds(5, 5), True),  # nothing is left
        ],
    )
    def test_a_window_is_whole_where_something_from_before_it_is_left(
        self, start: int | None, bounds: Bounds, may_lack: bool
    ):
        assert cut({0: start}, {0: bounds}) == ([0] if may_lack else [])


class TestWindows:
    def test_a_day_of_another_length_is_one_window(self):
        windows = windows_of(ZURICH, ["2024-03-30", "2024-03-31", "2024-04-01"])
        edges = [milliseconds(ZURICH.window(key)[0]) for key in windows.keys]

        assert edges[1] - edges[0] == 24 * 3_600_000
        assert edges[2] - edges[1] == 23 * 3_600_000
        for key, edge in zip(windows.keys, edges, strict=True):
            assert windows.key_of(edge) == key
            assert windows.key_of(edge - 1) != key

    def test_what_is_of_no_window_has_no_key(self):
        windows = windows_of(ZURICH, ["2024-03-30", "2024-04-01"])
        start, end = ZURICH.window("2024-03-31")

        assert windows.key_of(None) is None
        assert windows.key_of(milliseconds(start)) is None
        assert windows.key_of(milliseconds(end) - 1) is None
        assert windows.key_of(0) is None

    def test_a_moment_belongs_to_any_partition_that_exists(self):
        first, last = (
            milliseconds(ZURICH.window("2024-03-30")[0]),
            milliseconds(ZURICH.window("2024-04-01")[1]),
        )

        assert [belongs(ZURICH, at) for at in (first - 1, first, last - 1, last)] == [
            False,
            True,
            True,
            False,
        ]
        assert not belongs(ZURICH, None)
        assert belongs(daily(date(2024, 1, 1), None, "UTC").timed, last)
