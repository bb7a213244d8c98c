"""Unions that are told apart by their single key: `- unique: [a, b]`, `- filter_rows: a > 0`.

Used by `transformations` and `rules`. A model says how it is written in short: `short_field` names
the field that takes a value which is no mapping, `whole_field` the field that takes all that stands
behind the key.
"""

from typing import Any, ClassVar, cast, get_args

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from data_platform.spec.model import Model
from data_platform.spec.wording import kind_of, nearest, problem, show, unknown_key


class Keyed(Model):
    """A member of such a union. Each has a `kind: Literal[...]`, which is its key."""

    short_field: ClassVar[str | None] = None
    whole_field: ClassVar[str | None] = None


def _key(model: type[Keyed], field: str) -> str:
    """The key by which a person writes the field."""
    return model.model_fields[field].alias or field


def _body(kind: str, model: type[Keyed], value: Any) -> dict[str, Any]:
    """What stands behind the key, as the model's fields."""
    if model.whole_field:
        return {"kind": kind, _key(model, model.whole_field): value}
    if not isinstance(value, dict):
        if model.short_field:
            return {"kind": kind, _key(model, model.short_field): value}
        keys = ", ".join(_key(model, name) for name in model.model_fields if name != "kind")
        found = kind_of(value)
        raise problem("single_key", f"{kind} takes the keys {keys}; found {found}")
    body = cast("dict[str, Any]", value)
    if "kind" in body:
        keys = [_key(model, name) for name in model.model_fields if name != "kind"]
        raise problem("single_key", f"{kind}: {unknown_key('kind', keys)}")
    return {"kind": kind, **body}


def single_key_union(what: str, union: Any) -> tuple[Any, ...]:
    """The annotations that make `union` readable from a mapping with a single key.

    Args:
        what: how messages call a member, such as `rule`.
        union: models, each with a `kind: Literal[...]`.
    """
    models: tuple[type[Keyed], ...] = get_args(union)
    kinds = {get_args(model.model_fields["kind"].annotation)[0]: model for model in models}
    allowed = ", ".join(kinds)

    def read(value: Any) -> Any:
        if isinstance(value, models):
            return value
        if isinstance(value, str) and value in kinds:
            text = f"a {what} is a key with its settings: `- {value}: ...`; found {value!r} alone"
            raise problem("single_key", text)
        if not isinstance(value, dict):
            text = f"a {what} is one key with its settings; found {{found}}; allowed: {allowed}"
            raise problem("single_key", text, value)
        mapping = cast("dict[str, Any]", value)
        if len(mapping) != 1:
            raise problem("single_key", _not_single(what, list(mapping), kinds))
        kind, body = next(iter(mapping.items()))
        if kind not in kinds:
            near = nearest(kind, kinds)
            guess = f"did you mean {near!r}? Allowed" if near else "allowed"
            raise problem("single_key", f"unknown {what} {show(kind)}; {guess}: {allowed}")
        return _body(kind, kinds[kind], body)

    return Field(discriminator="kind"), BeforeValidator(read), _SingleKeySchema(what, kinds)


def _not_single(what: str, keys: list[str], kinds: dict[str, type[Keyed]]) -> str:
    """What to do about a mapping that should have one key and has another number."""
    found = ", ".join(map(show, keys[:5])) or "none"
    text = f"a {what} is one key with its settings; found the keys {found}"
    if len([key for key in keys if key in kinds]) > 1:
        return f"{text}: start each {what} with its own `- `"
    own = [key for key in keys if key in kinds]
    return f"{text}: indent the settings of {own[0]!r} below it" if own else text


class _SingleKeySchema:
    """Writes the union into the JSON Schema as a person writes it."""

    def __init__(self, what: str, kinds: dict[str, type[Keyed]]) -> None:
        self._title = what.capitalize()
        self._kinds = kinds

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        references = handler(core_schema)["oneOf"]
        members = [
            _member_schema(kind, model, reference, handler.resolve_ref_schema(reference))
            for (kind, model), reference in zip(self._kinds.items(), references, strict=True)
        ]
        return {"title": self._title, "oneOf": members}


def _member_schema(
    kind: str, model: type[Keyed], reference: JsonSchemaValue, definition: JsonSchemaValue
) -> JsonSchemaValue:
    """`{kind: body}`, where the body is what `_body` takes."""
    properties = definition["properties"]
    if model.whole_field:
        body = properties[_key(model, model.whole_field)]
    elif model.short_field:
        body = {"anyOf": [properties[_key(model, model.short_field)], reference]}
    else:
        body = reference
    description = " ".join((model.__doc__ or "").split())
    return {
        "type": "object",
        "description": description,
        "properties": {kind: {**body, "description": description}},
        "required": [kind],
        "additionalProperties": False,
    }
