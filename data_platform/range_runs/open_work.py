"""What is left to do of a range, and what is left alone because it stands on what failed.

Called by `running`, `backfills` and the sensor of follow-ups after each run. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from data_platform.engine.inputs import partitions_read
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.range_runs.parts import Wanted


@dataclass
class Standing:
    """What came of partitions so far.

    Attributes:
        done: that were published, or needn't be, by asset.
        failed: that weren't published, by asset.
    """

    done: dict[Key, set[str]] = field(default_factory=dict[Key, set[str]])
    failed: dict[Key, set[str]] = field(default_factory=dict[Key, set[str]])

    def add(self, key: Key, done: Iterable[str] = (), failed: Iterable[str] = ()) -> None:
        """Take down what came of some partitions; what was done since hasn't failed."""
        published, lost = set(done), set(failed)
        self.done[key] = (self.done.get(key, set()) - lost) | published
        self.failed[key] = (self.failed.get(key, set()) - published) | lost

    def forgetting_failures(self) -> "Standing":
        """The same, so that what failed is tried again."""
        return Standing(dict(self.done), {})


def open_work(
    nodes: Sequence[AnyNode], wanted: Wanted, standing: Standing
) -> dict[Key, tuple[str, ...]]:
    """The partitions that are neither done nor failed, nor stand on any that failed.

    Args:
        nodes: upstreams first.
        wanted: all that was asked for, by asset.
        standing: what came of it so far.
    """
    blocked = {key: set(keys) for key, keys in standing.failed.items() if keys}
    left: dict[Key, tuple[str, ...]] = {}
    for node in nodes:
        own = wanted.get(node.key, ())
        done, failed = standing.done.get(node.key, set()), blocked.get(node.key, set())
        waiting = [key for key in own if key not in done and key not in failed]
        stuck = {key for key in waiting if _stands_on(node, key, blocked, wanted)}
        if stuck:
            blocked[node.key] = failed | stuck
        if keys := tuple(key for key in waiting if key not in stuck):
            left[node.key] = keys
    return left


def _stands_on(node: AnyNode, key: str, blocked: Mapping[Key, set[str]], wanted: Wanted) -> bool:
    """Whether a partition reads one that failed.

    What reads all published ones reads the others, unless there are none: nothing is new then.
    """
    for given in (*node.inputs, *node.after):
        failed = blocked.get(given.key)
        if not failed:
            continue
        if given.reads == "all":
            if failed >= set(wanted.get(given.key, failed)):
                return True
        elif failed & set(partitions_read(given, node, [key], wanted.get(given.key, ()))):
            return True
    return False
