"""How far a follower of Dagster's event log is, and what it has still to look for behind that.

Events get their numbers when they are written and are seen when that is committed: one with a lower
number may be seen after one with a higher. So whatever number is missing among those that were seen
is looked for again, for a while: most were never given to an event that stayed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

PATIENCE = 600.0
"""Seconds for which a missing number is looked for: nobody writes an event for so long."""
MOST_GAPS = 500


class Gap(NamedTuple):
    """Numbers that weren't there.

    Attributes:
        first, last: of them.
        since: when they were found missing, in seconds since 1970 by the database's clock.
    """

    first: int
    last: int
    since: float


@dataclass(frozen=True)
class Position:
    """How far a follower is.

    Attributes:
        upto: the highest number that it has seen.
        gaps: below it what it hasn't, lowest first.
    """

    upto: int
    gaps: tuple[Gap, ...] = ()

    def after(self, seen: Sequence[int], now: float) -> "Position":
        """How far it is when it has seen these numbers.

        Args:
            seen: of all events, of whatever kind, that were asked for, in ascending order.
            now: by the database's clock.
        """
        new = [number for number in seen if number > self.upto]
        late = {number for number in seen if number <= self.upto}
        gaps = [
            part
            for gap in self.gaps
            if now - gap.since < PATIENCE
            for part in _without(gap, sorted(late))
        ]
        below = self.upto
        for number in new:
            if number > below + 1:
                gaps.append(Gap(below + 1, number - 1, now))
            below = number
        return replace(self, upto=below, gaps=tuple(gaps[-MOST_GAPS:]))

    def as_json(self) -> dict[str, Any]:
        """To be kept."""
        return {"upto": self.upto, "gaps": [list(gap) for gap in self.gaps]}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(kept["upto"], tuple(Gap(*gap) for gap in kept["gaps"]))


def _without(gap: Gap, seen: Sequence[int]) -> list[Gap]:
    """What of a gap is still one."""
    parts: list[Gap] = []
    first = gap.first
    for number in seen:
        if first <= number <= gap.last:
            if number > first:
                parts.append(Gap(first, number - 1, gap.since))
            first = number + 1
    return [*parts, Gap(first, gap.last, gap.since)] if first <= gap.last else parts
