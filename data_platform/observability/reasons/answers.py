"""What is said of an asset: one answer, the facts behind it, and what to do.

Made by the modules beside it; printed by `terminal.why_text`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from data_platform.plan.keys import Key

State = Literal["runs", "queued", "built", "failed", "waits", "paused", "not due", "not started"]


@dataclass(frozen=True)
class Answer:
    """Why an asset ran, or why it doesn't.

    Attributes:
        state: in a word, for programs.
        text: what the asset does, as it follows its name: `failed 3 h ago`.
        facts: behind it.
        advice: what to do.
        run_id: that it is about.
        waits_for: the asset in which it began, where that is another one.
        next_at: when it is asked for next, where a clock decides that; aware.
    """

    state: State
    text: str
    facts: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    run_id: str | None = None
    waits_for: Key | None = None
    next_at: datetime | None = None

    def with_facts(self, *facts: str) -> "Answer":
        """The same with further facts."""
        return replace(self, facts=(*self.facts, *facts))
