"""Who started runs and backfills, as Dagster keeps it.

Called by `reading`.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from dagster import DagsterInstance, RunRecord, RunsFilter
from dagster._core.execution.backfill import BulkActionsFilter, PartitionBackfill
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from data_platform.instance.users import NOBODY_KNOWN, USER_TAG
from data_platform.observability.audit.deeds import PAGE, Deed, Span
from data_platform.observability.started import cause_of


def runs(instance: DagsterInstance, span: Span) -> Iterator[Deed]:
    """Runs, by when they were asked for."""
    cursor = None
    while True:
        found = instance.get_run_records(
            RunsFilter(created_after=span.since, created_before=span.until),
            limit=PAGE,
            cursor=cursor,
        )
        yield from map(_of_run, found)
        if len(found) < PAGE:
            return
        cursor = found[-1].dagster_run.run_id


def backfills(instance: DagsterInstance, span: Span) -> Iterator[Deed]:
    """Backfills of the command and of Dagster's UI."""
    cursor = None
    while True:
        found = instance.get_backfills(
            filters=BulkActionsFilter(created_after=span.since, created_before=span.until),
            limit=PAGE,
            cursor=cursor,
        )
        yield from map(_of_backfill, found)
        if len(found) < PAGE:
            return
        cursor = found[-1].backfill_id


def _of_run(record: RunRecord) -> Deed:
    run = record.dagster_run
    keys = sorted("/".join(key.path) for key in run.asset_selection or ())
    why = cause_of(run)
    return Deed(
        record.create_timestamp.replace(tzinfo=record.create_timestamp.tzinfo or UTC),
        run.tags.get(USER_TAG, why),
        "run started",
        tuple(keys or [run.job_name]),
        "; ".join(part for part in (_partitions(run.tags), why) if part),
        run.status.value.lower(),
        run.run_id,
    )


def _partitions(tags: Mapping[str, str]) -> str:
    first, last = (
        tags.get(ASSET_PARTITION_RANGE_START_TAG),
        tags.get(ASSET_PARTITION_RANGE_END_TAG),
    )
    if first and last:
        return first if first == last else f"{first} to {last}"
    return tags.get(PARTITION_NAME_TAG, "")


def _of_backfill(backfill: PartitionBackfill) -> Deed:
    keys = sorted("/".join(key.path) for key in backfill.asset_selection or ())
    return Deed(
        datetime.fromtimestamp(backfill.backfill_timestamp, UTC),
        backfill.tags.get(USER_TAG) or backfill.user or NOBODY_KNOWN,
        "backfill begun",
        tuple(keys),
        f"{backfill.backfill_id}{f': {backfill.title}' if backfill.title else ''}",
        backfill.status.value.lower(),
    )
