"""Who started runs, and who doesn't: automation that is paused, daemons that are gone, last ticks.

Called by `observability.why`. Reads what Dagster keeps of runs, sensors, schedules and daemons.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dagster import DagsterInstance, DagsterRun
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, TickStatus
from dagster._core.storage.tags import USER_TAG as SHOWN_USER_TAG

from data_platform.instance.users import NOBODY_KNOWN
from data_platform.run_tags import CAUSE_TAG, ORIGIN_TAG

SENSOR = "default_automation_condition_sensor"
LOST_AFTER = timedelta(minutes=5)
"""A daemon that hasn't been heard of for so long is taken for gone."""
_NEEDED = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR")
_TAGS: Mapping[str, str] = {
    "dagster/schedule_name": "schedule {}",
    "dagster/sensor_name": "sensor {}",
    "dagster/backfill": "backfill {}",
    "dagster/parent_run_id": "again, after run {}",
}


@dataclass(frozen=True)
class Tick:
    """The last tick of a sensor or schedule.

    Attributes:
        name: of it.
        at: when.
        words: what came of it.
        stopped: whether somebody stopped it.
    """

    name: str
    at: datetime | None
    words: str
    stopped: bool


def cause_of(run: DagsterRun) -> str:
    """Why a run was started, in short words."""
    said = run.tags.get(CAUSE_TAG)
    if said:
        return said
    if run.tags.get("dagster/from_automation_condition") == "true":
        return "its automation"
    for tag, words in _TAGS.items():
        if tag in run.tags:
            name = run.tags[tag]
            return "its automation" if name == SENSOR else words.format(name[:40])
    if run.tags.get(ORIGIN_TAG) == "command":
        return "data-platform run"
    user = run.tags.get(SHOWN_USER_TAG, NOBODY_KNOWN)
    return user if user == NOBODY_KNOWN else f"{user} in Dagster's UI"


def is_paused(instance: DagsterInstance) -> bool:
    """Whether somebody stopped what evaluates conditions."""
    return any(tick.stopped for tick in ticks(instance, beginning=SENSOR))


def ticks(instance: DagsterInstance, beginning: str) -> Iterator[Tick]:
    """The last tick of each sensor and schedule whose name begins so."""
    for state in instance.all_instigator_state():
        name = state.origin.instigator_name
        if name.startswith(beginning):
            yield _tick(instance, state, name)


def _tick(instance: DagsterInstance, state: InstigatorState, name: str) -> Tick:
    stopped = state.status is InstigatorStatus.STOPPED
    last = next(
        iter(instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)), None
    )
    if last is None:
        return Tick(name, None, "hasn't ticked yet", stopped)
    at = datetime.fromtimestamp(last.timestamp, UTC)
    match last.status:
        case TickStatus.SUCCESS:
            words = f"asked for {len(last.run_ids)} run{'s'[: len(last.run_ids) != 1]}"
        case TickStatus.SKIPPED:
            words = last.skip_reason or "asked for nothing"
        case TickStatus.FAILURE:
            words = f"failed: {last.error.message.strip() if last.error else 'unknown'}"
        case _:
            words = "goes on"
    return Tick(name, at, words, stopped)


def lost_daemons(instance: DagsterInstance, now: datetime) -> list[str]:
    """Which daemons that start runs haven't been heard of; all of them where there is none."""
    beats = instance.get_daemon_heartbeats()
    heard = {name: datetime.fromtimestamp(beat.timestamp, UTC) for name, beat in beats.items()}
    return [name for name in _NEEDED if name not in heard or now - heard[name] > LOST_AFTER]
