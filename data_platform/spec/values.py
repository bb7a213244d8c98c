"""The small types that models of the language are made of: names, durations, owners, references.

Each turns the text that a person wrote into a value, or says what is allowed. Used by the models of
this package only; knows neither YAML nor Dagster.
"""

import functools
import re
import zoneinfo
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, Self, cast

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

from data_platform.spec.wording import (
    custom_error,
    hint,
    kind_of,
    nearest,
    not_allowed,
    problem,
    unknown_key,
)

LAYERS = ("raw", "staging", "analytics", "destinations")
RESERVED_NAMES = frozenset({*LAYERS, "quarantine"})

_NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
_DURATION_PATTERN = r"^[0-9]{1,6}\s*[smhd]$"
_DATE_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_OWNER_PATTERN = r"^(team:[A-Za-z0-9._-]+|[^@\s]+@[^@\s]+\.[^@\s]+)$"
_REFERENCE_PATTERN = r"^([a-z][a-z0-9_]*\.)?(raw|staging|analytics)\.[a-z][a-z0-9_]*$"
_LONGEST_NAME = 100
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_CRON_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
_CRON_FIELDS = 5
_MAX_UNKNOWN_KEYS = 50
"""Of one mapping; more of them are one mistake."""
_TAG_LENGTH = 63
"""Dagster's limit."""


class Model(BaseModel):
    """What a person fills in: frozen, nothing converted silently, every unknown key an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    @model_validator(mode="wrap")
    @classmethod
    def _name_what_is_allowed(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if not any(map(_is_unknown_key, errors)):
                raise
            keys = [field.alias or name for name, field in cls.model_fields.items()]
            allowed = [key for key in keys if key != "kind"]
            details = _with_allowed_keys(errors, allowed)
            raise ValidationError.from_exception_data(cls.__name__, details) from None


def _is_unknown_key(error: ErrorDetails) -> bool:
    return error["type"] == "extra_forbidden" and len(error["loc"]) == 1


def _with_allowed_keys(errors: list[ErrorDetails], allowed: list[str]) -> list[InitErrorDetails]:
    """The errors with unknown keys explained; a key that is missing because misspelled is one."""
    unknown = list(filter(_is_unknown_key, errors))
    misspelled = {nearest(error["loc"][0], allowed) for error in unknown[:_MAX_UNKNOWN_KEYS]}
    details: list[InitErrorDetails] = []
    for error in [*unknown[:_MAX_UNKNOWN_KEYS], *(e for e in errors if not _is_unknown_key(e))]:
        loc, kind, context = error["loc"], error["type"], error.get("ctx", {})
        detail = InitErrorDetails(type=kind, loc=loc, input=error["input"], ctx=context)
        if _is_unknown_key(error):
            detail["type"] = problem("unknown_key", unknown_key(loc[0], allowed))
        elif "template" in context:
            detail["type"] = custom_error(kind, context)
        elif kind == "missing" and len(loc) == 1 and loc[0] in misspelled:
            continue
        details.append(detail)
    return details


def _name(value: str) -> str:
    if not re.fullmatch(_NAME_PATTERN, value) or len(value) > _LONGEST_NAME:
        template = (
            "{found} is no name: lower-case letters, digits and _, a letter first, "
            f"at most {_LONGEST_NAME}"
        )
        raise problem("name", template, value)
    return value


def _pipeline_name(value: str) -> str:
    if value in RESERVED_NAMES:
        reserved = ", ".join(sorted(RESERVED_NAMES))
        raise problem("name", f"{{found}} is a reserved name, as are: {reserved}", value)
    return _name(value)


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(_DURATION_PATTERN, text):
        template = "{found} is no duration: a number and s, m, h or d, such as 30s 5m 2h 1d"
        raise problem("duration", template, value)
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def _date(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and re.fullmatch(_DATE_PATTERN, value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise problem("date", "{found} is no date: year-month-day, such as 2017-01-31", value)


def _owner(value: str) -> str:
    if not re.fullmatch(_OWNER_PATTERN, value):
        raise problem("owner", "{found} is no owner: team:<name> or an e-mail address", value)
    return value


@functools.cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _timezone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        guess = hint(value, _time_zones())
        template = f"{{found}} is no time zone: an IANA name such as UTC or Europe/Berlin{guess}"
        raise problem("timezone", template, value) from None
    return value


def _wrong_in_cron(expression: str) -> str | None:
    """What is wrong with five fields, in a word or two."""
    if len(expression.split()) != _CRON_FIELDS:
        return "wrong number of fields"
    try:
        next(CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return str(error).lower()
    except (ValueError, StopIteration):
        return "it never comes"
    return None


def _cron(value: str) -> str:
    expression = _CRON_ALIASES.get(value, value)
    if reason := _wrong_in_cron(expression):
        template = (
            f"{{found}} is no cron expression ({reason}): "
            f'five fields such as "0 6 * * *", or one of {", ".join(_CRON_ALIASES)}'
        )
        raise problem("cron", template, value)
    return expression


def _tags(value: Any) -> Any:
    """`[a, b]` is short for `{a: "", b: ""}`."""
    if not isinstance(value, list):
        return value
    words = cast("list[object]", value)
    for word in words:
        if not isinstance(word, str):
            raise problem("tag", f"a list of tags holds words; found {kind_of(word)} in it")
    return dict.fromkeys(words, "")


def _tag(value: str) -> str:
    if len(value) > _TAG_LENGTH or re.search(r"[^A-Za-z0-9_./-]", value):
        template = f"{{found}} can't be a tag: at most {_TAG_LENGTH} of A-Z a-z 0-9 _ . / -"
        raise problem("tag", template, value)
    return value


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise problem("names", "expected a list of names, found {found}", value)
    return cast("list[object]", value)


def _reference(value: str) -> str:
    if not re.fullmatch(_REFERENCE_PATTERN, value):
        template = (
            "{found} is no reference: raw.<name>, staging.<name> or analytics.<name>, "
            "with <pipeline>. in front for another pipeline"
        )
        raise problem("reference", template, value)
    return value


def either(words: Iterable[str], mapping: str, text: str = "") -> tuple[Any, ...]:
    """The annotations of a union of texts (`Tag("text")`) and a mapping (`Tag("mapping")`).

    Only the branch that fits the value's form is tried, so that a mistake gives one message.

    Args:
        words: the texts that are allowed; none means that the text's own type decides.
        mapping: an example of the mapping, for messages.
        text: what the text is, for messages; needed without words.
    """
    known = tuple(words)
    expected = f"{text or ' | '.join(known)}, or a mapping such as `{mapping}`"

    def read(value: Any) -> Any:
        if isinstance(value, str) and known and value not in known:
            template = not_allowed(known, value, f"or a mapping such as `{mapping}`")
            raise problem("choice", template, value)
        if not isinstance(value, str | dict | BaseModel):
            raise problem("choice", f"expected {expected}; found {{found}}", value)
        return cast("Any", value)

    def form(value: Any) -> str:
        return "text" if isinstance(value, str) else "mapping"

    return Discriminator(form), BeforeValidator(read)


Name = Annotated[
    str,
    AfterValidator(_name),
    WithJsonSchema({"type": "string", "pattern": _NAME_PATTERN, "maxLength": _LONGEST_NAME}),
]
PipelineName = Annotated[
    str,
    AfterValidator(_pipeline_name),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": _NAME_PATTERN,
            "maxLength": _LONGEST_NAME,
            "not": {"enum": sorted(RESERVED_NAMES)},
        }
    ),
]
Owner = Annotated[
    str, AfterValidator(_owner), WithJsonSchema({"type": "string", "pattern": _OWNER_PATTERN})
]
TimeZone = Annotated[str, AfterValidator(_timezone)]
Cron = Annotated[
    str,
    AfterValidator(_cron),
    WithJsonSchema({"type": "string", "examples": ["0 6 * * *", *_CRON_ALIASES]}),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema(
        {"type": "string", "pattern": _DURATION_PATTERN, "examples": ["30s", "5m", "2h", "1d"]}
    ),
]
Date = Annotated[
    date,
    BeforeValidator(_date),
    WithJsonSchema({"type": "string", "format": "date", "pattern": _DATE_PATTERN}),
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
    BeforeValidator(_names),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]
Expression = Annotated[
    str, Field(min_length=1, description="SQL, held to the allow-list of functions.")
]
Reference = Annotated[
    str,
    AfterValidator(_reference),
    WithJsonSchema({"type": "string", "pattern": _REFERENCE_PATTERN}),
]
OnViolation = Literal["fail", "warn", "quarantine"]
