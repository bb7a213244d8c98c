"""Which partitions an asset has: of time, of named values, of both, or registered as they come."""

from data_platform.plan.partitions.agreement import alike, disagreement, window_trouble
from data_platform.plan.partitions.kinds import PARAMETERS, TIME, Dimension, Partitions
from data_platform.plan.partitions.times import LENGTHS, Every, TimePartitions

__all__ = [
    "LENGTHS",
    "PARAMETERS",
    "TIME",
    "Dimension",
    "Every",
    "Partitions",
    "TimePartitions",
    "alike",
    "disagreement",
    "window_trouble",
]
