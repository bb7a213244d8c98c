"""The small types that models of the language are made of: names, owners, tags, references.

Each turns the text that a person wrote into a value, or says what is allowed. Used by the models of
this package only; knows neither YAML nor Dagster.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import core_schema

from data_platform.spec.wording import kind_of, not_allowed, problem

LAYERS = ("raw", "staging", "analytics", "destinations")
RESERVED_NAMES = frozenset({*LAYERS, "quarantine"})

_NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
_OWNER_PATTERN = r"^(team:[A-Za-z0-9._-]+|[^@\s]+@[^@\s]+\.[^@\s]+)$"
_REFERENCE_PATTERN = r"^([a-z][a-z0-9_]*\.)?(raw|staging|analytics)\.[a-z][a-z0-9_]*$"
_ASSET_PATTERN = _REFERENCE_PATTERN.replace("analytics", "analytics|destinations")
_FUNCTION_PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
_LONGEST_NAME = 100
_TAG_LENGTH = 63
"""Dagster's limit."""


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


def _owner(value: str) -> str:
    if not re.fullmatch(_OWNER_PATTERN, value):
        raise problem("owner", "{found} is no owner: team:<name> or an e-mail address", value)
    return value


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


class OneOrMany:
    """An annotation of a list: a single value may stand for a list of it alone."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """How it is read."""
        return core_schema.no_info_before_validator_function(_listed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """How editors know it."""
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def _listed(value: Any) -> Any:
    return cast("Any", value) if isinstance(value, list) else [value]


def _reference(value: str) -> str:
    if not re.fullmatch(_REFERENCE_PATTERN, value):
        template = (
            "{found} is no reference: raw.<name>, staging.<name> or analytics.<name>, "
            "with <pipeline>. in front for another pipeline"
        )
        raise problem("reference", template, value)
    return value


def _asset(value: str) -> str:
    if not re.fullmatch(_ASSET_PATTERN, value):
        template = (
            "{found} names no asset: <layer>.<name>, with <pipeline>. in front for that of one "
            "pipeline; layers are raw, staging, analytics and destinations"
        )
        raise problem("reference", template, value)
    return value


def _function(value: str) -> str:
    if re.fullmatch(_FUNCTION_PATTERN, value):
        return value
    template = "{found} names no function: module:function, such as cleaning:only_sound"
    parts = value.replace(".py", "").replace("/", ".").rpartition("." if ":" not in value else ":")
    guess = f"{parts[0]}:{parts[2]}"
    if re.fullmatch(_FUNCTION_PATTERN, guess):
        template = f"{{found}} names no function: did you mean {guess}? It is module:function"
    raise problem("function", template, value)


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
AssetName = Annotated[
    str,
    AfterValidator(_asset),
    WithJsonSchema({"type": "string", "pattern": _ASSET_PATTERN}),
]
"""An asset of any layer, where it isn't read."""
FunctionName = Annotated[
    str,
    AfterValidator(_function),
    WithJsonSchema({"type": "string", "pattern": _FUNCTION_PATTERN}),
]
OnViolation = Literal["fail", "warn", "quarantine"]
