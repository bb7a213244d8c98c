"""Statuses of many assets, read together, are what Dagster makes of one after another."""

import random

import dagster as dg
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    DagsterEventType,
    StepMaterializationData,
)
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.partition_status_cache import AssetStatusCacheValue
from dagster_postgres import PostgresEventLogStorage

from data_platform.instance.event_log import BriefEventLog

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-12")
DEFINITIONS: dict[dg.AssetKey, dg.PartitionsDefinition] = {
    dg.AssetKey("daily"): DAYS,
    dg.AssetKey("never"): DAYS,
    dg.AssetKey("static"): dg.StaticPartitionsDefinition(["us", "eu", "Zürich"]),
    dg.AssetKey("growing"): dg.DynamicPartitionsDefinition(name="shops"),
    dg.AssetKey("split"): dg.MultiPartitionsDefinition(
        {"Time": DAYS, "shop": dg.StaticPartitionsDefinition(["a", "b"])}
    ),
}
WANTED = list(DEFINITIONS.items())


class Happening:
    """Things that are written into Dagster's log."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._chance = random.Random(7)
        self._runs: list[str] = []
        instance.add_dynamic_partitions("shops", ["one", "two"])

    def next(self) -> None:
        chance = self._chance
        key = chance.choice([key for key in DEFINITIONS if key != dg.AssetKey("never")])
        keys = DEFINITIONS[key].get_partition_keys(dynamic_partitions_store=self._instance)
        partition = chance.choice([*keys, "nobody's"])
        match chance.randrange(8):
            case 0 | 1:
                event = dg.AssetMaterialization(key, partition=partition)
                self._instance.report_runless_asset_event(event)
            case 2 | 3:
                self._begin(key, partition)
            case 4 if self._runs:
                data = StepMaterializationData(dg.AssetMaterialization(key, partition=partition))
                self._report("ASSET_MATERIALIZATION", chance.choice(self._runs), data)
            case 5 if self._runs:
                ends = [DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_SUCCESS]
                self._report(chance.choice(ends).value, self._runs.pop(), None)
            case 6 if self._runs and chance.random() < 0.3:
                self._instance.delete_run(self._runs.pop())
            case 7 if chance.random() < 0.2:
                self._instance.wipe_assets([key])

    def _begin(self, key: dg.AssetKey, partition: str) -> None:
        run = dg.DagsterRun("job", status=dg.DagsterRunStatus.STARTED)
        self._instance.add_run(run)
        planned = AssetMaterializationPlannedData(key, partition)
        if self._chance.random() < 0.5:
            subset = DEFINITIONS[key].empty_subset().to_serializable_subset()
            planned = AssetMaterializationPlannedData(key, partitions_subset=subset)
        self._instance.report_dagster_event(
            DagsterEvent.build_asset_materialization_planned_event("job", "step", planned),
            run.run_id,
        )
        self._runs.append(run.run_id)

    def _report(self, kind: str, run: str, data: StepMaterializationData | None) -> None:
        self._instance.report_dagster_event(
            DagsterEvent(kind, "job", event_specific_data=data), run
        )


def told(status: AssetStatusCacheValue | None) -> AssetStatusCacheValue | None:
    """Without the newest event: of a run that was deleted, Dagster forgets that it has seen it."""
    return status and status._replace(latest_storage_id=0)


def kept(storage: BriefEventLog, key: dg.AssetKey) -> AssetStatusCacheValue | None:
    found = storage.get_asset_records([key])
    return found[0].asset_entry.cached_status if found else None


def test_statuses_of_many_assets_are_those_of_each(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    assert isinstance(storage, BriefEventLog)
    happening = Happening(instance)
    found = []
    for number in range(120):
        happening.next()
        if number % 6:
            continue
        before = {key: kept(storage, key) for key in DEFINITIONS}
        found = storage.get_asset_status_cache_values(WANTED, LoadingContextForTest(instance))
        after = {key: kept(storage, key) for key in DEFINITIONS}
        for key, status in before.items():
            storage.wipe_asset_cached_status(key)
            if status:
                storage.update_asset_cached_status_data(key, status)
        one_by_one = PostgresEventLogStorage.get_asset_status_cache_values(
            storage, WANTED, LoadingContextForTest(instance)
        )
        assert [*map(told, found)] == [*map(told, one_by_one)], f"after {number} events"
        assert [*map(told, after.values())] == [told(kept(storage, key)) for key in DEFINITIONS]
    assert [status is None for status in found] == [key.path == ["never"] for key in DEFINITIONS]
