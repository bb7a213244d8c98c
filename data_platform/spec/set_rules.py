"""Rules that judge all rows of a partition together, or several partitions: they fail or warn.

Compiled by `plan.checks.set_checks`.
"""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from data_platform.spec.rule_model import RuleModel
from data_platform.spec.sql_rule import SqlRule
from data_platform.spec.thresholds import Count, Distance, Fraction
from data_platform.spec.times import Duration
from data_platform.spec.values import Expression, FunctionName, Names, Reference
from data_platform.spec.wording import problem

FEWEST_EARLIER = 5
"""Of fewer figures nothing is said."""
DriftMetric = Literal["mean", "stddev", "null_percentage", "distinct", "row_count"]


class Unique(RuleModel):
    """Rows beyond the first of each key are at most a number."""

    short_field: ClassVar[str | None] = "columns"

    kind: Literal["unique"]
    """The rule."""
    columns: Names
    """One key together."""
    max_duplicates: Count = 0
    """Rows beyond the first of each key."""
    nulls: Literal["ignore", "count"] = "ignore"
    """`ignore` leaves out keys with a NULL part."""
    scope: Literal["partition", "asset"] = "partition"
    """Whether a key is unique in its partition, or in the whole asset."""


class RowCount(RuleModel):
    """The number of rows that would be published lies within, ends included."""

    kind: Literal["row_count"]
    """The rule."""
    min_rows: Count | None = None
    """The fewest rows of a partition; None means no bound."""
    max_rows: Count | None = None
    """The most rows of a partition; None means no bound."""

    @model_validator(mode="after")
    def _has_a_bound(self) -> "RowCount":
        if self.min_rows is None and self.max_rows is None:
            raise problem("row_count", "a row_count needs min_rows, max_rows or both")
        return self


class Freshness(RuleModel):
    """The newest value of a column is at most so old, seen from the end of its partition."""

    kind: Literal["freshness"]
    """The rule."""
    column: str
    """The column, of dates or times."""
    max_age: Duration
    """Before now, or before the end of the partition where that is earlier."""


class Drift(RuleModel):
    """A figure of a partition is near to those of the partitions before it."""

    kind: Literal["drift"]
    """The rule."""
    metric: DriftMetric
    """What is compared."""
    column: str | None = None
    """The column; `row_count` has none."""
    against: int = Field(default=28, ge=FEWEST_EARLIER, le=1000)
    """How many earlier partitions, by key; fewer than five of them judge nothing."""
    max_change_percentage: Distance | None = None
    """By how much the figure may differ from their mean, in percent of it."""
    max_z_score: Distance | None = None
    """By how many of their standard deviations the figure may differ from their mean."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Drift":
        if (self.max_change_percentage is None) == (self.max_z_score is None):
            raise problem("drift", "a drift has either max_change_percentage or max_z_score")
        if self.metric == "row_count" and self.column is not None:
            raise problem("drift", "row_count counts rows: a drift of it has no column")
        if self.metric != "row_count" and self.column is None:
            raise problem("drift", f"a drift of {self.metric} needs a column")
        return self


class Score(RuleModel):
    """Of all pairs of a row and a rule, enough are right; each rule keeps its own effect."""

    kind: Literal["score"]
    """The rule."""
    rules: Names
    """Names of row-level rules of the asset."""
    min_score: Fraction = 0.95
    """The least share of pairs that are right, from 0 to 1."""


class Reconcile(RuleModel):
    """An aggregate gives the same here and in another asset, partition by partition."""

    kind: Literal["reconcile"]
    """The rule."""
    with_: Reference = Field(alias="with")
    """The other asset."""
    expression: Expression
    """An aggregate over both sides, such as `sum(sales_value)`."""
    with_expression: Expression | None = None
    """The aggregate over the other side; None means the same expression."""
    tolerance: Distance = 0
    """By how much the sides may differ, in the aggregate's unit."""
    including_quarantine: bool = False
    """Whether this side's quarantined rows count too."""


class PythonRule(RuleModel):
    """A function judges the rows that would be published of a partition."""

    short_field: ClassVar[str | None] = "function"

    kind: Literal["python"]
    """The rule."""
    function: FunctionName
    """`module:function`; a module beside pipeline.yaml, or an installed one. It gets the rows and
    returns true or false, results by name, or a list of `Result`."""


SetRule = Unique | RowCount | SqlRule | Freshness | Drift | Score | Reconcile | PythonRule
