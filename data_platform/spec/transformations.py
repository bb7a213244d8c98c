"""Transformations: what a staging asset may do to its rows, one model a kind.

In YAML each is a mapping with a single key, its kind. `plan.steps` compiles each to one named step.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from data_platform.spec.single_key import single_key_union
from data_platform.spec.values import Expression, Model, Names, Reference


class ConvertType(Model):
    """How one column is converted."""

    type: str
    """SQL's name of the type, or `datetime`, `numeric`, `string`."""
    format: str | None = None
    """How text is read as a time, in strptime's notation; None means ISO 8601."""
    on_error: Literal["violation", "set_null", "fail"] = "violation"
    """A value that doesn't convert exactly: a violation under the asset's `on_violation`, a NULL, or the end."""


class ConvertTypes(Model):
    """Convert columns exactly; what doesn't convert is a violation."""

    kind: Literal["convert_types"]
    columns: dict[str, ConvertType] = Field(min_length=1)

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`{column: type}` or `{column: {type, format, on_error}}`."""
        if not isinstance(value, dict):
            return value
        return {"columns": {name: {"type": entry} if isinstance(entry, str) else entry for name, entry in value.items()}}


class AddColumns(Model):
    """Add columns, or replace them, by expressions over the columns before this step."""

    kind: Literal["add_columns"]
    columns: dict[str, Expression] = Field(min_length=1)

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`{name: expression}`."""
        return {"columns": value}


class RenameColumns(Model):
    """Give columns new names: `{old: new}`."""

    kind: Literal["rename_columns"]
    columns: dict[str, str] = Field(min_length=1)

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`{old: new}`."""
        return {"columns": value}


class DropColumns(Model):
    """Leave columns out. A column that isn't there is no error."""

    kind: Literal["drop_columns"]
    columns: Names

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`[a, b]`."""
        return {"columns": value}


class SelectColumns(Model):
    """Keep these columns only, in this order."""

    kind: Literal["select_columns"]
    columns: Names

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`[a, b]`."""
        return {"columns": value}


class FilterRows(Model):
    """Keep the rows for which the condition is true; NULL is not."""

    kind: Literal["filter_rows"]
    condition: Expression

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """A condition."""
        return value if isinstance(value, dict) else {"condition": value}


class Deduplicate(Model):
    """Keep one row of each key."""

    kind: Literal["deduplicate"]
    by: Names
    order_by: Names
    """Columns, each optionally with `asc` or `desc`."""
    keep: Literal["first", "last"] = "last"


class Aggregate(Model):
    """One row a group."""

    kind: Literal["aggregate"]
    group_by: Names
    columns: dict[str, Expression] = Field(min_length=1)
    """`{new: expression}`, such as `{revenue: sum(sales_value)}`."""


class Join(Model):
    """Add the columns of another asset by key."""

    kind: Literal["join"]
    with_: Reference = Field(alias="with")
    on: Names
    """Columns that both sides have."""
    how: Literal["left", "inner", "right", "full", "semi", "anti"] = "left"
    columns: Names | None = None
    """Of the other side; None means all that this side doesn't have."""


class Union(Model):
    """Append the rows of other assets, columns matched by name."""

    kind: Literal["union"]
    with_: Annotated[Names, Field(alias="with")]

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`{with: [a, b]}` or the references alone."""
        return value if isinstance(value, dict) else {"with": value}


class FillNulls(Model):
    """Put a value where a column is NULL."""

    kind: Literal["fill_nulls"]
    columns: dict[str, bool | int | float | str] = Field(min_length=1)

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`{column: value}`."""
        return {"columns": value}


class Round(Model):
    """Round columns to a number of digits."""

    kind: Literal["round"]
    columns: dict[str, int] = Field(min_length=1)

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`{column: digits}`."""
        return {"columns": value}


AnyTransformation = (
    ConvertTypes
    | AddColumns
    | RenameColumns
    | DropColumns
    | SelectColumns
    | FilterRows
    | Deduplicate
    | Aggregate
    | Join
    | Union
    | FillNulls
    | Round
)
Transformation = Annotated[AnyTransformation, *single_key_union("transformation", AnyTransformation)]
