"""Stories of automation: ticks of Dagster's own evaluation over an instance where nothing runs.

A story writes what runs would have recorded, and asks what is requested.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    DagsterEventType,
    StepMaterializationData,
)
from dagster._core.test_utils import create_run_for_test

from data_platform.definitions import definitions_of
from data_platform.loading import load
from data_platform.settings import Settings

HEAD = "version: 1\npipeline: shop\nowner: team:shop\n"
PLATFORM = "connections:\n  shop: {type: database, url: postgresql://nowhere}\n"
MORNING = datetime(2024, 1, 11, 6, tzinfo=UTC)
DAYS = [f"2024-01-{day:02}" for day in range(1, 11)]
NEWEST = DAYS[-1]


def key(name: str) -> dg.AssetKey:
    """The key of `layer/name`."""
    layer, _, asset = name.partition("/")
    return dg.AssetKey([layer, "shop", asset])


class Story:
    """A pipeline called shop, and the automation that looks at it.

    Args:
        folder: for its files.
        instance: Dagster's.
        body: of its YAML.
        now: when the story begins.
    """

    def __init__(
        self, folder: Path, instance: dg.DagsterInstance, body: str, now: datetime = MORNING
    ) -> None:
        self._folder = folder
        self._instance = instance
        self._cursor = None
        self.now = now
        self.declare(body)

    def declare(self, body: str) -> None:
        """Give the pipeline another YAML, as a deployment does."""
        pipelines = self._folder / "pipelines"
        (pipelines / "shop").mkdir(parents=True, exist_ok=True)
        (pipelines / "platform.yaml").write_text(PLATFORM)
        (pipelines / "shop" / "pipeline.yaml").write_text(HEAD + body)
        loaded = load(Settings(self._folder, self._folder / ".data", (pipelines,)), {})
        assert not loaded.problems, loaded.problems
        self._definitions = definitions_of(loaded, self.now)

    def publish(self, name: str, *partitions: str, version: str = "one", run: str = "") -> None:
        """What a run records of partitions; none for an asset without any."""
        for partition in partitions or (None,):
            made = dg.AssetMaterialization(
                key(name), partition=partition, tags={"dagster/data_version": version}
            )
            if not run:
                self._instance.report_runless_asset_event(made)
                continue
            event = DagsterEvent(
                DagsterEventType.ASSET_MATERIALIZATION.value,
                "shop",
                event_specific_data=StepMaterializationData(made),
            )
            self._instance.report_dagster_event(event, run)

    def start(self, *names: str, partition: str | None = None) -> str:
        """A run that builds a partition of some assets; gives its id."""
        run = create_run_for_test(
            self._instance,
            job_name="shop",
            status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset(map(key, names)),
        )
        for name in names:
            planned = AssetMaterializationPlannedData(key(name), partition=partition)
            event = DagsterEvent.build_asset_materialization_planned_event("shop", name, planned)
            self._instance.report_dagster_event(event, run.run_id)
        return run.run_id

    def begin(self, run: str) -> None:
        """A run has begun to work."""
        started = DagsterEvent(DagsterEventType.RUN_START.value, "shop")
        self._instance.report_dagster_event(started, run)

    def end(self, run: str, *, failed: bool = False) -> None:
        """A run is over."""
        kind = DagsterEventType.RUN_FAILURE if failed else DagsterEventType.RUN_SUCCESS
        self._instance.report_dagster_event(DagsterEvent(kind.value, "shop"), run)

    def fail_audit(self, name: str) -> None:
        """What a run records whose candidate failed."""
        self._instance.report_runless_asset_event(
            AssetCheckEvaluation(asset_key=key(name), check_name="conservation", passed=False)
        )

    def call(self, name: str, state: str, before: str) -> None:
        """What Dagster's freshness daemon records."""
        change = FreshnessStateChange(
            key=key(name),
            new_state=FreshnessState(state),
            previous_state=FreshnessState(before),
            state_change_timestamp=self.now.timestamp(),
        )
        self._instance._report_runless_asset_event(change)

    def tick(self, minutes: float = 1) -> dict[str, set[str]]:
        """Let time pass; gives the partitions that are requested, by asset."""
        self.now += timedelta(minutes=minutes)
        result = dg.evaluate_automation_conditions(
            self._definitions, self._instance, cursor=self._cursor, evaluation_time=self.now
        )
        self._cursor = result.cursor
        requested: dict[str, set[str]] = {}
        for one in result.results:
            if result.get_num_requested(one.key):
                keys = result.get_requested_partitions(one.key)
                asset = f"{one.key.path[0]}/{one.key.path[2]}"
                requested[asset] = {str(part or "") for part in keys}
        return requested

    def ticks(self, count: int, minutes: float = 1) -> list[dict[str, set[str]]]:
        """What several ticks request, those that request nothing left out."""
        found = [self.tick(minutes) for _ in range(count)]
        return [one for one in found if one]
