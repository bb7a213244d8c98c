"""An asset that is built: when, by which run, and what was new then.

Asked by `why`.
"""

from collections.abc import Iterator
from typing import Any

from dagster import AssetKey, AssetRecordsFilter, DagsterRun
from dagster._core.event_api import EventLogRecord

from data_platform.asset_specs import asset_key, external_key
from data_platform.observability.reasons.answers import Answer
from data_platform.observability.reasons.question import Question
from data_platform.observability.started import cause_of

_FIGURES = (
    ("dagster/partition_row_count", "rows"),
    ("dagster/row_count", "rows"),
    ("rows_quarantined", "rows held back"),
    ("seconds", "seconds"),
)
_NEW, _TOLD = 3, 4
"""Inputs that were new, and values that an event of one carries: so many are named."""


def built(question: Question) -> Answer | None:
    """When it was built; None where it never was."""
    record = question.built
    made = record.asset_materialization if record else None
    if record is None or made is None:
        return None
    records = question.records
    run = records.instance.get_run_by_id(record.run_id) if record.run_id else None
    cause = f", started by {cause_of(run)}" if run else ""
    where = f" in run {record.run_id[:8]}" if record.run_id else ""
    figures = (
        f"{words}: {value:,}"
        for name, words in _FIGURES
        if name in made.metadata and isinstance(value := _value(made.metadata[name]), int | float)
    )
    idle = made.metadata.get("why")
    facts = [
        *((f"nothing was computed; {idle.value}",) if idle else ()),
        *(_new(question, run) if run and _is_automation(run) else ()),
        *figures,
    ]
    text = f"was built {records.ago(record.timestamp)}{where}{cause}"
    return Answer("built", text, tuple(facts), run_id=record.run_id or None)


def _is_automation(run: DagsterRun) -> bool:
    return cause_of(run).startswith(("automation", "its automation"))


def _new(question: Question, run: DagsterRun) -> Iterator[str]:
    """The inputs that came between the build before and the run, the newest first."""
    record = question.records.instance.get_run_record_by_id(run.run_id)
    before = _before(question)
    if record is None:
        return
    asked = record.create_timestamp.timestamp()
    keys = [
        *(asset_key(key) for key in dict.fromkeys(given.key for given in question.node.inputs)),
        *map(external_key, question.node.external),
    ]
    found = [one for key in keys if (one := _last(question, key, before, asked))]
    found.sort(key=lambda one: -one.timestamp)
    for one in found[:_NEW]:
        yield f"new was {_event_words(question, one)}"
    if len(found) > _NEW:
        yield f"and {len(found) - _NEW} inputs more"


def _before(question: Question) -> float | None:
    """When it was built before its last build."""
    some = [question.partition] if question.partition else None
    asked = AssetRecordsFilter(asset_key=asset_key(question.node.key), asset_partitions=some)
    records = question.records.instance.fetch_materializations(asked, 2).records
    return records[1].timestamp if len(records) > 1 else None


def _last(
    question: Question, key: AssetKey, after: float | None, before: float
) -> EventLogRecord | None:
    asked = AssetRecordsFilter(key, after_timestamp=after, before_timestamp=before)
    return next(iter(question.records.instance.fetch_materializations(asked, 1).records), None)


def _event_words(question: Question, record: EventLogRecord) -> str:
    made = record.asset_materialization
    key = "/".join(record.asset_key.path) if record.asset_key else ""
    name = f"{key} {record.partition_key}" if record.partition_key else key
    if made is None or key not in question.node.external:
        return f"{name}, of {question.records.ago(record.timestamp)}"
    # Who makes it elsewhere says what it is; of ours the run tells that.
    told = [
        f"{label}: {_value(value)}"
        for label, value in made.metadata.items()
        if not label.startswith("dagster")
    ][:_TOLD]
    run = question.records.instance.get_run_by_id(record.run_id) if record.run_id else None
    by = [f"run {run.run_id[:8]} of job {run.job_name}"] if run else []
    return f"{name}, told {question.records.ago(record.timestamp)} ({', '.join([*by, *told])})"


def _value(metadata: Any) -> Any:
    return metadata.value
