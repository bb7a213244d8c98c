"""Checks that compare a value of each partition with what is wanted, or with what was before.

Made by `plan.checks.value_checks` and `plan.checks.sql_checks` of rules; members of
`plan.checks.kinds.Check`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from data_platform.errors import Location
from data_platform.plan.checks.effects import Effect, OnEmpty
from data_platform.plan.keys import Key
from data_platform.plan.partitions import Partitions
from data_platform.spec.set_rules import DriftMetric
from data_platform.spec.sql_rule import Operator

Scalar = bool | int | float | str | None


@dataclass(frozen=True)
class SqlCheck:
    """A person's statement gives one value, which compares as it should.

    Attributes:
        name: of the check in Dagster, unique within the asset.
        effect: what a value that doesn't compare does.
        sql: for one partition, over `plan.checks.sql_checks.TABLE` and the relations of other
        assets. range_sql: for many partitions at once, where there is such a form. total: whether
        that form is a total by partition, which is the same for all that have no
            row: they have no group, and are asked for by themselves.
        reads: the relations of other assets, and whether each is read by partition.
        sources: the keys of other assets.
        parameters: bind parameters that it names.
        operator: by which the value is compared.
        expected: with what: one, two for `between`, some for `in`.
        partitions: of the asset.
    """

    name: str
    effect: Effect
    sql: str
    range_sql: str | None
    total: bool
    reads: Mapping[str, bool]
    sources: tuple[Key, ...]
    parameters: tuple[str, ...]
    operator: Operator
    expected: tuple[Scalar, ...]
    partitions: Partitions | None = field(repr=False)
    location: Location = field(repr=False)
    description: str | None = None
    kind: str = "sql"
    masked: bool = field(default=False, repr=False)
    """Whether its value tells of a person; by `plan.lineage.masking`."""
    personal: bool = field(default=False, repr=False)
    """Whether it reads what tells of a person, so that DuckDB's words may hold a value of it."""
    tuned: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True)
class FreshnessCheck:
    """The newest value of a column is at most `max_age` old at the end of its partition."""

    name: str
    effect: Effect
    column: str
    max_age: timedelta
    partitions: Partitions | None = field(repr=False)
    location: Location = field(repr=False)
    description: str | None = None
    on_empty: OnEmpty = "pass"
    kind: str = "freshness"
    masked: bool = field(default=False, repr=False)
    """Whether the column tells of a person, so that its value is in no message."""
    tuned: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that it reads."""
        return (self.column,)


@dataclass(frozen=True)
class DriftCheck:
    """A figure of a partition is near to those of the partitions before it.

    Before are those of an earlier time and the same named values; without time, what was published
    of the partition before.

    Attributes:
        column: None for `row_count`.
        against: how many earlier ones.
        max_change_percentage: of their mean; None where standard deviations count.
        max_z_score: standard deviations from their mean.
        partitions: of the asset.
    """

    name: str
    effect: Effect
    metric: DriftMetric
    column: str | None
    against: int
    max_change_percentage: float | None
    max_z_score: float | None
    partitions: Partitions | None = field(repr=False)
    location: Location = field(repr=False)
    description: str | None = None
    on_empty: OnEmpty = "pass"
    kind: str = "drift"
    masked: bool = field(default=False, repr=False)
    """Whether the figure tells of a person, so that it is in no message and not kept."""
    tuned: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def figure(self) -> str:
        """What is measured, as it is kept with what was published."""
        return f"{self.metric} of {self.column}" if self.column else self.metric

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that it reads."""
        return (self.column,) if self.column else ()


@dataclass(frozen=True)
class ScoreCheck:
    """Of all pairs of a row that came in and a rule, enough are right."""

    name: str
    effect: Effect
    rules: tuple[str, ...]
    min_score: float
    location: Location = field(repr=False)
    description: str | None = None
    on_empty: OnEmpty = "pass"
    kind: str = "score"
    tuned: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


ValueCheck = SqlCheck | FreshnessCheck | DriftCheck | ScoreCheck
"""Judged by a value."""
