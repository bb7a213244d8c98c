"""Transformations: what a staging asset may do to its rows, one model a kind.

In YAML each is a mapping with a single key, its kind. `plan.staging.steps` compiles each to one
named step.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from data_platform.spec.model import Model
from data_platform.spec.rule_model import Scalar
from data_platform.spec.single_key import Keyed, single_key_union
from data_platform.spec.values import Expression, FunctionName, Names, Reference


class ConvertType(Model):
    """How one column is converted."""

    type: str
    """SQL's name of the type, or `datetime`, `numeric`, `string`."""
    format: str | None = None
    """How text is read as a time, in strptime's notation; None means ISO 8601."""
    on_error: Literal["violation", "set_null", "fail"] = "violation"
    """A value that doesn't convert exactly: a violation (of the asset's `on_violation`), a NULL, or
    the end of the run."""


class _TypeAlone:
    """`type` is short for `{type: type}`, in the JSON Schema too."""

    @staticmethod
    def read(value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(core_schema)]}


class ConvertTypes(Keyed):
    """Convert columns exactly; what doesn't convert is a violation."""

    whole_field: ClassVar[str | None] = "columns"

    kind: Literal["convert_types"]
    """The transformation."""
    columns: dict[str, Annotated[ConvertType, BeforeValidator(_TypeAlone.read), _TypeAlone()]] = (
        Field(min_length=1)
    )
    """`{column: type}` or `{column: {type, format, on_error}}`."""


class AddColumns(Keyed):
    """Add columns, or replace them, by expressions over the columns before this step."""

    whole_field: ClassVar[str | None] = "columns"

    kind: Literal["add_columns"]
    """The transformation."""
    columns: dict[str, Expression] = Field(min_length=1)
    """`{name: expression}`."""


class RenameColumns(Keyed):
    """Give columns new names: `{old: new}`."""

    whole_field: ClassVar[str | None] = "columns"

    kind: Literal["rename_columns"]
    """The transformation."""
    columns: dict[str, str] = Field(min_length=1)
    """`{old: new}`."""


class DropColumns(Keyed):
    """Leave columns out. A column that isn't there is no error."""

    whole_field: ClassVar[str | None] = "columns"

    kind: Literal["drop_columns"]
    """The transformation."""
    columns: Names
    """Names of columns."""


class SelectColumns(Keyed):
    """Keep these columns only, in this order."""

    whole_field: ClassVar[str | None] = "columns"

    kind: Literal["select_columns"]
    """The transformation."""
    columns: Names
    """Names of columns."""


class FilterRows(Keyed):
    """Keep the rows for which the condition is true; NULL is not."""

    short_field: ClassVar[str | None] = "condition"

    kind: Literal["filter_rows"]
    """The transformation."""
    condition: Expression
    """SQL over the columns of one row."""


class Deduplicate(Keyed):
    """Keep one row of each key."""

    kind: Literal["deduplicate"]
    """The transformation."""
    by: Names
    """The key."""
    order_by: Names
    """Columns, each optionally with `asc` or `desc`."""
    keep: Literal["first", "last"] = "last"
    """Which row of a key stays, in that order."""


class Aggregate(Keyed):
    """One row a group."""

    kind: Literal["aggregate"]
    """The transformation."""
    group_by: Names
    """The columns of the key."""
    columns: dict[str, Expression] = Field(min_length=1)
    """`{new: expression}`, such as `{revenue: sum(sales_value)}`."""


class Join(Keyed):
    """Add the columns of another asset by key."""

    kind: Literal["join"]
    """The transformation."""
    with_: Reference = Field(alias="with")
    """The other asset."""
    on: Names
    """Columns that both sides have."""
    how: Literal["left", "inner", "right", "full", "semi", "anti"] = "left"
    """The kind of join."""
    columns: Names | None = None
    """Of the other side; None means all that this side doesn't have."""


class Union(Keyed):
    """Append the rows of other assets, columns matched by name."""

    short_field: ClassVar[str | None] = "with_"

    kind: Literal["union"]
    """The transformation."""
    with_: Annotated[Names, Field(alias="with")]
    """References of the other assets."""


class FillNulls(Keyed):
    """Put a value where a column is NULL."""

    whole_field: ClassVar[str | None] = "columns"

    kind: Literal["fill_nulls"]
    """The transformation."""
    columns: dict[str, Scalar] = Field(min_length=1)
    """`{column: value}`."""


class Round(Keyed):
    """Round columns to a number of digits."""

    whole_field: ClassVar[str | None] = "columns"

    kind: Literal["round"]
    """The transformation."""
    columns: dict[str, int] = Field(min_length=1)
    """`{column: digits}`; negative digits round to tens, hundreds and so on."""


MaskMethod = Literal["hash", "redact", "partial"]


class Mask(Keyed):
    """Make values that tell of a person unreadable: `{column: hash, redact or partial}`."""

    whole_field: ClassVar[str | None] = "columns"

    kind: Literal["mask"]
    """The transformation."""
    columns: dict[str, MaskMethod] = Field(min_length=1)
    """`hash` gives the same value the same token, by the platform's key; `redact` one text for all;
    `partial` keeps the last four characters, at most a third of the value."""


class Python(Keyed):
    """Give the rows to a function, and go on with those that it returns."""

    short_field: ClassVar[str | None] = "function"

    kind: Literal["python"]
    """The transformation."""
    function: FunctionName
    """`module:function`; a module beside pipeline.yaml, or an installed one. It gets the rows of
    one partition, and must give the same result for the same rows."""
    input: Literal["pandas", "arrow"] = "pandas"
    """What it gets: a pandas DataFrame with Arrow's types, or a pyarrow Table."""
    chunk_size: int | None = Field(default=None, ge=1)
    """Rows that it gets at once, in order; None means a whole partition."""
    num_workers: int | None = Field(default=None, ge=1, le=64)
    """Processes among which chunks are shared out; None means the step's own process."""


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
    | Mask
    | Python
)
Transformation = Annotated[
    AnyTransformation, *single_key_union("transformation", AnyTransformation)
]
