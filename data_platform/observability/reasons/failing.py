"""An asset that failed: why, in which run, and what tries it again.

Asked by `why` and `above`.
"""

from collections.abc import Iterator

from dagster import DagsterEventType, DagsterRun
from dagster._core.storage.tags import WILL_RETRY_TAG

from data_platform.observability.causes import failed_words
from data_platform.observability.reasons.answers import Answer
from data_platform.observability.reasons.question import Question
from data_platform.observability.reasons.starts import tried_again
from data_platform.observability.started import cause_of


def failed(question: Question) -> Answer | None:
    """That its last try failed; None where it didn't."""
    failure = question.failure
    if failure is None or not failure.own:
        return None
    records = question.records
    run = records.instance.get_run_by_id(failure.run_id)
    again = tried_again(question)
    facts = list(_of_run(question, run) if run else ())
    will_retry = run is not None and run.tags.get(WILL_RETRY_TAG) == "true"
    facts.append(
        "Dagster makes that run anew, since its process died" if will_retry else again.words
    )
    if question.built is not None:
        facts.append(f"its last good version is of {records.ago(question.built.timestamp)}")
    return Answer(
        "failed",
        f"{failed_words(failure, records.now)} in run {failure.run_id[:8]}",
        tuple(facts),
        (f"see run {failure.run_id} in Dagster's UI, mend the cause, then:", question.command),
        failure.run_id,
        next_at=again.at,
    )


def _of_run(question: Question, run: DagsterRun) -> Iterator[str]:
    yield f"that run was started by {cause_of(run)}"
    restarted = question.records.instance.get_records_for_run(
        run.run_id, of_type=DagsterEventType.STEP_RESTARTED
    ).records
    steps = [
        event.step_key
        for one in restarted
        if (event := one.event_log_entry.dagster_event) is not None
    ]
    tries = steps.count(question.node.step_name) + 1
    if tries > 1:
        yield f"it was tried {tries} times in that run, as its `retries` say"
