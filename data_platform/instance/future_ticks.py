"""Ticks of sensors and schedules that a clock which was ahead has left in the future.

Mixed into the storage of schedules. Dagster's daemon ticks anew a while after the last tick: after
one of the day after tomorrow nothing would be started until then, though the clock is right again.
So what lies in the future isn't told.
"""

from collections.abc import Sequence

from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorTick,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickStatus,
)
from dagster._core.storage.schedules.sql_schedule_storage import SqlScheduleStorage
from dagster._time import get_current_timestamp

TOLERATED = 300.0
"""Seconds by which clocks of machines on which a daemon ran one after the other may differ."""


class TimelySchedules(SqlScheduleStorage):
    """Sensors and schedules, whose last tick is never one that is to come."""

    def all_instigator_state(
        self,
        repository_origin_id: str | None = None,
        repository_selector_id: str | None = None,
        instigator_type: InstigatorType | None = None,
        instigator_statuses: set[InstigatorStatus] | None = None,
    ) -> Sequence[InstigatorState]:
        """The states of all."""
        states = super().all_instigator_state(
            repository_origin_id, repository_selector_id, instigator_type, instigator_statuses
        )
        return [_timely(state) for state in states]

    def get_instigator_state(self, origin_id: str, selector_id: str) -> InstigatorState | None:
        """The state of one."""
        state = super().get_instigator_state(origin_id, selector_id)
        return _timely(state) if state is not None else None

    def get_ticks(
        self,
        origin_id: str,
        selector_id: str,
        before: float | None = None,
        after: float | None = None,
        limit: int | None = None,
        statuses: Sequence[TickStatus] | None = None,
    ) -> Sequence[InstigatorTick]:
        """The newest ticks; the only one that is asked for is none that is to come."""
        found = super().get_ticks(origin_id, selector_id, before, after, limit, statuses)
        latest = get_current_timestamp() + TOLERATED
        if limit != 1 or not found or found[0].timestamp <= latest:
            return found
        return super().get_ticks(origin_id, selector_id, latest, after, limit, statuses)


def _timely(state: InstigatorState) -> InstigatorState:
    """The state without ticks that are to come: as of one that hasn't ticked yet."""
    latest, data = get_current_timestamp() + TOLERATED, state.instigator_data
    match data:
        case SensorInstigatorData():
            ticks = ("last_tick_timestamp", "last_tick_start_timestamp")
        case ScheduleInstigatorData():
            ticks = ("last_iteration_timestamp",)
        case _:
            return state
    future = {name: None for name in ticks if (getattr(data, name) or 0.0) > latest}
    return state.with_data(data._replace(**future)) if future else state
