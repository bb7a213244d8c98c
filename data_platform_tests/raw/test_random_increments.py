"""Whatever happens to a source between its runs: what readers see is what it holds."""

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from factories import Project
from feeds import Feed, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RULE = "    quality:\n      - range: {column: id, min: 0}\n"
LOOKBACK = 5
BAD = -1

Event = tuple[str, int]
ids = st.integers(0, 3)
events = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, 3)),
        st.tuples(st.just("late"), st.integers(0, LOOKBACK)),
        st.tuples(st.just("update"), ids),
        st.tuples(st.just("broken"), st.integers(0, 3)),
        st.tuples(st.just("run"), st.just(0)),
    ),
    min_size=2,
    max_size=12,
)


class Source:
    """A table whose rows change as those of a shop do, and what readers must see of it.

    Args:
        feed: what the platform reads.
    """

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.rows: dict[int, tuple[int, str]] = {}
        self.ever: set[tuple[int, int, str]] = set()
        self.now = 10
        self.changes = 0

    def happens(self, event: Event) -> None:
        """Change it, or run."""
        what, number = event
        self.changes += 1
        match what:
            case "insert":
                # By nothing: even with the watermark.
                self.now += number
                self._put(len(self.rows) + 10, self.now)
            case "late":
                self._put(len(self.rows) + 10, max(0, self._watermark() - number))
            case "update" if self.rows:
                self.now += 1
                self._put(sorted(self.rows)[number % len(self.rows)], self.now)
            case "broken":
                self._breaks(self.now + 1_000 + number)
            case _:
                self.run()

    def run(self) -> None:
        """Run, and look at what is to be seen."""
        self._fill()
        assert not self.feed.run().failed
        self.ever |= {(id_, at, value) for id_, (at, value) in self.rows.items()}

    def _breaks(self, at: int) -> None:
        """A run whose audit fails at a row that is put right afterwards."""
        self._put(BAD, at)
        self._fill()
        assert self.feed.run().failed
        del self.rows[BAD]

    def _put(self, id_: int, at: int) -> None:
        self.rows[id_] = (at, f"{self.changes}")

    def _fill(self) -> None:
        self.feed.holds([row(id_, at, value) for id_, (at, value) in self.rows.items()])

    def _watermark(self) -> int:
        found = self.feed.project.table("raw/events").snapshot()
        position = found.batches.position if found and found.batches else None
        return int((position or {}).get("watermark") or 0)


@pytest.mark.parametrize("keep", ["latest", "history"])
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(happening=events)
def test_readers_see_what_the_source_holds(happening: list[Event], keep: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        feed = Feed(Project(Path(folder)))
        feed.declare(f"cursor: at, key: id, keep: {keep}, lookback: {LOOKBACK}", RULE)
        source = Source(feed)
        for event in happening:
            source.happens(event)
        source.run()
        expected = (
            [row(id_, at, value) for id_, (at, value) in source.rows.items()]
            if keep == "latest"
            else [row(*one) for one in source.ever]
        )
        assert Counter(map(str, feed.rows)) == Counter(map(str, expected))
        assert feed.snapshot.partitions[""].rows == len(expected)
        batches = feed.batches
        source.run()
        assert feed.batches == batches
