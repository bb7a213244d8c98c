"""What `run --set` says, as values of the assets that a run is of.

Called by `running` before anything runs: all that is wrong is told at once.
"""

import difflib
from collections.abc import Mapping, Sequence

from data_platform.errors import PermanentError
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.spec.parameters import ParameterValue, read_value

Values = Mapping[Key, Mapping[str, ParameterValue]]
"""What a run gives, by asset and parameter."""


def run_values(settings: Sequence[str], nodes: Sequence[AnyNode]) -> Values:
    """Read settings.

    Args:
        settings: `name=value` for all assets that have it, or `layer/name.parameter=value`, which
            goes before it whatever the order; of two alike the last counts.
        nodes: that the run is of.

    Raises:
        PermanentError: one isn't of this form, names nothing, or its value isn't of the type.
    """
    values: dict[Key, dict[str, ParameterValue]] = {}
    wrong: list[str] = []
    for setting in sorted(settings, key=_is_of_one_asset):
        try:
            target, text = _taken_apart(setting)
            for node, name in _meant(target, nodes):
                kind = node.run_parameters[name].type
                try:
                    values.setdefault(node.key, {})[name] = read_value(kind, text)
                except ValueError as error:
                    raise PermanentError(f"--set {target}: {node.key}: {error}") from None
        except PermanentError as error:
            wrong.append(str(error))
    if wrong:
        raise PermanentError("\n".join(dict.fromkeys(wrong)))
    return values


def _is_of_one_asset(setting: str) -> bool:
    return "/" in setting.partition("=")[0]


def _taken_apart(setting: str) -> tuple[str, str]:
    target, equals, text = setting.partition("=")
    if not equals or not target:
        raise PermanentError(
            f"--set {setting}: name=value is needed, or layer/name.parameter=value"
        )
    return target, text


def _meant(target: str, nodes: Sequence[AnyNode]) -> list[tuple[AnyNode, str]]:
    """The parameters that a setting is about: of all assets that have it, or of one."""
    asset, dot, name = target.rpartition(".")
    if not dot:
        found = [(node, target) for node in nodes if target in node.run_parameters]
        return found or _unknown(target, _names(nodes))
    named = [node for node in nodes if asset in (str(node.key), _short(node))]
    if not named:
        _unknown(target, [f"{_short(node)}.{one}" for node in nodes for one in node.run_parameters])
    if name not in named[0].run_parameters:
        _unknown(target, [f"{asset}.{one}" for one in named[0].run_parameters], f"{asset} has")
    return [(named[0], name)]


def _unknown(
    target: str, known: Sequence[str], owner: str = "of the selected assets there are"
) -> list[tuple[AnyNode, str]]:
    near = difflib.get_close_matches(target, known, 1)
    hint = f"; did you mean {near[0]}?" if near else f"; {owner} {', '.join(known) or 'none'}"
    raise PermanentError(f"--set {target}: there is no such parameter{hint}")


def _names(nodes: Sequence[AnyNode]) -> list[str]:
    return list(dict.fromkeys(name for node in nodes for name in node.run_parameters))


def _short(node: AnyNode) -> str:
    return f"{node.key.layer}/{node.key.name}"
