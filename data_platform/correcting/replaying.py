"""Take rows of quarantine back in: run the partitions that hold them, and all that lies below.

Called by the command, which shows what will happen before and what came of it after.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from data_platform.correcting.below import Concerned, concerned, groups_of, without_failed
from data_platform.correcting.held import HeldTable, read_held
from data_platform.plan.keys import Key
from data_platform.plan.nodes import StagingNode
from data_platform.plan.pipelines import Plan
from data_platform.run_reports import RunReport
from data_platform.running import Request
from data_platform.storage.workbench import Workbench

Run = Callable[[Request], RunReport]


@dataclass(frozen=True)
class Replay:
    """What is going to happen.

    Attributes:
        node: the asset.
        rows: identities that are to leave quarantine.
        corrected: how many of them are corrected.
        wanted: partitions by asset, the asset itself first.
    """

    node: StagingNode
    rows: frozenset[str]
    corrected: int
    wanted: Concerned

    @property
    def partitions(self) -> tuple[str, ...]:
        """Of the asset itself."""
        return self.wanted[self.node.key]

    @property
    def below(self) -> Mapping[Key, tuple[str, ...]]:
        """What runs besides the asset."""
        return {key: keys for key, keys in self.wanted.items() if key != self.node.key}


@dataclass(frozen=True)
class Replayed:
    """What came of it.

    Attributes:
        published: rows that left quarantine.
        held: rows that are still in it.
        reasons: how many of these each rule holds back.
        failed: partitions that weren't published, by asset, with the messages.
        runs: Dagster's.
    """

    published: int
    held: int
    reasons: Mapping[str, int]
    failed: Mapping[Key, Sequence[str]] = field(default_factory=dict[Key, Sequence[str]])
    runs: Sequence[str] = ()


def plan_replay(
    plan: Plan, workbench: Workbench, table: HeldTable, rows: Iterable[str], corrected: int = 0
) -> Replay:
    """What has to run for rows to leave quarantine.

    Args:
        plan: of all pipelines.
        workbench: with the lake.
        table: what is in quarantine, or what was decided about.
        rows: identities.
        corrected: how many of them are corrected.
    """
    wanted = frozenset(rows)
    keys = {_partition_of(table, identity) for identity in wanted}
    below = concerned(plan, workbench.lake, table.node.key, keys)
    return Replay(table.node, wanted, corrected, below)


def _partition_of(table: HeldTable, identity: str) -> str:
    if identity in table.rows:
        return table.rows[identity].partition
    return table.decisions[identity].partition_key


def run_again(plan: Plan, wanted: Concerned, run: Run) -> tuple[dict[Key, set[str]], list[str]]:
    """Run partitions of assets, upstreams first; what stands on a failure is left out.

    Returns:
        The partitions that weren't published, by asset, and the runs.
    """
    failed: dict[Key, set[str]] = {}
    runs: list[str] = []
    for group in groups_of(plan, wanted):
        mine = {node.key: group.keys for node in group.nodes}
        left = without_failed(plan, mine, failed)
        for key, keys in mine.items():
            failed.setdefault(key, set()).update(set(keys) - set(left[key]))
        for part in groups_of(plan, left):
            for request, keys in part.requests():
                report = run(request)
                runs += report.run_ids
                _note_failures(report, keys, failed)
    return {key: keys for key, keys in failed.items() if keys}, runs


def _note_failures(report: RunReport, keys: Sequence[str], failed: dict[Key, set[str]]) -> None:
    for asset in report.assets:
        if asset.state == "skipped":
            failed.setdefault(asset.key, set()).update(keys)
        elif asset.state == "failed":
            failed.setdefault(asset.key, set()).update(asset.failed or keys)


def replay(plan: Plan, workbench: Workbench, wanted: Replay, run: Run) -> Replayed:
    """Do it, and see what came of it."""
    failed, runs = run_again(plan, wanted.wanted, run)
    with workbench.open() as (session, _):
        after = read_held(session, wanted.node, workbench.lake)
    still = [after.rows[identity] for identity in wanted.rows if identity in after.rows]
    reasons = Counter(reason for row in still for reason in row.reasons)
    return Replayed(
        len(wanted.rows) - len(still),
        len(still),
        dict(reasons.most_common()),
        {key: sorted(keys) for key, keys in failed.items()},
        runs,
    )
