"""A code location of which everything can be started, changed or removed: see `attacked`.

Its code writes to the file that ATTACKED_TRACE names whenever it is run: nobody who only reads may
have it run.
"""

import os
from pathlib import Path

import dagster as dg

DAYS = dg.StaticPartitionsDefinition([f"2024-01-0{day}" for day in range(1, 5)])
FILES = dg.DynamicPartitionsDefinition(name="files")


def _leave_a_trace(what: str) -> None:
    trace = os.environ.get("ATTACKED_TRACE")
    if trace:
        with Path(trace).open("a") as file:
            file.write(f"{what}\n")


@dg.asset(partitions_def=DAYS)
def orders() -> None:
    """Of a day."""
    _leave_a_trace("orders")


@dg.asset(partitions_def=FILES)
def lines() -> None:
    """Of a file."""


@dg.asset_check(asset=orders)
def complete() -> dg.AssetCheckResult:
    """Whether they are all there."""
    return dg.AssetCheckResult(passed=True)


@dg.op
def greet() -> None:
    """Do nothing much."""
    _leave_a_trace("greet")


@dg.daily_partitioned_config(start_date="2024-01-01")
def of_day(start: object, _end: object) -> dict[str, object]:
    """The configuration of a day."""
    _leave_a_trace(f"configuration of {start}")
    return {}


@dg.job
def greeting() -> None:
    """A job."""
    greet()


@dg.job(config=of_day)
def daily_greeting() -> None:
    """A job with partitions."""
    greet()


@dg.schedule(job=greeting, cron_schedule="0 0 * * *")
def every_night() -> dg.RunRequest:
    """A schedule."""
    _leave_a_trace("schedule")
    return dg.RunRequest()


@dg.sensor(job=greeting)
def new_files() -> dg.SkipReason:
    """A sensor."""
    _leave_a_trace("sensor")
    return dg.SkipReason("there are none")


defs = dg.Definitions(
    assets=[orders, lines],
    asset_checks=[complete],
    jobs=[greeting, daily_greeting],
    schedules=[every_night],
    sensors=[new_files],
)
