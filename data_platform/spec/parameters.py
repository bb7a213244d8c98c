"""Values that a run may be given: their types, and what of a text or a scalar is such a value.

Used by `spec.asset` for defaults, by `plan.parameters` for what a command says, and by `run_config`
for what Dagster hands over: all three refuse the same.
"""

import math
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationInfo, field_validator

from data_platform.spec.model import Model
from data_platform.spec.rule_model import Scalar
from data_platform.spec.values import Name
from data_platform.spec.wording import problem, show

ParameterType = Literal["int", "float", "str", "bool", "date"]
ParameterValue = int | float | str | bool | date

RESERVED_PARAMETERS = (
    "partition_key",
    "partition_start",
    "partition_end",
    "watermark",
    "partition",
)
"""Names that SQL, sources and functions have already."""

_ALLOWED: Mapping[ParameterType, str] = {
    "int": "a whole number of 64 bits, such as 5",
    "float": "a number, such as 0.5",
    "str": "a text",
    "bool": "true or false",
    "date": "a day, such as 2017-01-31",
}
_WORDS = {"true": True, "false": False}
_LARGEST = 2**63


def _parameter_name(value: str) -> str:
    if value in RESERVED_PARAMETERS:
        reserved = ", ".join(RESERVED_PARAMETERS)
        raise problem("name", f"{{found}} is a name that is taken, as are: {reserved}", value)
    return value


ParameterName = Annotated[Name, AfterValidator(_parameter_name)]


def value_of(kind: ParameterType, found: object) -> ParameterValue:
    """A scalar as a value of a type.

    Raises:
        ValueError: it is none; says what was found and what is allowed.
    """
    match kind, found:
        case "bool", bool():
            return found
        case _, bool():
            pass
        case "int", int() if -_LARGEST <= found < _LARGEST:
            return found
        case "float", int() | float() if _is_finite(found):
            return float(found)
        case "str", str() if "\x00" not in found:
            return found
        case "date", str() if (day := _day(found)) is not None:
            return day
        case _:
            pass
    raise ValueError(f"expected {_ALLOWED[kind]} (type {kind}); found {show(found)}")


def read_value(kind: ParameterType, text: str) -> ParameterValue:
    """A text of the command line as a value of a type.

    Raises:
        ValueError: as `value_of`.
    """
    found: object = text
    try:
        match kind:
            case "int":
                found = int(text)
            case "float":
                found = float(text)
            case "bool":
                found = _WORDS.get(text.lower(), text)
            case "str" | "date":
                pass
    except ValueError:
        pass
    return value_of(kind, found)


def plain(value: ParameterValue) -> int | float | str | bool:
    """A value as YAML and JSON have it."""
    return value.isoformat() if isinstance(value, date) else value


def _is_finite(found: float) -> bool:
    try:
        return math.isfinite(float(found))
    except OverflowError:
        return False


def _day(text: str) -> date | None:
    """A day as `2017-01-31`: other forms that Python reads too, such as 20170131, aren't clear."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None


class Parameter(Model):
    """A value that a run may be given: Dagster's run configuration, and `:name` in SQL."""

    type: ParameterType
    """Of the value."""
    default: Scalar
    """Where the run doesn't say; every run that Dagster starts by itself."""
    description: str | None = None
    """What it does."""

    @field_validator("default")
    @classmethod
    def _has_its_type(cls, default: object, info: ValidationInfo) -> object:
        kind: ParameterType | None = info.data.get("type")
        if kind is None:
            return default  # the type is a mistake of its own
        try:
            return plain(value_of(kind, default))
        except ValueError as error:
            allowed = str(error).partition("; found")[0]
            raise problem("default", f"{allowed}; found {{found}}", default) from None

    @property
    def value(self) -> ParameterValue:
        """The default, typed."""
        return value_of(self.type, self.default)
