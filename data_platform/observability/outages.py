"""Systems that are down, as the steps that asked them have found.

Called by the command's `status`.
"""

from collections.abc import Callable, Iterable

from dagster import DagsterInstance

from data_platform.instance.circuit_store import CircuitStore
from data_platform.plan.destinations.kinds import circuit_of as target_circuit
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode, DestinationNode, RawNode
from data_platform.sources.circuits import circuit_of, outage_words, read


def outages(
    instance: DagsterInstance, nodes: Iterable[AnyNode], expand: Callable[[str], str]
) -> dict[Key, str]:
    """In words, which of these assets ask a system that isn't asked for now, since it failed.

    Args:
        instance: where circuits are kept.
        nodes: the assets.
        expand: a text with the values of its variables.
    """
    names = {node.key: name for node in nodes if (name := _circuit(node, expand)) is not None}
    kept = CircuitStore(instance).get_all(sorted(set(names.values()))) if names else {}
    circuits = {name: read(text) for name, text in kept.items()}
    return {
        key: outage_words(name, circuits[name])
        for key, name in names.items()
        if name in circuits and circuits[name].is_open
    }


def _circuit(node: AnyNode, expand: Callable[[str], str]) -> str | None:
    match node:
        case DestinationNode():
            return target_circuit(node.target)
        case RawNode():
            return circuit_of(node.source, expand)
        case _:
            return None
