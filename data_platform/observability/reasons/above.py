"""What an asset waits for: the first thing above it that failed, is missing, or is being built.

Asked by `why`. Of what is missing it asks why in turn, so that the answer names where it began.
"""

from collections.abc import Callable, Iterator

from dagster import AssetRecordsFilter

from data_platform.asset_specs import external_key
from data_platform.engine.inputs import partitions_read
from data_platform.observability.causes import failed_words
from data_platform.observability.reasons.answers import Answer
from data_platform.observability.reasons.question import Question, began
from data_platform.observability.reasons.under_way import going
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import Input

Ask = Callable[[Question], Answer]


def waits(question: Question, ask: Ask) -> Answer | None:
    """What it waits for; None where all is there and at rest.

    Args:
        question: about what isn't built.
        ask: the same of what is above it.
    """
    reasons = [*_missing(question, ask), *_external(question), *_in_progress(question)]
    if not reasons:
        return None if question.node.partitions else _failed_above(question)
    first, *more = reasons
    return first.with_facts(*(f"besides, it {one.text}" for one in more[:3]))


def held_up_since(question: Question) -> Answer | None:
    """What failed above since the last build; of partitions that may be another one."""
    built = question.built
    found = None if question.node.partitions else _failed_above(question)
    if found is None or built is None:
        return None
    failed = question.records.instance.get_run_record_by_id(found.run_id or "")
    if failed is None or began(failed).timestamp() < built.timestamp:
        return None
    ago = question.records.ago(built.timestamp)
    return found.with_facts(f"its last version is of {ago}, and stands")


def _missing(question: Question, ask: Ask) -> Iterator[Answer]:
    """Inputs that lack what it reads, each with why."""
    for given in question.node.inputs:
        lacks = _lacks(question, given)
        if lacks is None:
            continue
        what, key = lacks
        above = question.above(given.key, key)
        if above is None:
            yield Answer("waits", f"waits: {what}", waits_for=given.key)
            continue
        answer = ask(above)
        advice = (f"data-platform why {above.name}",)
        match answer.state:
            case "waits" if answer.waits_for:
                yield Answer("waits", answer.text, (what,), answer.advice, answer.run_id,
                             answer.waits_for, answer.next_at)  # fmt: skip
            case "built" | "paused":
                yield Answer("waits", f"waits: {what}", (f"{above.name} {answer.text}",), advice,
                             waits_for=given.key, next_at=answer.next_at)  # fmt: skip
            case _:
                yield Answer("waits", f"waits: {above.name} {answer.text}", (what,), advice,
                             answer.run_id, given.key, answer.next_at)  # fmt: skip


def _lacks(question: Question, given: Input) -> tuple[str, str | None] | None:
    """What an input lacks, in words, and the first partition of it."""
    snapshot = question.records.lake.table(given.key).snapshot()
    published = snapshot.partitions if snapshot else {}
    asked = question.partition or WHOLE
    wanted = partitions_read(given, question.node, [asked], published)
    absent = [key for key in wanted if key not in published]
    first = absent[0] if absent and absent[0] != WHOLE else None
    if snapshot is None:
        return f"{given.key} has never been published", first
    if absent:
        return f"{given.key} has no published partition {', '.join(absent[:3])}", first
    if not wanted and given.reads != "all":
        return f"{given.key} has no partition that belongs to {asked}", None
    return None


def _external(question: Question) -> Iterator[Answer]:
    """Assets that are made elsewhere, and of which nobody has told yet."""
    for name in question.node.external:
        asked = AssetRecordsFilter(external_key(name))
        if not question.records.instance.fetch_materializations(asked, 1).records:
            yield Answer(
                "waits",
                f"waits: nobody has told yet of {name}, which is made elsewhere",
                advice=("who makes it tells of it by a webhook, or in its own code location",),
            )


def _in_progress(question: Question) -> Iterator[Answer]:
    for given in question.node.inputs:
        above = question.above(given.key, question.partition)
        found = going(above) if above else None
        if found is not None:
            yield Answer("waits", f"waits: {given.key} {found.text}", run_id=found.run_id,
                         waits_for=given.key)  # fmt: skip


def _failed_above(question: Question) -> Answer | None:
    """The nearest asset above whose last try failed; what it published before stands."""
    for key in question.ancestors():
        failure = question.failures_above.get(key)
        if failure is not None and failure.own:
            words = failed_words(failure, question.records.now)
            text = f"waits: {key} {words} in run {failure.run_id[:8]}"
            advice = (f"data-platform why {key}",)
            return Answer("waits", text, (), advice, failure.run_id, key)
    return None
