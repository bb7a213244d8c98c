"""JSON Schemas of what people write in YAML, for editors and for `data-platform schema`.

Made of the models, so that they can't differ from what is read; turned into what a person writes:
single-key rules and their short forms, `${VAR}` wherever a text stands. They tell what a file may
look like, not whether its names resolve.
"""

import re
from typing import Any, cast

from data_platform.spec.model import Model
from data_platform.spec.pipeline import Pipeline
from data_platform.spec.platform import Platform
from data_platform.spec.tests import UnitTests

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = r"\$\{"
_HOISTED = ("Rule", "Transformation")


def pipeline_schema() -> Schema:
    """The schema of `pipeline.yaml`."""
    return _schema(Pipeline)


def platform_schema() -> Schema:
    """The schema of `platform.yaml`."""
    return _schema(Platform)


def tests_schema() -> Schema:
    """The schema of `tests.yaml`."""
    return _schema(UnitTests)


def _schema(model: type[Model]) -> Schema:
    generated = model.model_json_schema()
    definitions: Schema = generated.pop("$defs", {})
    for definition in definitions.values():
        _remove_kind(definition)
    hoisted: Schema = {}
    written = {name: _as_written(schema, hoisted) for name, schema in definitions.items()}
    root = _as_written(generated, hoisted)
    return {"$schema": _DIALECT, **root, "$defs": dict(sorted({**written, **hoisted}.items()))}


def _remove_kind(definition: Schema) -> None:
    """`kind` is the single key in front of the mapping, not a key in it."""
    if definition.get("properties", {}).pop("kind", None):
        definition["required"] = [name for name in definition["required"] if name != "kind"]


def _as_written(schema: Any, hoisted: Schema, key: str = "") -> Any:
    """The schema with every part below it as a person writes it.

    Args:
        schema: a schema, or a part of one.
        hoisted: definitions of unions that stand in several places; filled here.
        key: the property whose schema this is.
    """
    if isinstance(schema, list):
        return [_as_written(part, hoisted) for part in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    whole = cast("Schema", schema)
    if (title := whole.get("title")) in _HOISTED and "oneOf" in whole:
        if title not in hoisted:
            hoisted[title] = {}
            hoisted[title] = _parts(whole, hoisted)
        return {"$ref": f"#/$defs/{title}"}
    return _with_variables(_parts(whole, hoisted), key)


def _parts(schema: Schema, hoisted: Schema) -> Schema:
    result: Schema = {}
    for name, part in schema.items():
        match name:
            case "title" | "discriminator" | "format":
                continue
            case "default" if part is None:
                continue
            case "properties" | "patternProperties":
                result[name] = {
                    key: _as_written(below, hoisted, key) for key, below in part.items()
                }
            case "description":
                result[name] = _left_out(part)
            case "default" | "enum" | "const" | "examples" | "required":
                result[name] = part
            case _:
                result[name] = _as_written(part, hoisted)
    if "patternProperties" in result:
        result["additionalProperties"] = False
    return result


def _left_out(description: str) -> str:
    """None is how Python says that a key isn't there."""
    text = re.sub(r"(^|\. )None means", r"\1Left out, it means", " ".join(description.split()))
    return text.replace("None means", "left out, it means")


def _with_variables(schema: Schema, key: str) -> Schema:
    """A text may be a variable instead; only `type` can't, because it tells schemas apart."""
    if schema.get("type") != "string" or key == "type":
        return schema
    if "pattern" in schema:
        return {**schema, "pattern": f"{_VARIABLE}|{schema['pattern']}"}
    choice = {name: schema[name] for name in ("enum", "const") if name in schema}
    if not choice:
        return schema
    rest = {name: part for name, part in schema.items() if name not in {*choice, "type"}}
    return {**rest, "anyOf": [choice, {"type": "string", "pattern": _VARIABLE}]}
