"""Which offsets of a topic are read: pure decisions.

Called by `arriving` with what the cluster says.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from data_platform.errors import SourceError
from data_platform.plan.partitions import TimePartitions

TRUSTED = timedelta(days=2)
"""No retention is taken to be shorter."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Bounds:
    """What a Kafka partition has: from offset `low` on, up to `high`, which is the next to come."""

    low: int
    high: int


@dataclass(frozen=True)
class Span:
    """Offsets that are read, half-open."""

    start: int
    stop: int


@dataclass(frozen=True)
class Windows:
    """Partitions of time.

    Attributes:
        keys: of them, in order.
        starts: of each, in milliseconds since 1970.
        ends: of each.
    """

    keys: Sequence[str]
    starts: Sequence[int]
    ends: Sequence[int]

    def key_of(self, milliseconds: int | None) -> str | None:
        """The partition of a message's timestamp; None where it isn't of these."""
        if milliseconds is None:
            return None
        at = bisect_right(self.starts, milliseconds) - 1
        return self.keys[at] if at >= 0 and milliseconds < self.ends[at] else None


def windows_of(time: TimePartitions, keys: Sequence[str]) -> Windows:
    """The windows of partitions of time, which are in order."""
    windows = [time.window(key) for key in keys]
    starts = [milliseconds(start) for start, _ in windows]
    return Windows(keys, starts, [milliseconds(end) for _, end in windows])


def belongs(time: TimePartitions, moment: int | None) -> bool:
    """Whether a timestamp is of any partition, asked for or not."""
    if moment is None or moment < milliseconds(time.starts):
        return False
    last = time.ends
    return last is None or moment < milliseconds(last)


def milliseconds(moment: datetime) -> int:
    """An aware time as Kafka's timestamps count."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def spans_after(
    offsets: Mapping[int, int], bounds: Mapping[int, Bounds]
) -> tuple[dict[int, Span], dict[int, int]]:
    """What comes after the offsets that were read; of partitions that are new, all.

    Args:
        offsets: the next of each Kafka partition; empty on a first run.
        bounds: of each Kafka partition that there is.

    Returns:
        The spans, and how many messages are gone that weren't read, by Kafka partition.

    Raises:
        SourceError: the topic isn't the one that was read.
    """
    for partition, offset in offsets.items():
        high = bounds[partition].high if partition in bounds else None
        if high is None or offset > high:
            ends = "isn't there any more" if high is None else f"ends at offset {high:,}"
            raise SourceError(
                f"partition {partition} was read up to offset {offset:,} and {ends}: the topic was "
                "made anew. Give the source another name, so that it is read from the beginning"
            )
    spans: dict[int, Span] = {}
    lost: dict[int, int] = {}
    for partition, bound in bounds.items():
        start = offsets.get(partition, bound.low)
        if start < bound.low:
            lost[partition] = bound.low - start
        spans[partition] = Span(max(start, bound.low), bound.high)
    return spans, lost


def spans_from(starts: Mapping[int, int | None], bounds: Mapping[int, Bounds]) -> dict[int, Span]:
    """What there is from a time on.

    Args:
        starts: the first offset at the time, or later; None where there is none.
        bounds: of each Kafka partition.
    """
    spans: dict[int, Span] = {}
    for partition, bound in bounds.items():
        start = starts.get(partition)
        first = bound.high if start is None else min(max(start, bound.low), bound.high)
        spans[partition] = Span(first, bound.high)
    return spans


def cut(starts: Mapping[int, int | None], bounds: Mapping[int, Bounds]) -> list[int]:
    """The Kafka partitions in which messages of a window may have been deleted.

    Where there is a message from before the window, nothing of the window is gone: messages are
    deleted from the beginning on.
    """
    return [
        partition
        for partition, bound in bounds.items()
        if bound.low > 0 and _is_at_the_beginning(starts.get(partition), bound)
    ]


def _is_at_the_beginning(start: int | None, bound: Bounds) -> bool:
    return bound.low == bound.high if start is None else start <= bound.low


def is_trusted(start: datetime, now: datetime) -> bool:
    """Whether a window began so lately that no retention has reached it."""
    return now - start < TRUSTED
