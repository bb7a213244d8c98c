"""Rules that a row keeps or breaks by itself: these alone can quarantine.

Compiled by `plan.checks.row_checks`.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, Tag, model_validator

from data_platform.spec.model import Model
from data_platform.spec.rule_model import Bound, ColumnReference, Pattern, RuleModel, Scalar
from data_platform.spec.thresholds import Percentage
from data_platform.spec.values import Expression, Names, Reference, either
from data_platform.spec.wording import problem


class NotNull(RuleModel):
    """Nulls of each column are at most a percentage of the rows that came in."""

    short_field: ClassVar[str | None] = "columns"

    kind: Literal["not_null"]
    """The rule."""
    columns: Names
    """Each is looked at by itself."""
    max_null_percentage: Percentage = 0
    """Of the rows that came in."""


class Range(RuleModel):
    """Every value lies within, ends included; NaN is outside."""

    kind: Literal["range"]
    """The rule."""
    column: str
    """The column."""
    min: Bound | None = None
    """The least value; a number, or a date or time as text. None means no bound."""
    max: Bound | None = None
    """The greatest value; a number, or a date or time as text. None means no bound."""
    nulls: Literal["ignore", "violation"] = "ignore"
    """Whether NULL is outside; `ignore` leaves that to not_null."""

    @model_validator(mode="after")
    def _has_a_bound(self) -> "Range":
        if self.min is None and self.max is None:
            raise problem("range", "a range needs min, max or both")
        return self


class AcceptedValues(RuleModel):
    """Every value is one of a list; NULL passes."""

    kind: Literal["accepted_values"]
    """The rule."""
    column: str
    """The column."""
    values: list[Scalar] = Field(min_length=1)
    """All values that are right."""


class Matches(RuleModel):
    """Every value matches a regular expression as a whole; NULL passes."""

    kind: Literal["matches"]
    """The rule."""
    column: str
    """The column, of text."""
    pattern: Pattern
    """What RE2 understands; it is matched against the whole value."""


class ExpressionRule(RuleModel):
    """A condition is true on every row; NULL is not."""

    short_field: ClassVar[str | None] = "condition"

    kind: Literal["expression"]
    """The rule."""
    condition: Expression
    """SQL over the columns of one row."""


class ReferencedColumns(Model):
    """The other side of a key of several columns."""

    asset: Reference
    """The other asset."""
    columns: Names
    """Its columns, in the order of this side's."""


References = Annotated[
    Annotated[ColumnReference, Tag("text")] | Annotated[ReferencedColumns, Tag("mapping")],
    *either(
        (),
        mapping="{asset: staging.shops, columns: [country, id]}",
        text="a column such as staging.shops.id",
    ),
]


class ForeignKey(RuleModel):
    """Every value is found in the whole upstream; NULL passes."""

    kind: Literal["foreign_key"]
    """The rule."""
    column: str | None = None
    """The column that refers."""
    columns: Names | None = None
    """The columns that refer together, instead of `column`."""
    references: References
    """`layer.name.column`, or `{asset, columns}` for a key of several columns."""

    @model_validator(mode="after")
    def _sides_match(self) -> "ForeignKey":
        if (self.column is None) == (self.columns is None):
            raise problem("foreign_key", "a foreign_key has either column or columns")
        if len(self.own_columns) != len(self.referenced_columns):
            raise problem("foreign_key", "both sides of a foreign_key have as many columns")
        return self

    @property
    def own_columns(self) -> tuple[str, ...]:
        """The columns of this asset."""
        return (self.column,) if self.column else tuple(self.columns or ())

    @property
    def referenced_asset(self) -> str:
        """The reference of the other asset."""
        if isinstance(self.references, ReferencedColumns):
            return self.references.asset
        return self.references.rpartition(".")[0]

    @property
    def referenced_columns(self) -> tuple[str, ...]:
        """The columns of the other asset, in the order of `own_columns`."""
        if isinstance(self.references, ReferencedColumns):
            return tuple(self.references.columns)
        return (self.references.rpartition(".")[2],)


RowRule = NotNull | Range | AcceptedValues | Matches | ExpressionRule | ForeignKey
