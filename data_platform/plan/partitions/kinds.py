"""The partitions of an asset: of time, of named values, of both, or registered as they come.

A key of one dimension is its value; of two, both in the order of their names with `|` between, as
Dagster writes it. The dimension of time is called `Time`: in capitals it comes first, so that keys
sort as their times do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from data_platform.plan.naming import names_folder
from data_platform.plan.partitions.times import TimePartitions

PARAMETERS: Mapping[str, str] = {
    "partition_key": "VARCHAR",
    "partition_start": "TIMESTAMP",
    "partition_end": "TIMESTAMP",
}
"""Bind parameters of partitions of time and their types; times are those of the partitions' zone,
without a zone.

Those of the run's configuration are none: they become variables (`plan.parameters`).
"""
TIME = "Time"
"""The name of the dimension of time."""
BETWEEN = "|"
"""Stands between the values of a key's dimensions."""


@dataclass(frozen=True)
class Dimension:
    """Partitions by named values.

    Attributes:
        name: of the dimension, and of the bind parameter that is its value.
        column: of a source's rows, whose value tells which partition a row is of.
        values: all that there are, in the order of the language.
    """

    name: str
    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Partitions:
    """Which partitions an asset has.

    Attributes:
        time: of time; None where they aren't.
        by: of named values, by the dimensions' names; at most two dimensions in all.
        dynamic: the name under which keys are registered in Dagster; then there is nothing else.
    """

    time: TimePartitions | None = None
    by: tuple[Dimension, ...] = ()
    dynamic: str | None = None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The names of the dimensions, in the order of a key."""
        return (*((TIME,) if self.time else ()), *sorted(one.name for one in self.by))

    @property
    def cut(self) -> str:
        """How rows are parted, wherever the first partition begins and the last one ends."""
        time = self.time
        weekday = time.start.weekday() if time and time.every == "week" else ""
        clock = f"{time.every} {time.timezone} {weekday}" if time else ""
        return f"{clock}{self.by}{self.dynamic}"

    @property
    def timezone(self) -> str:
        """In which times without a zone are meant."""
        return self.time.timezone if self.time else "UTC"

    @property
    def timed(self) -> TimePartitions:
        """Those of time, for who knows that there are some."""
        if self.time is None:
            raise AssertionError(self)
        return self.time

    @property
    def first_keys(self) -> list[str]:
        """The keys that exist first: of time the earliest, with each value."""
        return self._combined([self.time.first_key] if self.time else [])

    def values_of(self, key: str) -> Mapping[str, str]:
        """The value of each dimension, by its name."""
        names = self.dimensions
        return dict(zip(names, key.split(BETWEEN, len(names) - 1), strict=True))

    def named_values(self, key: str) -> dict[str, str]:
        """The values of the dimensions that aren't of time."""
        if not self.by:
            return {}
        values = self.values_of(key)
        return {one.name: values[one.name] for one in self.by}

    def time_key(self, key: str) -> str:
        """The part of a key that tells the time."""
        return self.values_of(key)[TIME]

    def window(self, key: str) -> tuple[datetime, datetime]:
        """The half-open span of a partition of time as aware times in UTC: `start <= t < end`."""
        return self.timed.window(self.time_key(key))

    def local_window(self, key: str) -> tuple[datetime, datetime]:
        """The same span as times of the partitions' own zone, without a zone."""
        return self.timed.local_window(self.time_key(key))

    @property
    def binds(self) -> Mapping[str, str]:
        """The names by which SQL asks for a partition's values, and their types in DuckDB."""
        own = PARAMETERS if self.time else {"partition_key": PARAMETERS["partition_key"]}
        return {**own, **{one.name: "VARCHAR" for one in self.by}}

    def bound(self, key: str) -> dict[str, str | datetime]:
        """The values of `binds`; times are those of the partitions' zone, without a zone."""
        values: dict[str, str | datetime] = {"partition_key": key}
        if self.time is not None:
            values["partition_start"], values["partition_end"] = self.local_window(key)
        return {**values, **self.named_values(key)}

    def due(self, now: datetime, registered: Sequence[str] = ()) -> list[str]:
        """The keys of all partitions that can be made.

        Args:
            now: aware; those of time must be over.
            registered: the keys that there are, where they are dynamic.
        """
        if self.dynamic is not None:
            return list(registered)
        return self._combined(self.time.due(now) if self.time else [])

    def within(self, first: str | None, end: str | None, now: datetime) -> list[str]:
        """The keys of the times that are over and lie in a range, with each value.

        Args:
            first: a key of time or a local day, included; None means from the first.
            end: a key of time or a local day, not included; None means to the newest.
            now: aware.
        """
        return self._combined(self.timed.within(first, end, now))

    def newest_due(self, now: datetime, registered: Sequence[str] = ()) -> list[str]:
        """The keys of the newest time that is over; all where they aren't of time."""
        if self.dynamic is not None:
            return list(registered)
        newest = self.time.newest_due(now) if self.time else None
        return self._combined([newest] if newest else [])

    def has_ended(self, now: datetime) -> bool:
        """Whether the last time was over a whole partition or more before `now` (aware)."""
        return self.time is not None and self.time.has_ended(now)

    def trailing(self, key: str, count: int) -> list[str]:
        """The keys of the `count` times that end with that of `key`, with its other values."""
        values = self.values_of(key)
        return [
            self._key({**values, TIME: time}) for time in self.timed.trailing(values[TIME], count)
        ]

    def is_key(self, text: str) -> bool:
        """Whether `text` is the key of a partition, due or not."""
        if self.dynamic is not None:
            return bool(text) and text.isprintable() and names_folder(text)
        if text.count(BETWEEN) != len(self.dimensions) - 1:
            return False
        values = self.values_of(text)
        return (self.time is None or self.time.is_key(values[TIME])) and all(
            values[one.name] in one.values for one in self.by
        )

    def contiguous(self, keys: Iterable[str]) -> list[Sequence[str]]:
        """The keys in order, split so that each part can be one run of Dagster.

        A run covers all combinations of a range of each dimension; registered keys have no order,
        so each goes by itself.
        """
        wanted = sorted(set(keys))
        if self.dynamic is not None:
            return [[key] for key in wanted]
        if len(self.dimensions) == 1:
            return self._ranges(self.dimensions[0], wanted)
        inner, outer = self.dimensions
        held: dict[str, list[str]] = {}
        for key in wanted:
            values = self.values_of(key)
            held.setdefault(values[outer], []).append(values[inner])
        blocks: list[list[str]] = []
        for part in self._ranges(outer, held):
            for value in part:
                if blocks and blocks[-1][-1] in part and held[blocks[-1][-1]] == held[value]:
                    blocks[-1].append(value)
                else:
                    blocks.append([value])
        return [
            [self._key({inner: one, outer: other}) for one in part for other in block]
            for block in blocks
            for part in self._ranges(inner, held[block[0]])
        ]

    def reads(
        self,
        reader: "Partitions",
        key: str,
        published: Iterable[str],
        last: int | None = None,
    ) -> list[str]:
        """The own keys that belong to a partition of another asset, which reads them.

        Dimensions that both have agree: named values are equal, times overlap, so that a month has
        its days, and a day its month. Of a dimension that the reader lacks all values are read; of
        time, and of what is registered, those that are published.

        Args:
            reader: the partitions of who reads.
            key: of it.
            published: the own keys that are.
            last: the length of a window of time that ends with the partition, counted in the
                shorter partitions of both; None means no window.
        """
        if self.dynamic is not None or reader.dynamic is not None:
            return [key] if self.dynamic == reader.dynamic else list(published)
        values = reader.values_of(key)
        wanted: dict[str, Sequence[str]] = {
            one.name: [values[one.name]] if one.name in values else one.values for one in self.by
        }
        if self.time is not None:
            if reader.time is None:
                have = (self.values_of(one) for one in published)
                fits = [one for one in have if all(one[n] in wanted[n] for n in wanted)]
                return [self._key(one) for one in fits]
            wanted[TIME] = (
                self.time.overlapping(*reader.window(key))
                if last is None
                else self.time.in_window(reader.time, reader.time_key(key), last)
            )
        return [
            BETWEEN.join(parts) for parts in product(*(wanted[name] for name in self.dimensions))
        ]

    def _ranges(self, dimension: str, values: Iterable[str]) -> list[Sequence[str]]:
        """Values of one dimension in its order, split where one is missing between two."""
        if dimension == TIME:
            return self.timed.contiguous(values)
        known = next(one.values for one in self.by if one.name == dimension)
        ranges: list[list[str]] = []
        wanted = set(values)
        for before, value in zip((None, *known), known, strict=False):
            if value not in wanted:
                continue
            if ranges and ranges[-1][-1] == before:
                ranges[-1].append(value)
            else:
                ranges.append([value])
        return list(ranges)

    def _combined(self, times: Sequence[str]) -> list[str]:
        """All keys of some times."""
        parts: dict[str, Sequence[str]] = {one.name: one.values for one in self.by}
        if self.time is not None:
            parts[TIME] = times
        return [BETWEEN.join(values) for values in product(*(parts[n] for n in self.dimensions))]

    def _key(self, values: Mapping[str, str]) -> str:
        return BETWEEN.join(values[name] for name in self.dimensions)
