"""Which parameters of runs an asset may declare, and which of them make no sense.

Called by `plan.building`.
"""

from collections.abc import Callable, Iterator

from data_platform.errors import Location, Problem
from data_platform.plan.declared import refused
from data_platform.plan.nodes import AnyNode, RawNode
from data_platform.plan.parameters import RunParameters
from data_platform.spec.asset import Asset
from data_platform.spec.destinations import DestinationAsset
from data_platform.spec.handwritten import HandwrittenAsset

Locate = Callable[..., Location]


def parameters_of(spec: Asset, at: Locate) -> RunParameters:
    """The parameters that an asset declares.

    Args:
        spec: of the asset.
        at: where a key of it stands.

    Raises:
        ConfigurationError: it can't have any.
    """
    if spec.parameters and isinstance(spec, HandwrittenAsset):
        message = "a function of assets.py takes its values by Dagster's own `config: dg.Config`"
        raise refused(at("parameters"), f"{message}; leave `parameters` out")
    if spec.parameters and isinstance(spec, DestinationAsset):
        message = "a destination loads what its asset has: nothing in it could use `parameters`"
        raise refused(at("parameters"), message)
    return RunParameters(spec.parameters)


def parameter_problems(node: AnyNode, parameters: RunParameters, at: Locate) -> Iterator[Problem]:
    """What is wrong with the parameters of an asset; a warning for each that nothing uses.

    Args:
        node: the asset.
        parameters: of it, which know what of them is used.
        at: where a key of it stands.
    """
    if isinstance(node, RawNode):
        parameters.use_mentioned(str(node.source))
    for name in parameters.unused():
        message = (
            f"nothing uses the parameter {name}: name it as :{name} in SQL, or as a parameter of "
            "a function"
        )
        yield Problem(at("parameters", name), message, warning=True)
    taken = node.partitions.binds if node.partitions else ()
    for name in node.run_parameters:
        if name in taken:
            message = f":{name} is the value of a partition: give the parameter another name"
            yield Problem(at("parameters", name), message)
