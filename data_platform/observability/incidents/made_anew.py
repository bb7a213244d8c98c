"""Whether Dagster makes a failed run anew: nothing is wrong before its last try has failed.

Called by `reading`.
"""

from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from dagster._core.storage.tags import (
    MAX_RETRIES_TAG,
    RETRY_ON_ASSET_OR_OP_FAILURE_TAG,
    WILL_RETRY_TAG,
)


def is_made_anew_whole(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether a run is made anew when a step of it fails: only its end tells, then."""
    said = run.tags.get(RETRY_ON_ASSET_OR_OP_FAILURE_TAG, "").lower()
    by_default = instance.run_retries_retry_on_asset_or_op_failure
    if not instance.run_retries_enabled or not (said == "true" if said else by_default):
        return False
    most = run.tags.get(MAX_RETRIES_TAG, str(instance.run_retries_max_retries))
    return most.isdecimal() and int(most) > 0


def will_be_made_anew(instance: DagsterInstance, run: DagsterRun, event: DagsterEvent) -> bool:
    """Whether a run that ended by an event is followed by another try."""
    if event.event_type is not DagsterEventType.RUN_FAILURE:
        return False
    said = run.tags.get(WILL_RETRY_TAG)
    if said is not None or not instance.run_retries_enabled:
        return said == "true"
    # The tag comes a moment after the event.
    reason = event.job_failure_data.failure_reason
    return auto_reexecution_should_retry_run(instance, run, reason)
