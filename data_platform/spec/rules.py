"""Quality rules: what must be true of an asset before it is published, one model a kind.

In YAML each is a mapping with a single key, its kind. `quality` turns each into audit SQL.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from data_platform.spec.single_key import single_key_union
from data_platform.spec.values import Expression, Model, Names, OnViolation, Reference, problem

Scalar = bool | int | float | str


class RuleModel(Model):
    """What every rule may say."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """The check's name; None means the kind and its columns."""
    description: str | None = None
    on_violation: OnViolation | None = None
    """None means the asset's; `quarantine` is for row-level rules only."""
    on_empty: Literal["pass", "warn", "fail"] = "pass"
    """What an empty partition means to this rule."""


class NotNull(RuleModel):
    """Nulls of each column are at most a percentage of the rows that came in."""

    kind: Literal["not_null"]
    columns: Names
    max_null_percentage: float = Field(default=0, ge=0, le=100)

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`[a, b]`."""
        return value if isinstance(value, dict) else {"columns": value}


class Unique(RuleModel):
    """Rows beyond the first of each key are at most a number."""

    kind: Literal["unique"]
    columns: Names
    """One key together."""
    max_duplicates: int = Field(default=0, ge=0)
    nulls: Literal["ignore", "count"] = "ignore"
    """`ignore` leaves out keys with a NULL part."""
    scope: Literal["partition", "asset"] = "partition"

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`[a, b]`."""
        return value if isinstance(value, dict) else {"columns": value}


class Range(RuleModel):
    """Every value lies within, ends included; NaN is outside."""

    kind: Literal["range"]
    column: str
    min: int | float | str | None = None
    max: int | float | str | None = None
    nulls: Literal["ignore", "violation"] = "ignore"

    @model_validator(mode="after")
    def _has_a_bound(self) -> "Range":
        if self.min is None and self.max is None:
            raise problem("range", "a range needs min, max or both")
        return self


class AcceptedValues(RuleModel):
    """Every value is one of a list; NULL passes."""

    kind: Literal["accepted_values"]
    column: str
    values: list[Scalar] = Field(min_length=1)


class ExpressionRule(RuleModel):
    """A condition is true on every row; NULL is not."""

    kind: Literal["expression"]
    condition: Expression

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """A condition."""
        return value if isinstance(value, dict) else {"condition": value}


class ReferencedColumns(Model):
    """The other side of a key of several columns."""

    asset: Reference
    columns: Names


class ForeignKey(RuleModel):
    """Every value is found in the whole upstream; NULL passes."""

    kind: Literal["foreign_key"]
    column: str | None = None
    columns: Names | None = None
    references: str | ReferencedColumns
    """`layer.name.column`, or `{asset, columns}` for a key of several columns."""

    @model_validator(mode="after")
    def _sides_match(self) -> "ForeignKey":
        if (self.column is None) == (self.columns is None):
            raise problem("foreign_key", "a foreign_key has either column or columns")
        if len(self.own_columns) != len(self.referenced_columns):
            raise problem("foreign_key", "both sides of a foreign_key have the same number of columns")
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


class RowCount(RuleModel):
    """The number of rows that would be published lies within, ends included."""

    kind: Literal["row_count"]
    min_rows: int | None = Field(default=None, ge=0)
    max_rows: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _has_a_bound(self) -> "RowCount":
        if self.min_rows is None and self.max_rows is None:
            raise problem("row_count", "a row_count needs min_rows, max_rows or both")
        return self


class Reconcile(RuleModel):
    """An aggregate gives the same here and in another asset, partition by partition."""

    kind: Literal["reconcile"]
    with_: Reference = Field(alias="with")
    expression: Expression
    """An aggregate over both sides, such as `sum(sales_value)`."""
    tolerance: float = Field(default=0, ge=0)
    including_quarantine: bool = False
    """Whether this side's quarantined rows count too."""


AnyRule = NotNull | Unique | Range | AcceptedValues | ExpressionRule | ForeignKey | RowCount | Reconcile
Rule = Annotated[AnyRule, *single_key_union("rule", AnyRule)]
