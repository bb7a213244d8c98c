"""Parameters of assets as Dagster's run configuration: its schema, and values to and from it.

Called by `asset_specs` for the schema that the launchpad shows, by `lake_steps` for the values, and
by `running` for a run of the command. Dagster refuses what doesn't fit before a step begins.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

import dagster as dg
from dagster._config.config_type import ConfigScalar, ConfigScalarKind
from dagster._config.errors import PostProcessingError

from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.plan.parameters import changed_values
from data_platform.spec.parameters import Parameter, ParameterType, ParameterValue, plain, value_of

CHANGED = "parameters"
"""The metadata that tells of other values than the defaults."""
SET_TAG = "data_platform/set"
_KINDS: Mapping[ParameterType, tuple[str, ConfigScalarKind]] = {
    "int": ("Int64", ConfigScalarKind.INT),
    "float": ("Double", ConfigScalarKind.FLOAT),
    "str": ("Text", ConfigScalarKind.STRING),
    "bool": ("TrueOrFalse", ConfigScalarKind.BOOL),
    "date": ("Date", ConfigScalarKind.STRING),
}
"""What the launchpad calls a type, which none of Dagster's own is called, and what YAML has."""


class _Value(ConfigScalar):
    """A scalar that is held to the language's own types: Dagster has no day, and no bounds."""

    def __init__(self, kind: ParameterType) -> None:
        name, scalar = _KINDS[kind]
        super().__init__(name, name, scalar)
        self._kind: ParameterType = kind

    def post_process(self, value: object) -> object:
        """The value, where it is one; called before anything of a run is executed."""
        try:
            return plain(value_of(self._kind, value))
        except ValueError as error:
            raise PostProcessingError(str(error)) from None


_VALUES = {kind: _Value(kind) for kind in _KINDS}
"""One of each type: two of one key are two types to Dagster."""


def config_schema(declared: Mapping[str, Parameter]) -> dict[str, dg.Field] | None:
    """The configuration of an asset's step; None where it has no parameters."""
    return {
        name: dg.Field(
            _VALUES[one.type],
            default_value=plain(one.value),
            is_required=False,
            description=one.description,
        )
        for name, one in declared.items()
    } or None


def given_values(context: dg.AssetExecutionContext, node: AnyNode) -> dict[str, ParameterValue]:
    """The values of an asset's parameters in a run."""
    if not node.run_parameters:
        return {}
    config = cast("Mapping[str, object]", context.op_execution_context.op_config)
    return {name: value_of(one.type, config[name]) for name, one in node.run_parameters.items()}


def changed_text(node: AnyNode, given: Mapping[str, ParameterValue]) -> dict[str, str]:
    """What the metadata of a commit tells: the values that aren't the defaults, as JSON."""
    changed = _changed(node, given)
    return {CHANGED: json.dumps(changed, ensure_ascii=False)} if changed else {}


def changed_metadata(
    node: AnyNode, given: Mapping[str, ParameterValue]
) -> dict[str, dg.MetadataValue[Any]]:
    """What a materialization tells: the values that aren't the defaults."""
    changed = _changed(node, given)
    return {CHANGED: dg.MetadataValue.json(changed)} if changed else {}


def run_config(
    nodes: Iterable[AnyNode], values: Mapping[Key, Mapping[str, ParameterValue]]
) -> dict[str, Any]:
    """The part of a run's configuration that gives values.

    Args:
        nodes: that the run is of: one for another asset would be refused.
        values: by asset.
    """
    ops = {
        node.step_name: {"config": {n: plain(value) for n, value in values[node.key].items()}}
        for node in nodes
        if values.get(node.key)
    }
    return {"ops": ops} if ops else {}


def settings_tag(
    nodes: Iterable[AnyNode], values: Mapping[Key, Mapping[str, ParameterValue]]
) -> dict[str, str]:
    """What a run was given, as a tag that lists of runs show."""
    told = [
        f"{node.key.layer}/{node.key.name}.{name}={json.dumps(plain(value), ensure_ascii=False)}"
        for node in nodes
        for name, value in values.get(node.key, {}).items()
    ]
    return {SET_TAG: ", ".join(told)} if told else {}


def _changed(node: AnyNode, given: Mapping[str, ParameterValue]) -> dict[str, object]:
    return {n: plain(value) for n, value in changed_values(node.run_parameters, given).items()}
