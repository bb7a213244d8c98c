"""What can change the answer of an asset's condition: read from the condition itself.

Called by `waking`, once for the definitions of a process. An operand that isn't known here may ask
anything, so its asset is looked at in every tick. A known one depends on nothing but: events of the
assets it names, runs and backfills that have them, their partitions, ticks of a cron, and what was
requested of them in this tick or the one before.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from dagster import AssetKey, AutomationCondition, PartitionsDefinition
from dagster._core.definitions.asset_key import EntityKey
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.declarative_automation.operands.operands import (
    BackfillInProgressAutomationCondition,
    CodeVersionChangedCondition,
    CronTickPassedCondition,
    DataVersionChangedCondition,
    ExecutionFailedAutomationCondition,
    FreshnessResultCondition,
    InitialEvaluationCondition,
    InLatestTimeWindowCondition,
    MissingAutomationCondition,
    NewlyRequestedCondition,
    NewlyUpdatedCondition,
    RunInProgressAutomationCondition,
    WillBeRequestedCondition,
)
from dagster._core.definitions.declarative_automation.operands.run_operands import (
    LatestRunExecutedWithRootTargetCondition,
)
from dagster._core.definitions.declarative_automation.operators.boolean_operators import (
    AndAutomationCondition,
    NotAutomationCondition,
    OrAutomationCondition,
)
from dagster._core.definitions.declarative_automation.operators.dep_operators import (
    AllDepsCondition,
    AnyDepsCondition,
    EntityMatchesCondition,
)
from dagster._core.definitions.declarative_automation.operators.newly_true_operator import (
    NewlyTrueCondition,
)
from dagster._core.definitions.declarative_automation.operators.since_operator import (
    SinceCondition,
)

from data_platform.automation.operands import BeforeLastTick, Stale
from data_platform.automation.operators import Wanted, asks_of
from data_platform.spec.automation import Freshness


class Cron(NamedTuple):
    """Moments that change an answer: some seconds before the ticks of a cron in its time zone."""

    schedule: str
    timezone: str
    before: float = 0


_OF_ITS_INPUTS: frozenset[type] = frozenset({AnyDepsCondition, AllDepsCondition})
_OF_THE_ASSET: frozenset[type] = frozenset(
    {
        AndAutomationCondition,
        BackfillInProgressAutomationCondition,
        CodeVersionChangedCondition,
        CronTickPassedCondition,
        DataVersionChangedCondition,
        ExecutionFailedAutomationCondition,
        FreshnessResultCondition,
        InLatestTimeWindowCondition,
        InitialEvaluationCondition,
        LatestRunExecutedWithRootTargetCondition,
        MissingAutomationCondition,
        NewlyRequestedCondition,
        NewlyTrueCondition,
        NewlyUpdatedCondition,
        NotAutomationCondition,
        OrAutomationCondition,
        RunInProgressAutomationCondition,
        SinceCondition,
        WillBeRequestedCondition,
    }
)
"""What asks about the asset that it is asked about, and hands on to what it is made of."""


@dataclass
class Asks:
    """What a condition asks.

    Attributes:
        keys: the assets that it asks about, its own among them.
        crons: that it waits for.
        anything: it has an operand that isn't known.
    """

    keys: set[EntityKey] = field(default_factory=set)
    crons: set[Cron] = field(default_factory=set)
    anything: bool = False


def asked_by(condition: AutomationCondition, key: EntityKey, graph: AssetGraph) -> Asks:
    """What the condition of an asset asks."""
    asks = Asks(anything=not isinstance(key, AssetKey))
    _walk(condition, {key}, graph, asks)
    return asks


def _walk(
    condition: AutomationCondition, about: AbstractSet[EntityKey], graph: AssetGraph, to: Asks
) -> None:
    to.keys |= about
    to.crons |= set(_crons_of(condition))
    below = about
    kind = type(condition)
    if kind in _OF_ITS_INPUTS:
        # What `allow` and `ignore` leave out is asked for nothing, but costs little.
        below = {parent for key in about for parent in graph.get(key).parent_entity_keys}
        to.anything |= getattr(condition, "resolves_virtual_deps", False)
    elif isinstance(condition, EntityMatchesCondition):
        below = {condition.key}
        to.anything |= not isinstance(condition.key, AssetKey)
    elif isinstance(condition, Wanted):
        to.keys |= {parent for key in about for parent in graph.get(key).parent_entity_keys}
    else:
        to.anything |= kind not in _OF_THE_ASSET and asks_of(condition) is None
    if below and not to.anything:
        for child in condition.children:
            _walk(child, below, graph, to)


def _crons_of(condition: AutomationCondition) -> Iterable[Cron]:
    match condition:
        case CronTickPassedCondition():
            return [Cron(condition.cron_schedule, condition.cron_timezone)]
        case BeforeLastTick():
            return [Cron(*cron) for cron in condition.crons]
        case Stale(
            policy=Freshness(deadline=str(deadline), within=timedelta() as within) as policy
        ):
            # It is asked for from `within` before a deadline, and late from then on.
            spans = (0, within.total_seconds())
            return [Cron(deadline, policy.timezone, before) for before in spans]
        case _:
            return []


class Watching:
    """Which assets are to be looked at when something has changed.

    Args:
        graph: all assets.
    """

    def __init__(self, graph: AssetGraph) -> None:
        everything: Iterable[EntityKey] = {*graph.get_all_asset_keys(), *graph.asset_check_keys}
        self.conditioned: frozenset[EntityKey] = frozenset(
            key for key in everything if graph.get(key).automation_condition is not None
        )
        self.always: set[EntityKey] = set()
        self.crons: dict[Cron, set[EntityKey]] = defaultdict(set)
        self._watchers: dict[EntityKey, set[EntityKey]] = defaultdict(set)
        self._together: dict[EntityKey, set[EntityKey]] = {}
        for key in self.conditioned:
            self._add(key, graph)
        self.partitions = _by_partitions(graph)

    def _add(self, key: EntityKey, graph: AssetGraph) -> None:
        condition = graph.get(key).automation_condition
        asks = asked_by(condition, key, graph) if condition else Asks(anything=True)
        if asks.anything:
            self.always.add(key)
        for cron in asks.crons:
            self.crons[cron].add(key)
        for asked in asks.keys:
            self._watchers[asked].add(key)
        if isinstance(key, AssetKey):
            together: set[EntityKey] = {*graph.get(key).execution_set_entity_keys}
            together &= self.conditioned
            if len(together) > 1:
                self._together[key] = together

    def of(self, changed: Iterable[EntityKey]) -> set[EntityKey]:
        """The assets whose condition asks about one of these."""
        return {watcher for key in changed for watcher in self._watchers.get(key, ())}

    def with_siblings(self, keys: Iterable[EntityKey]) -> set[EntityKey]:
        """With those that one step computes together with them: they are judged in one tick."""
        return {one for key in keys for one in self._together.get(key, {key})}


def _by_partitions(graph: AssetGraph) -> Mapping[PartitionsDefinition, set[AssetKey]]:
    found: dict[PartitionsDefinition, set[AssetKey]] = defaultdict(set)
    for key in graph.get_all_asset_keys():
        definition = graph.get(key).partitions_def
        if definition is not None:
            found[definition].add(key)
    return found
