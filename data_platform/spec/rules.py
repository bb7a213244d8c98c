"""Quality rules: what must be true of an asset before it is published, one model a kind.

In YAML each is a mapping with a single key, its kind. `quality` turns each into audit SQL.
"""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from data_platform.spec.model import Model
from data_platform.spec.single_key import Keyed, single_key_union
from data_platform.spec.thresholds import Count, Distance, Percentage
from data_platform.spec.values import (
    Expression,
    FunctionName,
    Names,
    OnViolation,
    Reference,
    either,
)
from data_platform.spec.wording import problem

_CHECK_NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]*$"
_COLUMN_PATTERN = r"^([a-z][a-z0-9_]*\.)?(raw|staging|analytics)\.[a-z][a-z0-9_]*\.[^.\s]+$"


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise problem("scalar", "expected a text, a number, true or false; found {found}", value)
    return value


def _bound(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise problem("bound", "expected a number, or a date or time as text; found {found}", value)
    return value


def _check_name(value: str) -> str:
    if not re.fullmatch(_CHECK_NAME_PATTERN, value):
        template = "{found} can't be a check's name: letters, digits and _, a letter first"
        raise problem("name", template, value)
    return value


def _referenced_column(value: str) -> str:
    if not re.fullmatch(_COLUMN_PATTERN, value):
        template = "{found} references no column: <layer>.<name>.<column>, such as staging.shops.id"
        raise problem("reference", template, value)
    return value


Scalar = Annotated[bool | int | float | str, BeforeValidator(_scalar)]
Bound = Annotated[int | float | str, BeforeValidator(_bound)]
CheckName = Annotated[
    str,
    AfterValidator(_check_name),
    WithJsonSchema({"type": "string", "pattern": _CHECK_NAME_PATTERN}),
]
ColumnReference = Annotated[
    str,
    AfterValidator(_referenced_column),
    WithJsonSchema({"type": "string", "pattern": _COLUMN_PATTERN}),
]


class RuleModel(Keyed):
    """What every rule may say."""

    name: CheckName | None = None
    """The check's name; None means the kind and its columns."""
    description: str | None = None
    """What the rule means, for who reads a failed check."""
    on_violation: OnViolation | None = None
    """None means the asset's; `quarantine` is for row-level rules only."""
    on_empty: Literal["pass", "warn", "fail"] = "pass"
    """What an empty partition means to this rule."""


class NotNull(RuleModel):
    """Nulls of each column are at most a percentage of the rows that came in."""

    short_field: ClassVar[str | None] = "columns"

    kind: Literal["not_null"]
    """The rule."""
    columns: Names
    """Each is looked at by itself."""
    max_null_percentage: Percentage = 0
    """Of the rows that came in."""


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


AnyRule = (
    NotNull
    | Unique
    | Range
    | AcceptedValues
    | ExpressionRule
    | ForeignKey
    | RowCount
    | Reconcile
    | PythonRule
)
Rule = Annotated[AnyRule, *single_key_union("rule", AnyRule)]
