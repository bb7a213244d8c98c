"""`partitions`: how an asset is divided, by time, by named values, or by keys as they come.

Used by `spec.asset` and `spec.pipeline`; resolved by `plan.declared`.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, Tag, model_validator

from data_platform.spec.model import Model
from data_platform.spec.parameters import ParameterName
from data_platform.spec.times import Date, TimeZone
from data_platform.spec.values import Name, either
from data_platform.spec.wording import problem

Value = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^|\[\],/\\\x00-\x1f]+$")]
"""Of a dimension; what separates keys from one another, or folders, isn't in it."""


class Values(Model):
    """Partitions by the values of a column."""

    column: str | None = None
    """Of a source's rows, whose value tells which partition a row is of; None means one of the
    dimension's name."""
    values: Annotated[list[Value], Field(min_length=1)]
    """All that there are."""

    @model_validator(mode="after")
    def _are_there_once(self) -> "Values":
        twice = next((one for one in self.values if self.values.count(one) > 1), None)
        if twice is not None:
            raise problem("partitions", f"the value {twice!r} is there twice")
        return self


class Divided(Model):
    """One partition an hour, a day, a week, a month; one a value; or both."""

    every: Literal["hour", "day", "week", "month"] | None = None
    """The length of a partition of time."""
    start: Date | None = None
    """The first day; weeks begin at its weekday, months on their first day."""
    end: Date | None = None
    """The day after the last partition; None means there is no end."""
    timezone: TimeZone = "UTC"
    """Where hours, days and months begin, and what times without a zone mean."""
    by: dict[ParameterName, Values] = Field(default_factory=dict)
    """Named values, by the dimension that they are of; at most two dimensions, time included.
    SQL asks for the value of a partition by the dimension's name, as `:region`."""
    dynamic: Name | None = None
    """The name under which keys are registered in Dagster, by a sensor or by hand; alone."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Divided":
        timed = self.model_fields_set & {"start", "end", "timezone"}
        if self.dynamic is not None and (self.every or self.by or timed):
            raise problem("partitions", "`dynamic` partitions are registered as they come; leave "
                          "the other keys out")  # fmt: skip
        if self.dynamic is None and self.every is None and not self.by:
            raise problem("partitions", "partitions have `every: hour|day|week|month` and "
                          "`start`, or `by` with named values, or `dynamic: <name>`")  # fmt: skip
        if self.every is not None and self.start is None:
            raise problem("partitions", "`every` needs `start`, the first day")
        if self.every is None and timed:
            raise problem("partitions", f"`{min(timed)}` goes with `every`")
        if len(self.by) + (self.every is not None) > 2:  # noqa: PLR2004
            raise problem("partitions", "there are at most two dimensions, time included: that is "
                          "what Dagster can show")  # fmt: skip
        self._check_days()
        return self

    def _check_days(self) -> None:
        if self.start is None:
            return
        if self.end is not None and self.end <= self.start:
            raise problem("partitions", "`end` must be after `start`")
        if self.every == "month":
            for name, day in (("start", self.start), ("end", self.end)):
                if day is not None and day.day != 1:
                    raise problem("partitions", f"`{name}` is {day}: months begin on their first "
                                  f"day, as {day.replace(day=1)}")  # fmt: skip
        if self.every == "week" and self.end and (self.end - self.start).days % 7:
            raise problem("partitions", f"`end` is {self.end}, no whole weeks after `start`: "
                          f"{self.start:%A}s are")  # fmt: skip


Partitions = Annotated[
    Annotated[Literal["none"], Tag("text")] | Annotated[Divided, Tag("mapping")],
    *either(("none",), mapping="{every: day, start: 2017-01-01}"),
]
