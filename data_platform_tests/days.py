"""Partitions of days, as most tests have them."""

from datetime import date

from data_platform.plan.partitions import Partitions, TimePartitions


def daily(start: date, end: date | None, timezone: str) -> Partitions:
    """One partition a day."""
    return Partitions(TimePartitions("day", start, end, timezone))
