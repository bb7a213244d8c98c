"""Where the keys of dynamic partitions come from: columns of assets, resolved.

Called by `plan.building` once all assets are known.
"""

from collections.abc import Mapping

from data_platform.errors import ConfigurationError, Problem
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode, DestinationNode
from data_platform.plan.pipelines import Registration
from data_platform.spec.reading import PipelineFile
from data_platform.spec.wording import nearest


def registrations_of(
    file: PipelineFile, built: Mapping[Key, AnyNode | None]
) -> tuple[Registration, ...]:
    """What `dynamic` of a pipeline says.

    Raises:
        ConfigurationError: it names what there isn't.
    """
    problems: list[Problem] = []
    found: list[Registration] = []
    nodes = [node for node in built.values() if node is not None]
    used = {node.partitions.dynamic for node in nodes if node.partitions}
    for name, written in file.spec.dynamic.items():
        parts = written.from_.split(".")
        pipeline = file.spec.pipeline if len(parts) == 2 else parts[0]  # noqa: PLR2004
        source = built.get(Key(parts[-2], pipeline, parts[-1]))
        wrong = None
        if name not in used:
            wrong = f"no asset has the partitions {{dynamic: {name}}}"
        elif source is None or isinstance(source, DestinationNode):
            names = [f"{n.key.layer}.{n.key.name}" for n in nodes if n.key.pipeline == pipeline]
            near = nearest(f"{parts[-2]}.{parts[-1]}", names)
            wrong = f"there is no asset {written.from_!r}"
            wrong += f"; did you mean {near}?" if near else ""
        elif source.partitions is not None and source.partitions.dynamic == name:
            wrong = f"{written.from_} has these partitions itself: name an asset without them"
        elif source.schema.closed and written.column not in source.schema:
            wrong = f"{written.from_} has no column {written.column!r}"
        if wrong is not None:
            problems.append(Problem(file.locate("dynamic", name), wrong))
        elif source is not None:
            found.append(Registration(name, source.key, written.column))
    if problems:
        raise ConfigurationError(problems)
    return tuple(found)
