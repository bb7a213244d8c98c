"""What a sink is asked, and what it answers.

Implemented beside it, used by `outbox`. A sink says how many of the events that it was given have
surely arrived, and what kept it from the next: that it can't take any now, or that it won't take
this one. It doesn't wait longer than it is told to, and tries nothing twice: that is the outbox's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

SECONDS = 5.0
"""In which a server must answer, and take a connection."""


@dataclass(frozen=True)
class Unavailable:
    """Nothing can be sent now."""

    why: str


@dataclass(frozen=True)
class Refused:
    """The next event isn't taken, whenever it is sent; others may be."""

    why: str


@dataclass(frozen=True)
class Sent:
    """What became of events.

    Attributes:
        count: how many, from the first, have arrived.
        trouble: why not the next one; None where time was up, or all have.
    """

    count: int
    trouble: Unavailable | Refused | None = None


class Sink(Protocol):
    """Where events go."""

    def send(self, events: Sequence[str], until: float) -> Sent:
        """Send events in order.

        Args:
            events: as JSON.
            until: by `time.monotonic()`: then no other one is begun.
        """
        ...

    def close(self) -> None:
        """No more will be sent."""
        ...
