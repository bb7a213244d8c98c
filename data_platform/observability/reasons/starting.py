"""Why nothing has asked for an asset: nobody may, somebody stopped it, or its time hasn't come.

Asked by `why`, about what neither runs nor failed.
"""

from data_platform.observability.evaluations import Evaluation
from data_platform.observability.reasons.answers import Answer
from data_platform.observability.reasons.question import Question
from data_platform.observability.reasons.starts import starts_of
from data_platform.observability.started import lost_daemons, ticks
from data_platform.plan.automating import automation_of

_NO = {
    "wanted": "nothing has asked for it since its last build: no input has other rows, and its "
    "newest partition isn't missing anew",
    "an input has other rows": "no input has other rows",
    "inputs are there": "an input lacks a partition that is due",
    "inputs are at rest": "an input is being built",
    "at rest": "it is in progress itself",
    "stale": "it isn't late",
    "the past is there": "the partition before it isn't published, or is in progress",
    "the canary has passed": "a canary that goes before it isn't published",
}
"""What a label says where it doesn't hold, for people."""


def not_started(question: Question) -> Answer | None:
    """That nothing starts it but a person."""
    node = question.node
    if not node.enabled:
        text = f"is started by nothing: it says `enabled: false`, at {node.location}"
        return Answer("not started", text, advice=("set `enabled: true`, or take the line out",))
    if starts_of(question):
        return None
    if node.automation == "manual":
        text = "is started by nobody but a person: its automation is `manual`"
        return Answer("not started", text, advice=(question.command,))
    return Answer(
        "not started",
        "is started by nobody but a person: its pipeline has no schedule, and it has no automation",
        advice=(
            "give the pipeline a `schedule`, or the source an `automation`, or now:",
            question.command,
        ),
    )


def paused(question: Question) -> Answer | None:
    """That somebody stopped what starts it, or that the daemon isn't there."""
    records = question.records
    names = [start.by for start in starts_of(question) if start.by]
    stopped = [
        tick.name
        for name in names
        for tick in ticks(records.instance, name)
        if tick.name == name and tick.stopped
    ]
    if stopped and len(stopped) == len(names):
        what = f"somebody stopped {' and '.join(stopped)}"
        advice = "start it in Dagster's UI: Automation"
        return Answer("paused", f"isn't started: {what}", advice=(advice,))
    lost = lost_daemons(records.instance, records.now)
    if lost:
        which = f"{', '.join(lost)} of dagster-daemon" if len(lost) == 1 else "dagster-daemon"
        return Answer(
            "paused",
            f"isn't started: {which} hasn't been heard of for minutes",
            advice=("start it: dagster-daemon run, or dagster dev", "data-platform doctor"),
        )
    return None


def history_left(question: Question) -> Answer | None:
    """That only newer partitions are asked for by themselves."""
    partitions, partition = question.node.partitions, question.partition
    starts = starts_of(question)
    if not (partitions and partitions.time and partition) or any(one.history for one in starts):
        return None
    newest = partitions.time.newest_due(question.records.now)
    if newest is None or partitions.time_key(partition) == newest or _asked_for(question):
        return None
    text = f"is asked for by nothing: only the newest due partition is, {newest}"
    return Answer("not started", text, advice=(question.command,))


def unasked(question: Question, evaluation: Evaluation | None) -> Answer:
    """What would ask for it, and what its condition said."""
    starts = starts_of(question)
    moments = [one.at for one in starts if one.at]
    facts = [f"it is asked for by {one.words}" for one in starts]
    by_condition = automation_of(question.node) is not None
    if evaluation is None and by_condition:
        text = "was never looked at by the automation; the next look does, twice a minute"
    elif evaluation is not None and by_condition:
        no = [part.label for part in evaluation.parts if not part.true and part.depth]
        first, *more = [_NO.get(label, f"not {label}") for label in no] or ["its turn comes"]
        text, facts = f"wasn't asked for: {first}", [*more, *facts]
    else:
        text, facts = f"has to wait for {starts[0].words}", facts[1:]
    advice = ("to build it now:", question.command)
    return Answer("waits", text, tuple(facts), advice, next_at=min(moments, default=None))


def _asked_for(question: Question) -> bool:
    """Whether it was asked for in vain: then it gets another chance with its inputs."""
    return question.failure is not None
