"""Writes values.schema.json and values.yaml from the models, so that neither can differ.

Called by `python -m helm.values`. Helm holds values to the schema before it renders anything.
"""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from helm.values.chart import ChartValues

CHART = Path(__file__).parents[1] / "data-platform"
WIDTH = 98
_HEAD = """\
# Values of the chart, each with its default. Made from helm/values by `make chart`; write your own
# in a file beside it, with what differs: helm install ... --values mine.yaml
"""


def written() -> dict[Path, str]:
    """The files, and what they are to hold."""
    return {
        CHART / "values.schema.json": json.dumps(schema(), indent=2) + "\n",
        CHART / "values.yaml": values_yaml(),
    }


def schema() -> dict[str, Any]:
    """The schema of all values, for Helm: nothing but what the models know."""
    found = ChartValues.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_plain(found)}


def _plain(part: Any) -> Any:
    """Without defaults and titles: they are in values.yaml, and Helm reads neither here."""
    if isinstance(part, list):
        return [_plain(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    if "patternProperties" in part:  # what no pattern fits is refused
        part = {**part, "additionalProperties": False}
    return {
        key: {name: _plain(one) for name, one in value.items()}
        if key in ("properties", "patternProperties", "$defs")
        else _plain(value)
        for key, value in part.items()
        if key not in ("title", "default")
    }


def values_yaml() -> str:
    """All values with their defaults, each after what it means."""
    return _HEAD + "\n".join(_lines(ChartValues, ChartValues(), 0)) + "\n"


def _lines(model: type[BaseModel], values: BaseModel, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name in _names(model):
        field = model.model_fields[name]
        if depth == 0:
            yield ""
        key, value = field.alias or name, getattr(values, name)
        for line in textwrap.wrap(field.description or "", WIDTH - len(indent)):
            yield f"{indent}# {line}"
        if isinstance(value, BaseModel):
            yield f"{indent}{key}:"
            yield from _lines(type(value), value, depth + 1)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            yield f"{indent}{key}:"
            for entry in value:
                said = entry.model_dump(mode="json", by_alias=True, exclude_unset=True)
                yield f"{indent}  - {_scalar(said)}"
        else:
            yield f"{indent}{key}: {_scalar(value)}"


def _names(model: type[BaseModel]) -> list[str]:
    """Its fields; those of its own before those that all pods have."""
    own = [name for part in model.__mro__ for name in vars(part).get("__annotations__", {})]
    return [name for name in dict.fromkeys(own) if name in model.model_fields]


def _scalar(value: Any) -> str:
    """On one line, as JSON where YAML would need more than one."""
    if isinstance(value, tuple):
        value = list(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return '""' if value == "" else text.removesuffix("...\n").strip()
