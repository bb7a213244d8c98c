"""Which partitions an asset has: of time, of named values, of both, or registered as they come."""

from data_platform.plan.partitions.kinds import Dimension, Partitions, daily
from data_platform.plan.partitions.times import Every, TimePartitions

__all__ = ["Dimension", "Every", "Partitions", "TimePartitions", "daily"]
