"""What a sensor of files knows from one look to the next.

The cursor of a sensor is written at every tick, so it only names memories by their digests; they
themselves are in Dagster's storage, written when something new came. Dagster keeps requests and
cursor together: a memory counts from the moment that a cursor names it, and a tick that was lost
begins again at the one before.

Called by `file_arrivals`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import dagster as dg

from data_platform.automation.sensors.file_looks import Waiting
from data_platform.automation.sensors.file_memory import Memory

_ROW = "data_platform/file_arrivals"


@dataclass(frozen=True)
class State:
    """Of one source.

    Attributes:
        of: a digest of what is looked at: another path is another state.
        memory: the name of what is remembered; None means that nobody looked before.
        seen: a digest of a listing that needs no second look; None means that it does.
        at: when it was looked at last; aware.
        waiting: files that may still be written.
        words: what the last look saw.
    """

    of: str
    memory: str | None = None
    seen: str | None = None
    at: datetime | None = None
    waiting: Waiting | None = None
    words: str = ""

    def dumped(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "of": self.of,
            "memory": self.memory,
            "seen": self.seen,
            "at": self.at.isoformat() if self.at else None,
            "waiting": [self.waiting.digest, self.waiting.since.isoformat()]
            if self.waiting
            else None,
            "words": self.words,
        }

    @classmethod
    def loaded(cls, value: Mapping[str, Any]) -> "State":
        """From plain values."""
        waiting = value["waiting"]
        return cls(
            value["of"],
            value["memory"],
            value["seen"],
            datetime.fromisoformat(value["at"]) if value["at"] else None,
            Waiting(waiting[0], datetime.fromisoformat(waiting[1])) if waiting else None,
            value["words"],
        )


def states_of(cursor: str | None) -> dict[str, State]:
    """The states of a cursor, by the sources' keys; none where it can't be read."""
    try:
        return {name: State.loaded(one) for name, one in json.loads(cursor or "{}").items()}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return {}


def cursor_of(states: Mapping[str, State]) -> str:
    """The cursor of states."""
    return json.dumps({name: state.dumped() for name, state in states.items()})


class Memories:
    """The memories of sources, in Dagster's storage.

    Args:
        instance: Dagster's.
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._rows = instance.daemon_cursor_storage

    def of(self, source: str, name: str | None) -> Memory | None:
        """What a source remembers by a name; None where that is nowhere."""
        kept = self._kept(source).get(name or "")
        return Memory.loaded(kept) if kept is not None else None

    def keep(self, source: str, state: State, memory: Memory) -> State:
        """Keep another memory, beside the one that counts until a cursor names the new one."""
        if memory.name == state.memory:
            return state
        kept = self._kept(source)
        both = {name: text for name, text in kept.items() if name == state.memory}
        row = json.dumps({**both, memory.name: memory.dumped()})
        self._rows.set_cursor_values({_row(source): row})
        return replace(state, memory=memory.name)

    def _kept(self, source: str) -> dict[str, str]:
        text = self._rows.get_cursor_values({_row(source)}).get(_row(source))
        return json.loads(text) if text else {}


def _row(source: str) -> str:
    return f"{_ROW}/{source}"
