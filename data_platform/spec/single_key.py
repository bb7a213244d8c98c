"""Unions that are told apart by their single key: `- unique: [a, b]`, `- filter_rows: quantity > 0`.

Used by `transformations` and `rules`. A model may offer `from_short`, which turns what stands
behind the key into the model's fields.
"""

import difflib
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from data_platform.spec.values import problem


class _SingleKeySchema:
    """Writes the union into the JSON Schema as a person writes it."""

    def __init__(self, kinds: dict[str, type[BaseModel]]) -> None:
        self._kinds = kinds

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        handler(core_schema)  # registers the models' definitions
        return {"oneOf": [self._variant(kind, model) for kind, model in self._kinds.items()]}

    @staticmethod
    def _variant(kind: str, model: type[BaseModel]) -> JsonSchemaValue:
        body: JsonSchemaValue = model.model_json_schema()
        body.get("properties", {}).pop("kind", None)
        body["required"] = [name for name in body.get("required", []) if name != "kind"]
        body.pop("$defs", None) if "$ref" not in str(body) else None
        allowed = [body]
        if hasattr(model, "from_short"):
            allowed.append({"description": (model.from_short.__doc__ or "").strip()})
        return {
            "type": "object",
            "description": (model.__doc__ or "").strip(),
            "properties": {kind: body if len(allowed) == 1 else {"anyOf": allowed}},
            "required": [kind],
            "additionalProperties": False,
        }


def single_key_union(what: str, union: Any) -> tuple[Any, ...]:
    """The annotations that make `union` readable from a mapping with a single key.

    Args:
        what: how messages call a member, such as `rule`.
        union: models, each with a `kind: Literal[...]`.
    """
    kinds = {get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(union)}

    def read(value: Any) -> Any:
        if isinstance(value, tuple(kinds.values())):
            return value
        if not isinstance(value, dict) or len(value) != 1:
            found = ", ".join(map(repr, value)) if isinstance(value, dict) else repr(value)
            raise problem("single_key", f"a {what} is one key with its settings, such as `- {next(iter(kinds))}: ...`; found {found}")
        kind, body = next(iter(value.items()))
        if kind not in kinds:
            near = difflib.get_close_matches(str(kind), kinds, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise problem("single_key", f"unknown {what} {kind!r}{hint} Allowed: {', '.join(kinds)}")
        shorten = getattr(kinds[kind], "from_short", None)
        body = shorten(body) if shorten else body
        if not isinstance(body, dict):
            raise problem("single_key", f"{kind} takes a mapping; found {body!r}")
        return {"kind": kind, **body}

    return Field(discriminator="kind"), BeforeValidator(read), _SingleKeySchema(kinds)


