"""Whether one asset can read another by partition: what of their partitions must agree.

Called by `plan.declared` where an asset is resolved.
"""

from data_platform.plan.partitions.kinds import Partitions
from data_platform.plan.partitions.times import TimePartitions


def alike(reader: Partitions, upstream: Partitions) -> bool:
    """Whether both have the same keys, but for where these begin and end."""
    return (
        reader.dynamic == upstream.dynamic
        and _values(reader) == _values(upstream)
        and _clock(reader.time) == _clock(upstream.time)
    )


def disagreement(reader: Partitions, upstream: Partitions) -> str | None:
    """Why no partition of the upstream belongs to one of the reader; None where some do."""
    if reader.dynamic and upstream.dynamic and reader.dynamic != upstream.dynamic:
        return (
            f"its partitions are registered as {upstream.dynamic}, those of this asset as "
            f"{reader.dynamic}: nothing tells which belong together"
        )
    own, other = _values(reader), _values(upstream)
    for name in sorted(own.keys() & other.keys()):
        if own[name] != other[name]:
            return (
                f"its {name} is one of {', '.join(other[name])}, that of this asset one of "
                f"{', '.join(own[name])}: one dimension has the same values in the same order "
                "everywhere; give it another name where it means something else"
            )
    if reader.time is None or upstream.time is None:
        return None
    return _times_apart(reader.time, upstream.time)


def window_trouble(reader: Partitions, upstream: Partitions) -> str | None:
    """Why there is no window over the last partitions; None where there is one."""
    if upstream.time is None:
        return "it has no partitions of time that `last` could count"
    if reader.time is None:
        return "this asset has no partitions of time, with which `last` could end"
    return disagreement(reader, upstream)


def _values(partitions: Partitions) -> dict[str, tuple[str, ...]]:
    return {one.name: one.values for one in partitions.by}


def _clock(time: TimePartitions | None) -> tuple[object, ...]:
    if time is None:
        return ()
    return time.every, time.timezone, time.start.weekday() if time.every == "week" else None


def _times_apart(reader: TimePartitions, upstream: TimePartitions) -> str | None:
    if reader.timezone != upstream.timezone:
        return (
            f"its partitions are of {upstream.timezone}, those of this asset of "
            f"{reader.timezone}: a {reader.every} isn't the same time in both"
        )
    lengths = {reader.every, upstream.every}
    if lengths == {"week", "month"}:
        return f"its partitions are {upstream.every}s: weeks and months don't end together"
    if lengths == {"week"} and reader.start.weekday() != upstream.start.weekday():
        return f"its weeks begin on {upstream.start:%A}s, those of this asset on {reader.start:%A}s"
    return None
