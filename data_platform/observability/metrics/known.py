"""What metrics need of the pipelines: which assets a step makes, when a partition is due.

Made by `plans` from the plan; asked by `folding` and by what shows assets.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from dagster import AssetKey

from data_platform.plan.checks.notices import further_checks
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode


class Known:
    """The assets of all sound pipelines.

    Args:
        nodes: the assets.
        broken: pipelines with mistakes.
        limit: of the assets that get series of their own.
        unreadable: whether platform.yaml has mistakes.
    """

    def __init__(
        self,
        nodes: Sequence[AnyNode],
        broken: int = 0,
        limit: int = 5_000,
        *,
        unreadable: bool = False,
    ) -> None:
        self.nodes = tuple(sorted(nodes, key=lambda node: node.key))
        self.broken = broken
        self.unreadable = unreadable
        self.shown = self.nodes[:limit]
        self.left_out = len(self.nodes) - len(self.shown)
        self._by_key = {node.key: node for node in self.nodes}

    @cached_property
    def shown_keys(self) -> frozenset[Key]:
        """The assets that have series."""
        return frozenset(node.key for node in self.shown)

    @cached_property
    def pipelines(self) -> frozenset[str]:
        """The names of all pipelines."""
        return frozenset(node.key.pipeline for node in self.nodes)

    @cached_property
    def checks(self) -> frozenset[tuple[Key, str]]:
        """The checks of the assets that have series."""
        return frozenset((node.key, name) for node in self.shown for name in _check_names(node))

    def assets_of(self, step: str) -> tuple[Key, ...]:
        """The assets that a step makes; none of a step that isn't of a pipeline."""
        return self._steps.get(step, ())

    def due_at(self, key: Key, partition: str | None) -> datetime | None:
        """When a partition of time was over; None of any other."""
        node = self._by_key.get(key)
        partitions = node.partitions if node else None
        if partition is None or partitions is None or partitions.time is None:
            return None
        return partitions.window(partition)[1] if partitions.is_key(partition) else None

    @cached_property
    def _steps(self) -> dict[str, tuple[Key, ...]]:
        found: dict[str, tuple[Key, ...]] = {}
        for node in self.nodes:
            found[node.step_name] = (*found.get(node.step_name, ()), node.key)
        return found


def key_of(key: AssetKey | None) -> Key | None:
    """The key of an asset as pipelines have it; None of any other."""
    path = key.path if key else ()
    return Key(*path) if len(path) == len(Key._fields) else None


def _check_names(node: AnyNode) -> list[str]:
    return [check.name for check in (*node.checks, *further_checks(node))]
