"""Partitions of the plan as Dagster's: the same keys, which a test compares over ten years.

Called by `asset_specs`, and by whoever tells Dagster about partitions.
"""

import functools

import dagster as dg

from data_platform.plan.partitions import Partitions, TimePartitions
from data_platform.plan.partitions.kinds import TIME


@functools.cache
def definition_of(partitions: Partitions) -> dg.PartitionsDefinition[str]:
    """What Dagster shows and asks for; one for all assets of the same partitions."""
    if partitions.dynamic is not None:
        return dg.DynamicPartitionsDefinition(name=partitions.dynamic)
    parts: dict[str, dg.PartitionsDefinition[str]] = {
        one.name: dg.StaticPartitionsDefinition(list(one.values)) for one in partitions.by
    }
    if partitions.time is not None:
        parts[TIME] = _of_time(partitions.time)
    if len(parts) == 1:
        return next(iter(parts.values()))
    return dg.MultiPartitionsDefinition(parts)


def _of_time(time: TimePartitions) -> dg.TimeWindowPartitionsDefinition:
    start, end = time.start.isoformat(), time.end.isoformat() if time.end else None
    match time.every:
        case "hour":
            return dg.HourlyPartitionsDefinition(
                f"{start}-00:00", f"{end}-00:00" if end else None, timezone=time.timezone
            )
        case "day":
            return dg.DailyPartitionsDefinition(start, end, timezone=time.timezone)
        case "week":
            weekday = time.start.isoweekday() % 7
            return dg.WeeklyPartitionsDefinition(
                start, end, timezone=time.timezone, day_offset=weekday
            )
        case "month":
            return dg.MonthlyPartitionsDefinition(start, end, timezone=time.timezone)
