"""What starts an asset by itself, and when it does so next.

Asked by `starting` and `failing`. Says in words what `automation` does, and starts nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from data_platform.observability.reasons.question import Question
from data_platform.observability.started import SENSOR
from data_platform.plan.automating import RETRY_CRON, automation_of
from data_platform.plan.freshness import next_tick
from data_platform.plan.nodes import AnyNode, RawNode
from data_platform.plan.sources.kinds import Files, Topic
from data_platform.spec.automation import AutomationBlock, Schedule


@dataclass(frozen=True)
class Start:
    """What starts an asset.

    Attributes:
        words: what it is, and when it does.
        by: the name of the sensor or schedule in Dagster; None where nothing does.
        history: whether it asks for partitions before the newest one, too.
        at: the next moment; None where no clock decides it.
    """

    words: str
    by: str | None
    history: bool = False
    at: datetime | None = None


def starts_of(question: Question) -> list[Start]:
    """All that starts an asset."""
    node, now = question.node, question.records.now
    found = list(_from_outside(question)) if isinstance(node, RawNode) and node.enabled else []
    block = automation_of(node)
    return [*found, _by_condition(node, block, now)] if block else found


def tried_again(question: Question) -> Start:
    """What tries it again after it failed."""
    node, now = question.node, question.records.now
    starts = starts_of(question)
    block = automation_of(node)
    if not starts:
        why = "it says `enabled: false`" if not node.enabled else "only a person starts it"
        return Start(f"nothing tries it again: {why}", None)
    if block is None:
        by = ", or by ".join(start.words for start in starts)
        return Start(f"it is tried again by {by}", starts[0].by, at=starts[0].at)
    if block.cron is not None:
        at = next_tick(block.cron, block.timezone, now)
        return Start(f"it is tried again at {_moment(at)}, by its cron", SENSOR, at=at)
    match block.when:
        case "freshness":
            at = next_tick(RETRY_CRON, "UTC", now)
            words = f"it is tried again every quarter of an hour while it is late: {_moment(at)}"
            return Start(words, SENSOR, at=at)
        case "eager" if node.inputs or node.external:
            return Start("it is tried again when an input has other rows", SENSOR)
        case _:
            return Start("nothing tries it again: each partition is asked for once", None)


def _from_outside(question: Question) -> Iterator[Start]:
    node, records = question.node, question.records
    assert isinstance(node, RawNode)  # noqa: S101
    name = node.key.pipeline
    pipeline = records.plan.pipeline(name)
    schedule = pipeline.schedule if pipeline else None
    if schedule is not None and node.automation is None:
        at = _next(schedule, records.now)
        written = schedule.cron or ", ".join(schedule.crons)
        words = f"schedule {name}_sources, next at {_moment(at)} ({written}, {schedule.timezone})"
        yield Start(words, f"{name}_sources", schedule.catchup, at)
    source = node.source
    if isinstance(source, Files) and source.arrival is not None:
        if source.arrival.queue:
            yield Start("a new file that its queue tells of", None, history=True)
        else:
            sensor = f"{name}_files"
            words = f"a new file: sensor {sensor} looks every {source.arrival.poll:g} s"
            yield Start(words, sensor, history=True)
    if isinstance(source, Topic) and schedule is None and node.automation is None:
        yield Start(f"new messages: sensor {name}_topics looks", f"{name}_topics", history=True)


def _by_condition(node: AnyNode, block: AutomationBlock, now: datetime) -> Start:
    if block.cron is not None:
        at = next_tick(block.cron, block.timezone, now)
        words = f"its cron, next at {_moment(at)} ({block.cron}, {block.timezone})"
        return Start(words, SENSOR, block.catchup, at)
    match block.when:
        case "freshness":
            promised = node.freshness
            if promised is None or promised.deadline is None or promised.within is None:
                return Start("its freshness, when it is late", SENSOR, block.catchup)
            due = next_tick(promised.deadline, promised.timezone, now)
            at = due - promised.within
            words = f"its freshness, before the deadline {_moment(due)}: from {_moment(at)}"
            return Start(words, SENSOR, block.catchup, at)
        case "on_missing":
            words = "its automation, once its newest partition is due and its inputs are there"
            return Start(words, SENSOR, block.catchup)
        case _:
            words = "its automation, once an input has other rows or a newer partition is due"
            return Start(words, SENSOR, block.catchup)


def _next(schedule: Schedule, now: datetime) -> datetime:
    return min(next_tick(cron, schedule.timezone, now) for cron in schedule.crons)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M %Z}"
