"""Whether an event is one by OpenLineage's specification.

OpenLineage publishes its JSON schemas on the web alone. Its client has classes that are generated
from them, each with the address of its schema: names, types, what is required and what there is
besides are held against these, and facets are found by the address that they name themselves. The
platform's own facet is held against the JSON schema that ships with it.
"""

import enum
import importlib
import inspect
import json
import pkgutil
import re
import types
import typing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import attr
import jsonschema
from openlineage.client import generated
from openlineage.client.generated.base import BaseFacet, RunEvent

import data_platform.observability.openlineage as ours

OWN_SCHEMA = Path(inspect.getfile(ours)).parent / "partitions_facet.json"
_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:[^\s{}<>|\\^`\"]+")
_FORMATS: dict[str, Any] = {
    "eventTime": datetime.fromisoformat,
    "nominalStartTime": datetime.fromisoformat,
    "nominalEndTime": datetime.fromisoformat,
    "runId": UUID,
}
_URIS = {"producer", "schemaURL", "_producer", "_schemaURL", "uri", "url"}


def check_event(event: dict[str, Any]) -> None:
    """Raise AssertionError where an event isn't what the specification says."""
    assert event["schemaURL"] == RunEvent._get_schema()
    _check(event, RunEvent, "event")


@cache
def _modules() -> list[types.ModuleType]:
    names = [f"{generated.__name__}.{one.name}" for one in pkgutil.iter_modules(generated.__path__)]
    return [importlib.import_module(name) for name in names]


@cache
def _facets() -> dict[str, type]:
    """The classes of facets by the addresses of their schemas."""
    found = [value for module in _modules() for value in vars(module).values()]
    classes = [one for one in found if inspect.isclass(one) and issubclass(one, BaseFacet)]
    return {one._get_schema(): one for one in classes}


def _check(value: Any, kind: Any, where: str) -> None:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return
    if origin in (typing.Union, types.UnionType):
        [inner] = [one for one in arguments if one is not type(None)]
        _check(value, inner, where)
    elif origin is list:
        assert isinstance(value, list), where
        for number, one in enumerate(value):
            _check(one, arguments[0], f"{where}[{number}]")
    elif origin is dict:
        assert isinstance(value, dict), where
        for name, one in value.items():
            _check(one, arguments[1], f"{where}.{name}")
    elif inspect.isclass(kind) and issubclass(kind, BaseFacet):
        _check_facet(value, where)
    elif attr.has(kind):
        _check_object(value, kind, where)
    elif issubclass(kind, enum.Enum):
        assert value in {one.value for one in kind}, f"{where}: {value}"
    else:
        assert type(value) is kind, f"{where}: {value!r} is no {kind}"


def _check_facet(value: Any, where: str) -> None:
    address = value["_schemaURL"]
    if address.startswith("urn:data-platform:"):
        schema = json.loads(OWN_SCHEMA.read_text())
        document, _, pointer = address.partition("#")
        assert document == schema["$id"]
        assert pointer == "/$defs/PartitionsRunFacet"
        jsonschema.validate({where.rpartition(".")[2]: value}, schema)
        return
    _check_object(value, _facets()[address], where)


def _check_object(value: Any, kind: type, where: str) -> None:
    assert isinstance(value, dict), where
    module = vars(importlib.import_module(kind.__module__))
    hints = {
        name: hint
        for one in reversed(kind.__mro__)
        for name, hint in typing.get_type_hints(
            one, {**_shared(), **vars(typing), **module}
        ).items()
    }
    fields = {one.name: one for one in attr.fields(kind)}
    unknown = value.keys() - fields.keys()
    assert not unknown, f"{where}: {unknown}"
    for name, field in fields.items():
        required = field.default is attr.NOTHING or name in {"_producer", "_schemaURL"}
        assert name in value or not required, f"{where}.{name} is missing"
        if name in value:
            _check(value[name], hints[name], f"{where}.{name}")
            _check_format(name, value[name], f"{where}.{name}")


def _shared() -> dict[str, Any]:
    return {name: one for module in _modules() for name, one in vars(module).items()}


def _check_format(name: str, value: Any, where: str) -> None:
    if name in _FORMATS:
        _FORMATS[name](value)
    if name in _URIS:
        assert _URI.fullmatch(value), f"{where}: {value}"
