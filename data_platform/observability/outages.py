"""Systems that are down, as the steps that asked them have found.

Called by the command's `status`.
"""

from collections.abc import Callable, Iterable, Iterator

from dagster import DagsterInstance

from data_platform.instance.circuit_store import CircuitStore
from data_platform.plan.destinations.kinds import circuit_of as target_circuit
from data_platform.plan.nodes import AnyNode, DestinationNode, RawNode
from data_platform.sources.circuits import circuit_of, outage_words, read


def outages(
    instance: DagsterInstance, nodes: Iterable[AnyNode], expand: Callable[[str], str]
) -> list[str]:
    """A line for each system of these assets that isn't asked for now, since it failed.

    Args:
        instance: where circuits are kept.
        nodes: the assets.
        expand: a text with the values of its variables.
    """
    names = sorted(set(_circuits(nodes, expand)))
    found = CircuitStore(instance).get_all(names) if names else {}
    circuits = {name: read(text) for name, text in sorted(found.items())}
    return [outage_words(name, one) for name, one in circuits.items() if one.is_open]


def _circuits(nodes: Iterable[AnyNode], expand: Callable[[str], str]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, DestinationNode):
            name = target_circuit(node.target)
            if name is not None:
                yield name
        if isinstance(node, RawNode):
            name = circuit_of(node.source, expand)
            if name is not None:
                yield name
