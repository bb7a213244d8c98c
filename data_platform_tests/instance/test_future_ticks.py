"""Sensors and schedules after a clock that was ahead: what it left is no reason to wait."""

import time
from collections.abc import Callable

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

ORIGIN = RemoteInstigatorOrigin(
    RemoteRepositoryOrigin(
        InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="here")), "__repository__"
    ),
    "files",
)
DAY = 86_400.0
Data = Callable[[float], SensorInstigatorData | ScheduleInstigatorData]


def sensor(at: float) -> SensorInstigatorData:
    """Of a sensor that knows how far it is."""
    return SensorInstigatorData(at, cursor="known", last_tick_start_timestamp=at)


def schedule(at: float) -> ScheduleInstigatorData:
    """Of a schedule."""
    return ScheduleInstigatorData("0 6 * * *", start_timestamp=1.0, last_iteration_timestamp=at)


def keep(instance: dg.DagsterInstance, data: SensorInstigatorData | ScheduleInstigatorData) -> None:
    kind = (
        InstigatorType.SENSOR if isinstance(data, SensorInstigatorData) else InstigatorType.SCHEDULE
    )
    instance.add_instigator_state(InstigatorState(ORIGIN, kind, InstigatorStatus.RUNNING, data))


def kept(
    instance: dg.DagsterInstance,
) -> list[SensorInstigatorData | ScheduleInstigatorData | None]:
    """As it is found by all ways."""
    one = instance.get_instigator_state(ORIGIN.get_id(), ORIGIN.get_selector().get_id())
    assert one is not None
    return [state.instigator_data for state in (one, *instance.all_instigator_state())]


def test_a_sensor_whose_last_tick_is_to_come_may_tick(instance: dg.DagsterInstance) -> None:
    keep(instance, sensor(time.time() + DAY))
    assert kept(instance) == [SensorInstigatorData(cursor="known")] * 2


def test_a_schedule_whose_last_look_is_to_come_looks(instance: dg.DagsterInstance) -> None:
    keep(instance, schedule(time.time() + DAY))
    assert kept(instance) == [ScheduleInstigatorData("0 6 * * *", 1.0)] * 2


@pytest.mark.parametrize("data", [sensor, schedule])
def test_what_was_just_now_stays(instance: dg.DagsterInstance, data: Data) -> None:
    # Daemons of two machines, one after the other, whose clocks differ a little.
    at = time.time() + 60
    keep(instance, data(at))
    assert kept(instance) == [data(at)] * 2


def test_the_last_tick_is_the_last_that_was(instance: dg.DagsterInstance) -> None:
    selector, now = ORIGIN.get_selector().get_id(), time.time()
    for at in (now - DAY, now + DAY):
        instance.create_tick(
            TickData(
                ORIGIN.get_id(), "files", InstigatorType.SENSOR, TickStatus.SUCCESS, at,
                run_ids=[], run_keys=[],
                selector_id=selector,
            )
        )  # fmt: skip
    [last] = instance.get_ticks(ORIGIN.get_id(), selector, limit=1)
    assert last.timestamp == now - DAY
    assert len(instance.get_ticks(ORIGIN.get_id(), selector)) == 2
