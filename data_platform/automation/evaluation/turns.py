"""Whose turn it is in a tick, where more has to be looked at than one tick should.

Called by `ticking`. When a day begins, it does for all: the first runs would wait for the last
asset to be judged, and a workspace that is large enough would never end a tick. So a tick takes so
many assets, and the others wait for the next. What hangs together has its turn together, since what
is asked for in one tick goes into one run.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property

from dagster._core.definitions.asset_key import EntityKey
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from data_platform.automation.evaluation.grouping import together

AT_ONCE = 500
"""Assets that a tick begins with; a part of the graph isn't divided."""


class Turns:
    """The assets that wait for their turn, those that have waited longest first.

    Args:
        keys: all assets with a condition.
        graph: all assets.
        at_once: assets of a tick.
    """

    def __init__(
        self, keys: Iterable[EntityKey], graph: AssetGraph, at_once: int = AT_ONCE
    ) -> None:
        self._keys = keys
        self._graph = graph
        self._at_once = at_once
        self._waiting: dict[EntityKey, None] = {}

    @property
    def waiting(self) -> frozenset[EntityKey]:
        """Those whose turn hasn't come."""
        return frozenset(self._waiting)

    def next(self, awake: Iterable[EntityKey]) -> set[EntityKey]:
        """The assets of this tick; the others wait.

        Args:
            awake: all that have to be looked at, those that wait already among them or not.
        """
        everything = {**self._waiting, **dict.fromkeys(awake)}
        chosen = set(everything)
        if len(everything) > self._at_once:
            chosen = self._first(everything)
        self._waiting = {key: None for key in everything if key not in chosen}
        return chosen

    def done(self, keys: Iterable[EntityKey]) -> None:
        """Note what was looked at though its turn hadn't come: something that it reads was."""
        for key in keys:
            self._waiting.pop(key, None)

    def _first(self, everything: Mapping[EntityKey, None]) -> set[EntityKey]:
        parts: dict[object, list[EntityKey]] = {}
        for key in everything:
            parts.setdefault(self._parts.get(key, key), []).append(key)
        chosen: set[EntityKey] = set()
        for part in parts.values():
            if chosen and len(chosen) + len(part) > self._at_once:
                break
            chosen.update(part)
        return chosen

    @cached_property
    def _parts(self) -> Mapping[EntityKey, object]:
        return together(self._keys, self._graph)
