"""Why an asset ran last, or why it doesn't: one answer, the facts behind it, and what to do.

Called by the command's `why`. All that it says is from what Dagster and the lake keep. Questions
are asked in the order in which a person would: does it run, is it due, did it fail, is it built,
may anything start it, what does it wait for, is the automation on, what did its condition say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from data_platform.observability.causes import failed_words
from data_platform.observability.evaluations import Evaluation, last_evaluation
from data_platform.observability.facts import changed_at
from data_platform.observability.failures import last_failures
from data_platform.observability.late_files import late_file, late_keys, late_words
from data_platform.observability.reasons.above import held_up_since, waits
from data_platform.observability.reasons.answers import Answer
from data_platform.observability.reasons.built import built
from data_platform.observability.reasons.failing import failed
from data_platform.observability.reasons.question import Question, Records
from data_platform.observability.reasons.starting import (
    history_left,
    not_started,
    paused,
    unasked,
)
from data_platform.observability.reasons.under_way import going
from data_platform.observability.started import Tick, ticks
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode, RawNode


@dataclass(frozen=True)
class Why:
    """Why an asset ran, or why it doesn't.

    Attributes:
        key: of the asset.
        partition: that was asked about; None where it has none.
        answer: what is said of it; its facts begin with the reasons besides the first.
        evaluation: what the automation found last.
    """

    key: Key
    partition: str | None
    answer: Answer
    evaluation: Evaluation | None = None

    @property
    def sentence(self) -> str:
        """The answer as a sentence."""
        return f"{self.partition or 'It'} {self.answer.text}."


def why(records: Records, node: AnyNode, partition: str | None) -> Why:
    """Tell why an asset ran last, or why it doesn't.

    Args:
        records: what is kept of all assets.
        node: the asset.
        partition: one of its partitions; None means the newest one that is due.
    """
    question = Question.about(records, node, partition)
    answer = _answer(question)
    if partition is None and answer.state != "failed":
        answer = answer.with_facts(*_failed_elsewhere(question))
    answer = answer.with_facts(*_late(question), *_last_ticks(question))
    evaluation = last_evaluation(records.instance, node, question.partition)
    return Why(node.key, question.partition, answer, evaluation)


def _answer(question: Question) -> Answer:
    """The first reason, with the others that hold besides."""
    certain = going(question) or _not_due(question)
    if certain:
        return certain
    if question.failure is None or not question.failure.own:
        stands = held_up_since(question) or (None if question.failure else built(question))
        if stands:
            return stands
    reasons = list(_hindrances(question))
    if not reasons:
        instance = question.records.instance
        return unasked(question, last_evaluation(instance, question.node, question.partition))
    first, *more = reasons
    return first.with_facts(*(f"besides, it {one.text}" for one in more))


def _hindrances(question: Question) -> Iterator[Answer]:
    """All that keeps it from being built, what a person mends first at the beginning."""
    for reason in (failed(question), not_started(question), waits(question, _answer)):
        if reason is not None:
            yield reason
            if reason.state == "not started":
                return
    for reason in (paused(question), history_left(question)):
        if reason is not None:
            yield reason


def _not_due(question: Question) -> Answer | None:
    partitions, partition, now = question.node.partitions, question.partition, question.records.now
    if question.built is not None or partitions is None:
        return None
    if partition is None:
        if partitions.dynamic:
            return Answer("not due", "has no partition yet: none is registered")
        first = f"; the first one ends at {_end(question, partitions.timed.first_key)}"
        return Answer("not due", f"isn't due: nothing of it is{first}")
    if partitions.time is None or partitions.window(partition)[1] <= now:
        return None
    return Answer(
        "not due",
        f"isn't due: it ends at {_end(question, partition)}",
        next_at=partitions.window(partition)[1],
    )


def _end(question: Question, partition: str) -> str:
    partitions = question.node.partitions
    if partitions is None:
        raise AssertionError(question)
    return f"{partitions.window(partition)[1]:%Y-%m-%d %H:%M %Z}"


def _failed_elsewhere(question: Question) -> Iterator[str]:
    """That the last try of the asset failed, of other partitions than the newest one."""
    records, node = question.records, question.node
    failure = last_failures(records.instance, [node]).get(node.key) if node.partitions else None
    if failure is not None and failure.own:
        words = failed_words(failure, records.now)
        run = failure.run_id[:8]
        yield f"but its last try {words} in run {run}; name the partition to see more"


def _late(question: Question) -> Iterator[str]:
    """That a source's files should have come."""
    node, records = question.node, question.records
    if not isinstance(node, RawNode):
        return
    table = records.lake.table(node.key)
    snapshot = table.snapshot()
    late = late_keys(node, snapshot.partitions if snapshot else (), records.now)
    if question.partition in late:
        yield "its files are late"
    pipeline = records.plan.pipeline(node.key.pipeline)
    schedule = pipeline.schedule if pipeline else None
    since = late_file(
        node, changed_at(table, snapshot) if snapshot else None, schedule, records.now
    )
    if words := late_words((), since):
        yield words


def _last_ticks(question: Question) -> Iterator[str]:
    """What the pipeline's own sensors and schedules said last."""
    if not isinstance(question.node, RawNode):
        return
    records = question.records
    for tick in ticks(records.instance, f"{question.node.key.pipeline}_"):
        yield _tick_words(tick, records)


def _tick_words(tick: Tick, records: Records) -> str:
    stopped = "; somebody stopped it" if tick.stopped else ""
    at = f" {records.ago(tick.at.astimezone(UTC))}" if isinstance(tick.at, datetime) else ""
    return f"{tick.name}{at}: {tick.words}{stopped}"
