"""Random histories of a small platform, told to Dagster tick by tick: what moves automation.

`test_evaluated_histories` plays them; nothing runs, each move writes what a run, a person or a
daemon would.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    DagsterEventType,
    StepMaterializationData,
)
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

Wanted = tuple[dg.AssetKey, str | None]
BEGINNING = datetime(2024, 1, 10, 23, 57, tzinfo=UTC)
_ENDS = (DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED)


@dataclass
class History:
    """What happens to the assets of a graph.

    Args:
        instance: Dagster's.
        graph: the assets.
        chance: decides all.
        now: the moment of the next tick.
    """

    instance: dg.DagsterInstance
    graph: AssetGraph
    chance: random.Random
    now: datetime = BEGINNING
    _runs: list[tuple[dg.DagsterRun, list[Wanted]]] = field(default_factory=list)
    _backfills: list[PartitionBackfill] = field(default_factory=list)

    def go_on(self, requested: set[Wanted]) -> None:
        """Some things happen, and time goes on; what was requested begins to run or is lost."""
        if requested and self.chance.random() < 0.8:
            self.begin(sorted(requested, key=str))
        for _ in range(self.chance.choice([0, 0, 1, 1, 2])):
            often = [self.publish, self.end_run] * 2
            seldom = [self.grow, self.start, self.go_stale, self.backfill, self.end_backfill]
            self.chance.choice([*often, *seldom, self.go_on_run])()
        self.now += self.chance.choice(
            [timedelta(seconds=30)] * 6 + [timedelta(minutes=7), timedelta(hours=1)]
        )

    def publish(self) -> None:
        """Somebody materializes a partition, with the same rows or other ones."""
        self._materialize(self._any(), "")

    def start(self) -> None:
        """Somebody starts a run of any assets."""
        self.begin([self._any() for _ in range(self.chance.randint(1, 2))])

    def begin(self, wanted: list[Wanted]) -> None:
        """A run begins, or is only made."""
        status = self.chance.choice([dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED])
        run = dg.DagsterRun(
            "job", status=status, asset_selection=frozenset(key for key, _ in wanted)
        )
        self.instance.add_run(run)
        for key, partition in wanted:
            planned = AssetMaterializationPlannedData(key, partition)
            self.instance.report_dagster_event(
                DagsterEvent.build_asset_materialization_planned_event("job", "step", planned),
                run.run_id,
            )
        self._runs.append((run, wanted))

    def go_on_run(self) -> None:
        """A run that was made begins."""
        if self._runs:
            run, _ = self.chance.choice(self._runs)
            event = DagsterEvent(DagsterEventType.RUN_START.value, "job")
            self.instance.report_dagster_event(event, run.run_id)

    def end_run(self) -> None:
        """The oldest run ends, well or not, having published some or all."""
        if not self._runs:
            return
        run, wanted = self._runs.pop(self.chance.randrange(len(self._runs)))
        how = self.chance.choice(_ENDS)
        for one in wanted:
            if how == DagsterEventType.RUN_SUCCESS or self.chance.random() < 0.3:
                self._materialize(one, run.run_id)
        if self.chance.random() < 0.1:
            self.instance.delete_run(run.run_id)
            return
        self.instance.report_dagster_event(DagsterEvent(how.value, "job"), run.run_id)

    def grow(self) -> None:
        """A named partition appears."""
        self.instance.add_dynamic_partitions("cities", [f"city {self.chance.randint(0, 9)}"])

    def go_stale(self) -> None:
        """Dagster's daemon finds a freshness other than before."""
        key = self.chance.choice(sorted(self.graph.materializable_asset_keys))
        change = FreshnessStateChange(
            key=key,
            new_state=self.chance.choice([*FreshnessState]),
            previous_state=FreshnessState.UNKNOWN,
            state_change_timestamp=time.time(),
        )
        self.instance._report_runless_asset_event(change)

    def backfill(self) -> None:
        """Somebody backfills a partition."""
        key, partition = self._any()
        if partition is None:
            return
        found = PartitionBackfill.from_asset_partitions(
            f"b{len(self._backfills)}{self.chance.random()}",
            self.graph,
            [partition],
            [key],
            self.now.timestamp(),
            {},
            self.instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
        self.instance.add_backfill(found)
        self._backfills.append(found)

    def end_backfill(self) -> None:
        """A backfill ends, whatever it came to."""
        if self._backfills:
            over = self._backfills.pop()
            self.instance.update_backfill(over.with_status(BulkActionStatus.COMPLETED_FAILED))

    def _any(self) -> Wanted:
        key = self.chance.choice(sorted(self.graph.materializable_asset_keys))
        definition = self.graph.get(key).partitions_def
        if definition is None:
            return key, None
        keys = definition.get_partition_keys(self.now, self.instance)
        # The newest partitions are what automation looks at.
        return (key, self.chance.choice(keys[-3:])) if keys else (key, None)

    def _materialize(self, one: Wanted, run_id: str) -> None:
        key, partition = one
        version = self.chance.choice("ab")
        event = dg.AssetMaterialization(
            key, partition=partition, tags={"dagster/data_version": version}
        )
        if not run_id:
            self.instance.report_runless_asset_event(event)
            return
        self.instance.report_dagster_event(
            DagsterEvent(
                DagsterEventType.ASSET_MATERIALIZATION.value,
                "job",
                event_specific_data=StepMaterializationData(event),
            ),
            run_id,
        )


def written_by_hand() -> Iterator[dg.AssetsDefinition]:
    """Assets with conditions of Dagster's own, and one that nobody knows."""
    days = dg.DailyPartitionsDefinition("2024-01-05")
    cities = dg.DynamicPartitionsDefinition(name="cities")
    both = dg.MultiPartitionsDefinition(
        {"Time": days, "city": dg.StaticPartitionsDefinition(["x", "y"])}
    )
    auto = dg.AutomationCondition

    def asset(name: str, condition: dg.AutomationCondition | None, **options: object) -> object:
        @dg.asset(name=name, automation_condition=condition, **options)
        def made() -> None: ...

        return made

    yield asset("root", auto.on_missing() | auto.eager(), partitions_def=days)
    yield asset("plain", auto.eager(), deps=["root"])
    yield asset("daily", auto.eager(), partitions_def=days, deps=["root"])
    yield asset("split", auto.eager(), partitions_def=both, deps=["daily"])
    yield asset("hourly", auto.on_cron("0 * * * *"), partitions_def=days, deps=["daily"])
    yield asset(
        "city", auto.on_missing().without(auto.in_latest_time_window()), partitions_def=cities
    )
    yield asset(
        "failing", auto.execution_failed().newly_true() & ~auto.in_progress(), deps=["plain"]
    )
    yield asset("deep", auto.any_deps_match(auto.any_deps_updated()).newly_true(), deps=["plain"])
    yield asset("asked", auto.any_deps_match(auto.newly_requested()), deps=["daily"])
    yield asset("level", auto.missing() & ~auto.in_progress(), deps=["deep"])
    yield asset("odd", _OnEvenMinutes())
    yield asset("fed", auto.any_deps_updated().since_last_handled(), deps=["odd", "level"])


class _OnEvenMinutes(dg.AutomationCondition):
    """Asks the clock, which no event tells."""

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        even = context.evaluation_time.minute % 2 == 0
        return dg.AutomationResult(
            context, context.candidate_subset if even else context.get_empty_subset()
        )
