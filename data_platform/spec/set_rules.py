"""Rules that judge all rows of a partition together, or several partitions: they fail or warn.

Compiled by `plan.set_checks`.
"""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from data_platform.spec.rule_model import RuleModel
from data_platform.spec.thresholds import Count, Distance
from data_platform.spec.values import Expression, FunctionName, Names, Reference
from data_platform.spec.wording import problem


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


SetRule = Unique | RowCount | Reconcile | PythonRule
