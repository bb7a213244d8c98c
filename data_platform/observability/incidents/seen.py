"""What was seen of assets, as incidents are folded from it.

Made by `reading` from Dagster's events; folded by `folding`. Knows nothing of Dagster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from data_platform.plan.keys import Key


@dataclass(frozen=True, kw_only=True)
class _Event:
    """What is known of every event.

    Attributes:
        key: of the asset.
        number: of the event in Dagster's log: which of two came first. Clocks of machines differ.
        at: when it happened, for people.
        run_id: of the run.
    """

    key: Key
    number: int
    at: datetime
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Failed(_Event):
    """A step failed, and isn't tried again; or its run ended before it did.

    Attributes:
        text: why, in words.
        partitions: that weren't published; `WHOLE` where there are none.
        skipped: assets below it that the run was to make, too.
        canceled: whether somebody ended it.
        system: that it asks and that is down, where that is known.
        facts: rows, seconds.
    """

    text: str
    partitions: tuple[str, ...]
    skipped: tuple[Key, ...] = ()
    canceled: bool = False
    system: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Built(_Event):
    """Partitions were published, or needed no change.

    Attributes:
        partitions: `WHOLE` where there are none.
        held: rows held back, by partition; empty where nobody counts them.
    """

    partitions: tuple[str, ...]
    held: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class Checked(_Event):
    """A check was evaluated.

    Attributes:
        check: its name.
        grade: what came of it.
        facts: its figures, by their names.
        examples: rows, masked where they are a person's.
    """

    check: str
    grade: Literal["pass", "warn", "fail"]
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    examples: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Aged(_Event):
    """Its freshness is judged otherwise than before.

    Attributes:
        grade: of it now.
        limit: what was promised, in words.
    """

    grade: Literal["pass", "warn", "fail"]
    limit: str = ""


@dataclass(frozen=True)
class Standing:
    """All that is wrong of a kind now; what isn't named is well.

    Attributes:
        matter: of what kind.
        at: when it was looked at.
        found: what is wrong in words, by name.
        mild: what of it is worth a warning only.
        run_ids: in which run it was seen, where that is so.
        unknown: of which nothing is known now.
    """

    matter: Literal["pipeline", "slow_runs", "daemon"]
    at: datetime
    found: Mapping[str, str]
    mild: frozenset[str] = frozenset()
    run_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown: frozenset[str] = frozenset()


Seen = Failed | Built | Checked | Aged | Standing
