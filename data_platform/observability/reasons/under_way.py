"""A run that is to build an asset: at work, or in the queue, and what it waits for there.

Asked by `why` and `above`. The limits are those that Dagster's daemon holds the queue to.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dagster import DagsterEventType, DagsterRun, DagsterRunStatus
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES, RunRecord
from dagster._core.storage.tags import PRIORITY_TAG

from data_platform.instance.run_limits import ACTIVE_RUNS_TAG
from data_platform.observability.reasons.answers import Answer
from data_platform.observability.reasons.question import Question, began
from data_platform.observability.started import cause_of
from data_platform.plan.retrying import in_words
from data_platform.reporting.failure_texts import in_a_line

_QUEUED = frozenset({DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED})


def going(question: Question) -> Answer | None:
    """The run that is to build it; None where there is none."""
    for record in question.records.under_way:
        run = record.dagster_run
        if question.is_in(run):
            return (
                _queued(question, record) if run.status in _QUEUED else _at_work(question, record)
            )
    return None


def _queued(question: Question, record: RunRecord) -> Answer:
    run = record.dagster_run
    since = question.records.ago(began(record))
    about = f"run {run.run_id[:8]} of {since}, started by {cause_of(run)}"
    first, *more = *_limits(question, run), ""
    facts = [one for one in (*more, *_before(question, run)) if one]
    told = f": {first}" if first else ""
    return Answer("queued", f"is in the queue{told}; {about}", tuple(facts), run_id=run.run_id)


def _at_work(question: Question, record: RunRecord) -> Answer:
    run = record.dagster_run
    since = question.records.ago(began(record))
    about = f"run {run.run_id[:8]}, begun {since}, started by {cause_of(run)}"
    held = _slot(question, run) or _next_try(question, run)
    if held:
        return Answer("runs", f"{held}; {about}", run_id=run.run_id)
    return Answer("runs", f"is in {about}", run_id=run.run_id)


def _limits(question: Question, run: DagsterRun) -> Iterator[str]:
    """The limits that keep a run in the queue, in words."""
    records = question.records
    config = records.instance.get_concurrency_config()
    active = [
        one.dagster_run
        for one in records.under_way
        if one.dagster_run.status in IN_PROGRESS_RUN_STATUSES
    ]
    limits = config.run_queue_config
    if limits is not None:
        most = limits.max_concurrent_runs
        if most != -1 and len(active) >= most:
            yield f"all {most} runs that may go on at once do ({_runs(active)})"
        for limit in limits.tag_concurrency_limits:
            yield from _tag_limit(run, limit, active)
    wanted = run.run_op_concurrency
    if wanted is not None and not wanted.has_unconstrained_root_nodes:
        for pool in sorted(wanted.root_key_counts):
            yield from _full_pool(question, pool)


def _tag_limit(
    run: DagsterRun, limit: Mapping[str, Any], active: Iterable[DagsterRun]
) -> Iterator[str]:
    name, value, most = limit["key"], limit.get("value"), limit["limit"]
    own = run.tags.get(name)
    if own is None or (isinstance(value, str) and own != value):
        return
    # Without a value all runs with the tag are counted, whatever it says.
    alike = [one for one in active if name in one.tags and (not value or one.tags[name] == own)]
    if len(alike) < most:
        return
    if name.startswith(ACTIVE_RUNS_TAG):
        pipeline = name.removeprefix(ACTIVE_RUNS_TAG)
        yield f"pipeline {pipeline} has `max_active_runs: {most}` ({_runs(alike)})"
    else:
        yield f"{most} run{'s'[: most != 1]} with tag {name} may go on at once ({_runs(alike)})"


def _full_pool(question: Question, pool: str) -> Iterator[str]:
    info = question.records.instance.event_log_storage.get_concurrency_info(pool)
    taken = len(info.claimed_slots)
    if info.slot_count and taken >= info.slot_count:
        yield f"pool {pool} has {taken} of {info.slot_count} slots taken ({_holders(info)})"


def _before(question: Question, run: DagsterRun) -> Iterator[str]:
    """How many runs come before it in the queue."""
    waiting = [
        one.dagster_run
        for one in reversed(question.records.under_way)
        if one.dagster_run.status is DagsterRunStatus.QUEUED
    ]
    waiting.sort(key=lambda one: -_priority(one))
    ids = [one.run_id for one in waiting]
    before = ids.index(run.run_id) if run.run_id in ids else 0
    if before:
        yield f"{before} run{'s'[: before != 1]} come{'s'[: before == 1]} before it in the queue"


def _priority(run: DagsterRun) -> int:
    text = run.tags.get(PRIORITY_TAG, "0")
    return int(text) if text.lstrip("-").isdecimal() else 0


def _slot(question: Question, run: DagsterRun) -> str | None:
    """That its step waits for a slot of its pool."""
    pool, step = question.node.pool, (run.run_id, question.node.step_name)
    if pool is None:
        return None
    info = question.records.instance.event_log_storage.get_concurrency_info(pool)
    waiting = {
        (one.run_id, one.step_key) for one in info.pending_steps if not one.assigned_timestamp
    }
    if step not in waiting:
        return None
    taken = f"{len(info.claimed_slots)} of {info.slot_count} taken by {_holders(info)}"
    return f"waits for a slot of pool {pool}: {taken}"


def _next_try(question: Question, run: DagsterRun) -> str | None:
    """That its step failed and is tried again after a while."""
    kinds = {DagsterEventType.STEP_UP_FOR_RETRY, DagsterEventType.STEP_RESTARTED}
    entries = question.records.instance.get_records_for_run(run.run_id, of_type=kinds).records
    own = [
        one
        for one in entries
        if (event := one.event_log_entry.dagster_event)
        and event.step_key == question.node.step_name
    ]
    last = own[-1].event_log_entry.dagster_event if own else None
    if last is None or last.event_type is not DagsterEventType.STEP_UP_FOR_RETRY:
        return None
    data = last.step_retry_data
    reason = in_a_line(data.error.message) if data.error else None
    said = f" ({reason})" if reason else ""
    tries = sum(
        one.event_log_entry.get_dagster_event().event_type is DagsterEventType.STEP_UP_FOR_RETRY
        for one in own
    )
    wait = data.seconds_to_wait or 0
    left = max(0.0, own[-1].timestamp + wait - question.records.now.timestamp())
    return f"failed{said} in try {tries}, and is tried again in {in_words(round(left))}"


def _runs(runs: Iterable[DagsterRun]) -> str:
    ids = [run.run_id[:8] for run in runs]
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""  # noqa: PLR2004
    return f"run{'s'[: len(ids) != 1]} {', '.join(ids[:3])}{more}"


def _holders(info: Any) -> str:
    ids = list(dict.fromkeys(slot.run_id[:8] for slot in info.claimed_slots))
    return f"run{'s'[: len(ids) != 1]} {', '.join(ids)}"
