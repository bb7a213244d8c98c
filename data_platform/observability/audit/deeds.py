"""What somebody did, in words, and where it is asked for.

Used by the other modules of this package, and by the command.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from dagster import DagsterInstance

PAGE = 200
"""Records that a source asks for at once."""


@dataclass(frozen=True)
class Deed:
    """What somebody did.

    Attributes:
        at: when, aware.
        who: a person, as far as that is known; else what started it, or where it was done.
        action: in two or three words.
        about: keys of assets, or names of what else it was done to.
        detail: how much of it, or why.
        result: what came of it; empty where that is told by the action.
        run_id: of the run, where it was one.
        account: of the machine, `user@host`, where it is known.
    """

    at: datetime
    who: str
    action: str
    about: tuple[str, ...] = ()
    detail: str = ""
    result: str = ""
    run_id: str | None = None
    account: str | None = None

    def concerns(self, pipeline: str) -> bool:
        """Whether it was done to an asset of a pipeline, or to the pipeline."""
        return any(
            one == pipeline or (len(parts) > 1 and parts[1] == pipeline)
            for one in self.about
            for parts in [one.split("/")]
        )


@dataclass(frozen=True)
class Span:
    """Of which time deeds are asked for.

    Attributes:
        since: aware, itself included; None means from the beginning.
        until: aware, itself not included; None means until now.
    """

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether a moment is within it."""
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


Source = Callable[[DagsterInstance, Span], Iterator[Deed]]
"""Tells deeds, the newest first, asking for more only when more is wanted."""


def keys_text(keys: Sequence[str]) -> str:
    """Some of them, and how many more there are."""
    shown = ", ".join(keys[:2])
    return f"{shown} and {len(keys) - 2} more" if len(keys) > 2 else shown  # noqa: PLR2004
