"""The small types that models of the language are made of: names, durations, owners, references.

Each turns the text that a person wrote into a value, or says what is allowed. Used by the models of
this package only; knows neither YAML nor Dagster.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

LAYERS = ("raw", "staging", "analytics", "destinations")
RESERVED_NAMES = frozenset({*LAYERS, "quarantine"})

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DURATION = re.compile(r"(\d+)\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_OWNER = re.compile(r"team:[A-Za-z0-9._-]+|[^@\s]+@[^@\s]+\.[^@\s]+")
_CRON_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}


class Model(BaseModel):
    """What a person fills in: frozen, and every unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def problem(kind: str, message: str) -> PydanticCustomError:
    """An error that pydantic reports at the place of the value, with `message` as it is."""
    return PydanticCustomError(kind, "{message}", {"message": message})  # pyright: ignore[reportArgumentType]


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise problem("name", f"{value!r} is no name: lower-case letters, digits and _, a letter first")
    return value


def _pipeline_name(value: str) -> str:
    if value in RESERVED_NAMES:
        raise problem("name", f"{value!r} is reserved: {', '.join(sorted(RESERVED_NAMES))}")
    return _name(value)


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise problem("duration", f"{value!r} is no duration: a number and s, m, h or d, such as 30s 5m 2h 1d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _owner(value: str) -> str:
    if not _OWNER.fullmatch(value):
        raise problem("owner", f"{value!r} is no owner: team:<name> or an e-mail address")
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise problem("timezone", f"{value!r} is no time zone: an IANA name such as UTC or Europe/Berlin") from None
    return value


def _cron(value: str) -> str:
    expression = _CRON_ALIASES.get(value, value)
    try:
        CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise problem(
            "cron",
            f"{value!r} is no cron expression ({error}): five fields such as \"0 6 * * *\", "
            f"or one of {', '.join(_CRON_ALIASES)}",
        ) from None
    return expression


def _tags(value: Any) -> Any:
    """`[a, b]` is short for `{a: "", b: ""}`."""
    if isinstance(value, list):
        return {word: "" for word in value}
    return value


def _tag(value: str) -> str:
    if len(value) > 63 or re.search(r"[^A-Za-z0-9_./-]", value):  # noqa: PLR2004  Dagster's limit
        raise problem("tag", f"{value!r} can't be a tag: at most 63 of A-Z a-z 0-9 _ . / -")
    return value


def _string_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Name = Annotated[str, AfterValidator(_name)]
PipelineName = Annotated[str, AfterValidator(_pipeline_name)]
Owner = Annotated[str, AfterValidator(_owner)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
Cron = Annotated[str, AfterValidator(_cron)]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": r"^\d+\s*[smhd]$", "examples": ["30s", "5m", "2h", "1d"]}),
]
Tag = Annotated[str, AfterValidator(_tag)]
Tags = Annotated[
    dict[Tag, Tag],
    BeforeValidator(_tags),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": "string"}},
                {"type": "array", "items": {"type": "string"}},
            ]
        }
    ),
]
Names = Annotated[
    list[str],
    BeforeValidator(_string_list),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Expression = Annotated[str, Field(min_length=1, description="SQL, held to the allow-list of functions.")]
Reference = Annotated[
    str,
    Field(
        pattern=r"^([a-z][a-z0-9_]*\.)?(raw|staging|analytics)\.[a-z][a-z0-9_]*$",
        description="`layer.name`, or `pipeline.layer.name` of another pipeline.",
    ),
]
OnViolation = Literal["fail", "warn", "quarantine"]
