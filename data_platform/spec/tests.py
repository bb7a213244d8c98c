"""What `tests.yaml` may hold: rows that an asset is given, and what it should make of them.

Read by `spec.reading_tests`; what its names mean is found out by `unit_tests.planning`.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from data_platform.spec.model import Model
from data_platform.spec.rule_model import Scalar
from data_platform.spec.values import Name, Names, Reference
from data_platform.spec.wording import problem

Verdict = Literal["pass", "warn", "quarantine", "fail"]
_SCALARS: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}


def _cell(value: object) -> object:
    if isinstance(value, dict):
        raise problem("cell", "a value is a text, a number, true, false, null or a list of these")
    if isinstance(value, list):
        for item in cast("list[object]", value):
            _cell(item)
    return cast("object", value)


def _moment(value: str) -> str:
    if moment_of(value) is None:
        raise problem("moment", "{found} is no moment, such as 2017-02-01T09:30:00Z", value)
    return value


def moment_of(text: str) -> datetime | None:
    """A moment as ISO 8601 has it, in UTC where it names no offset; None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Cell = Annotated[
    object,
    AfterValidator(_cell),
    WithJsonSchema({"anyOf": [_SCALARS, {"type": "array", "items": _SCALARS}]}),
]
Row = dict[str, Cell]


class RowsFrom(Model):
    """Rows that aren't written as a list: as CSV, or in a file."""

    csv: str | None = None
    """A header and a line a row; an empty field is NULL, blanks around a field don't count."""
    file: str | None = None
    """A `.csv` or `.parquet` file, from the folder of tests.yaml on."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.csv is None) == (self.file is None):
            raise problem("rows", "rows come from `csv` or from `file`: give one of the two")
        return self


def _form(value: object) -> str:
    return "mapping" if isinstance(value, dict | BaseModel) else "list"


def _rows(value: object) -> object:
    if not isinstance(value, list | dict | BaseModel):
        template = "expected a list of rows such as `- {id: 1}`, or `csv` or `file`; found {found}"
        raise problem("rows", template, value)
    return cast("object", value)


Rows = Annotated[
    Annotated[list[Row], Tag("list")] | Annotated[RowsFrom, Tag("mapping")],
    Discriminator(_form),
    BeforeValidator(_rows),
]


class InputShape(Model):
    """What all tests of the file share about an asset that they give rows of."""

    columns: dict[str, str] = Field(default_factory=dict)
    """Types of columns, such as `{sold_at: timestamp}`. For columns that nobody knows before a run;
    left out, numbers are bigint or double, and all else is text."""
    defaults: Row = Field(default_factory=dict)
    """Values of columns that a row doesn't name."""


class Expectation(Model):
    """What should come of it. What isn't named isn't looked at, but no check may fail unnamed."""

    rows: Rows | None = None
    """That are published, in any order; only the columns that are named are compared."""
    ordered: bool = False
    """Whether the rows must come in this order."""
    tolerance: float = Field(default=0.0, ge=0)
    """By how much doubles may be off; they may always be off by a billionth of their value."""
    count: int | None = Field(default=None, ge=0)
    """Of the rows that are published."""
    quarantined: Rows | None = None
    """Rows that are held back, as they came, with `reasons`; of a staging asset."""
    checks: dict[str, Verdict] = Field(default_factory=dict)
    """By a check's name: `pass`, `warn`, `quarantine` or `fail`."""
    error: str | None = Field(default=None, min_length=1)
    """A part of the message with which the step fails; nothing else is expected then."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        others = [
            name for name in ("rows", "count", "quarantined") if getattr(self, name) is not None
        ]
        others += ["checks"] if self.checks else []
        if not others and self.error is None:
            allowed = "rows, count, quarantined, checks or error"
            raise problem("expect", f"nothing is expected: name {allowed}")
        if others and self.error is not None:
            raise problem("expect", f"a step that fails gives no {', '.join(others)}: leave it out")
        if self.ordered and self.rows is None:
            raise problem("expect", "`ordered` is about `rows`, which aren't there")
        return self


class UnitTest(Model):
    """One asset, the rows that it reads, and what should come of them."""

    name: Name
    """Unique in the file."""
    asset: Reference
    """The one that is computed: staging.<name> or analytics.<name>; no other one is."""
    description: str | None = None
    """What it is about."""
    partition: Names | None = None
    """A partition's key, or several; left out, the first one where there are partitions."""
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    """Values of the asset's parameters; others have their defaults."""
    now: Annotated[str, AfterValidator(_moment)] | None = None
    """What the clock says, for SQL and rules that read it."""
    given: dict[Reference, Rows] = Field(default_factory=dict)
    """Rows of the assets that it reads. Columns that aren't named are NULL, assets that aren't
    have no rows; `_partition` says of which partition a row is, where it isn't the test's one."""
    expect: Expectation
    """What should come of it."""


class UnitTests(Model):
    """Unit tests of the assets of the pipeline beside it."""

    inputs: dict[Reference, InputShape] = Field(default_factory=dict)
    """What all tests share about assets that they give rows of."""
    tests: list[UnitTest] = Field(min_length=1)
    """Each is run by itself."""
