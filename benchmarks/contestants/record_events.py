"""Materializations of six partitioned assets in one run, recorded in Dagster's PostgreSQL storage.

    record_events.py batches|log_event|log_event_plain|range_plain URL FOLDER ASSETS PARTITIONS

`batches` is the platform's `record_materializations` on its own storage class, and `log_event` one
call a partition on the same; the two `plain` ones use Dagster's own storage class and settings:
one call a partition, or one `MaterializeResult` for the range, which has one data version for all.
What is timed is the run, in process, tables made before.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import yaml
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)
from moving import moving

from data_platform.instance.storage import open_instance
from data_platform.plan.keys import Key
from data_platform.plan.nodes import Node
from data_platform.reporting.events import PartitionEvent, record_materializations, results
from data_platform.settings import Settings

DAYS = dg.DailyPartitionsDefinition("2017-01-01", end_date="2018-01-01")
Recorded = Iterator[dg.MaterializeResult]
Record = Callable[[dg.AssetExecutionContext, str], Recorded]


def batches(context: dg.AssetExecutionContext, name: str) -> Recorded:
    key = Key("raw", "bench", name)
    events = {
        partition: PartitionEvent(f"{name} {partition}", {"dagster/partition_row_count": 1})
        for partition in context.partition_keys
    }
    record_materializations(context, key, "1", events)
    yield from cast(Recorded, results(cast(Node, SimpleNamespace(key=key)), [], {}, {}, {}))


def log_event(context: dg.AssetExecutionContext, name: str) -> Recorded:
    for partition in context.partition_keys:
        context.log_event(
            dg.AssetMaterialization(
                context.asset_key,
                partition=partition,
                metadata={"dagster/partition_row_count": 1},
                tags={"dagster/data_version": f"{name} {partition}"},
            )
        )
    yield from cast(
        Recorded,
        results(cast(Node, SimpleNamespace(key=Key("raw", "bench", name))), [], {}, {}, {}),
    )


def whole_range(context: dg.AssetExecutionContext, name: str) -> Recorded:
    yield dg.MaterializeResult(
        context.asset_key,
        metadata={"dagster/partition_row_count": 1},
        data_version=dg.DataVersion(name),
    )


def asset(name: str, record: Record) -> dg.AssetsDefinition:
    key = dg.AssetKey(["raw", "bench", name])
    spec = dg.AssetSpec(key, partitions_def=DAYS, code_version="1")

    @dg.multi_asset(name=name, specs=[spec], backfill_policy=dg.BackfillPolicy.single_run())
    def step(context: dg.AssetExecutionContext) -> Any:
        yield from record(context, name)

    return step


def plain_instance(url: str, folder: Path) -> dg.DagsterInstance:
    config = {"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))
    return dg.DagsterInstance.from_config(str(folder))


def main() -> None:
    mode, url, folder, assets, partitions = sys.argv[1:]
    records = {"batches": batches, "range_plain": whole_range}
    record = cast(Record, records.get(mode, log_event))
    if mode.endswith("plain"):
        instance = plain_instance(url, Path(folder))
    else:
        instance = open_instance(Settings(Path(folder), Path(folder), (), url))
    definitions = [asset(f"asset_{number}", record) for number in range(int(assets))]
    keys = DAYS.get_partition_keys()[: int(partitions)]
    tags = {ASSET_PARTITION_RANGE_START_TAG: keys[0], ASSET_PARTITION_RANGE_END_TAG: keys[-1]}
    with instance:
        instance.get_runs(limit=1)
        with moving() as facts:
            run = dg.materialize(definitions, instance=instance, tags=tags)
            facts["success"] = run.success
            facts["batch_size"] = os.environ.get("DAGSTER_EVENT_BATCH_SIZE")


if __name__ == "__main__":
    main()
