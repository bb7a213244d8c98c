"""When an asset runs by itself, when the sources of a pipeline do, and how old data may be.

Used by `spec.asset` and `spec.pipeline`; resolved by `plan`, done by `automation`.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, Tag, field_validator, model_validator

from data_platform.spec.model import Model
from data_platform.spec.times import Cron, Duration, TimeZone, duration_words, shortest_gap
from data_platform.spec.values import either
from data_platform.spec.wording import problem

Preset = Literal["eager", "on_missing", "freshness"]
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


class AutomationBlock(Model):
    """A preset, or the ticks of a cron, with what must be true besides."""

    when: Preset | None = None
    """What starts a run; or `cron`."""
    cron: Cron | None = None
    """Five fields, or @hourly, @daily, @weekly, @monthly."""
    timezone: TimeZone = "UTC"
    """Of the cron's hours and days."""
    catchup: bool = False
    """Whether missing history is filled, oldest first, in steps of `backfill.partitions_per_run`
    (else 30)."""
    depends_on_past: bool = False
    """Whether a partition waits until the one before it is published."""
    canary: list[str] = Field(default_factory=list)
    """Values of a dimension, or keys of partitions, that go before all others."""

    @model_validator(mode="after")
    def _is_one_of(self) -> "AutomationBlock":
        if (self.when is None) == (self.cron is None):
            text = "automation has either `when: eager|on_missing|freshness` or `cron`"
            raise problem("automation", text)
        if self.cron is None and "timezone" in self.model_fields_set:
            raise problem("automation", "`timezone` goes with `cron`")
        return self


Automation = Annotated[
    Annotated[Literal["eager", "on_missing", "freshness", "manual"], Tag("text")]
    | Annotated[AutomationBlock, Tag("mapping")],
    *either(
        ("eager", "on_missing", "freshness", "manual"),
        mapping='{cron: "0 6 * * *"}` or `{when: eager, catchup: true}',
    ),
]


class Schedule(Model):
    """When the sources of a pipeline run."""

    cron: Cron | None = None
    """Five fields, or @hourly, @daily, @weekly, @monthly; or `every`."""
    every: Duration | None = None
    """How long from one run to the next, counted from each midnight."""
    timezone: TimeZone = "UTC"
    """Of the hours and days."""
    catchup: bool = False
    """Whether partitions that were due at the last tick and are missing are filled, in steps."""

    @field_validator("every")
    @classmethod
    def _fits_a_day(cls, every: timedelta | None) -> timedelta | None:
        if every is not None and (every % _MINUTE or not _MINUTE <= every <= _DAY):
            found = duration_words(every)
            text = f"`every` is whole minutes, up to 1d, not {found}; longer is said by a `cron`"
            raise problem("schedule", text)
        return every

    @model_validator(mode="after")
    def _is_one_of(self) -> "Schedule":
        if (self.cron is None) == (self.every is None):
            raise problem("schedule", "a schedule has either `cron` or `every`")
        return self

    @property
    def crons(self) -> tuple[str, ...]:
        """The ticks as cron expressions."""
        if self.cron is not None:
            return (self.cron,)
        minutes = int((self.every or _DAY) / _MINUTE)
        # What each hour has alike is written so, since it is to come twice where an hour does.
        if minutes <= 60 and 60 % minutes == 0:  # noqa: PLR2004
            return (f"{'0' if minutes == 60 else f'*/{minutes}'} * * * *",)  # noqa: PLR2004
        hours: dict[int, list[str]] = {}
        for at in range(0, 24 * 60, minutes):
            hours.setdefault(at % 60, []).append(str(at // 60))
        return tuple(f"{minute} {','.join(found)} * * *" for minute, found in hours.items())


class Freshness(Model):
    """How old the newest data may be, or by when it must be there."""

    warn_after: Duration | None = None
    """The age from which the data is late; shorter than fail_after."""
    fail_after: Duration | None = None
    """The age from which the data is stale."""
    deadline: Cron | None = None
    """Cron of the moments by which the data must be there."""
    within: Duration | None = None
    """How long before the deadline it may have been built."""
    timezone: TimeZone = "UTC"
    """Of the deadline's hours and days."""

    @model_validator(mode="after")
    def _is_one_of(self) -> "Freshness":
        if (self.fail_after is None) == (self.deadline is None):
            text = (
                "freshness has either `fail_after` (and `warn_after`), or `deadline` and `within`"
            )
            raise problem("freshness", text)
        if self.deadline is not None and (self.within is None or self.warn_after is not None):
            raise problem("freshness", "a `deadline` goes with `within`, and without `warn_after`")
        if self.deadline is None and self.within is not None:
            raise problem("freshness", "`within` goes with a `deadline`")
        if self.warn_after and self.fail_after and self.warn_after >= self.fail_after:
            raise problem("freshness", "`warn_after` must be shorter than `fail_after`")
        return self

    @model_validator(mode="after")
    def _is_long_enough(self) -> "Freshness":
        """Dagster looks twice a minute, and refuses what is shorter than one."""
        for name in ("warn_after", "fail_after", "within"):
            length = getattr(self, name)
            if length is not None and length < _MINUTE:
                text = f"`{name}` is at least 1m, not {duration_words(length)}"
                raise problem("freshness", text)
        if self.deadline is not None and self.within is not None:
            gap = shortest_gap(self.deadline)
            if self.within > gap:
                text = f"`within` is longer than the {duration_words(gap)} between two deadlines"
                raise problem("freshness", text)
        return self
