"""What is told to Dagster of a table that was kept in order: materializations without a run.

Called by the command once the lake is changed. What is below is out of date by them, and runs
again as automation says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
)

from data_platform.asset_specs import asset_key
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE

_INPUTS = "dagster/input_"


@dataclass(frozen=True)
class Event:
    """What is recorded of a partition.

    Attributes:
        data_version: of its rows.
        rows: how many there are.
        run: that made these rows, where they were there before; None where they are others. What
            it read, or what the last one read, is told again.
        said: further metadata.
    """

    data_version: str
    rows: int
    run: str | None
    said: Mapping[str, Any]


def record(
    instance: dg.DagsterInstance, key: Key, events: Mapping[str, Event], description: str
) -> None:
    """Tell Dagster what partitions are now.

    Args:
        instance: Dagster's.
        key: of the asset.
        events: by partition; `WHOLE` for an asset that has none.
        description: of what was done, in words.
    """
    runs = {event.run for event in events.values() if event.run}
    known = {run: _tags_of(instance, key, run) for run in runs}
    for partition, event in sorted(events.items()):
        name = None if partition == WHOLE else partition
        tags = (
            known[event.run].get((name, event.data_version), {})
            if event.run
            else _newest_tags(instance, key, name)
        )
        count = "dagster/row_count" if name is None else "dagster/partition_row_count"
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                asset_key(key),
                description=description,
                partition=name,
                metadata={count: event.rows, **event.said},
                tags={
                    **tags,
                    DATA_VERSION_TAG: event.data_version,
                    DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
                },
            )
        )


def _tags_of(
    instance: dg.DagsterInstance, key: Key, run: str
) -> dict[tuple[str | None, str], dict[str, str]]:
    """What Dagster noted of a run's rows: its code, and what it read; without it all seems new."""
    found: dict[tuple[str | None, str], dict[str, str]] = {}
    records = instance.get_records_for_run(
        run, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    for one in records:
        event = one.event_log_entry.asset_materialization
        if event is None or event.asset_key != asset_key(key) or not event.tags:
            continue
        found[event.partition, event.tags.get(DATA_VERSION_TAG, "")] = _kept(event.tags)
    return found


def _newest_tags(instance: dg.DagsterInstance, key: Key, partition: str | None) -> dict[str, str]:
    """What Dagster noted of what a partition was last."""
    wanted = dg.AssetRecordsFilter(
        asset_key(key), asset_partitions=None if partition is None else [partition]
    )
    records = instance.fetch_materializations(wanted, limit=1).records
    event = records[0].asset_materialization if records else None
    return _kept(event.tags) if event and event.tags else {}


def _kept(tags: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in tags.items()
        if name == CODE_VERSION_TAG or name.startswith(_INPUTS)
    }
