"""What a person asks to run, and the assets that are meant.

Made by the command, by replays and by tests; read by `running.pipelines` and `backfills`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from data_platform.errors import PermanentError
from data_platform.loading import Loaded
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.plan.pipelines import PipelinePlan


@dataclass(frozen=True)
class Request:
    """What to run.

    Attributes:
        pipeline: its name.
        partition: one partition's key; or
        first, end: a range of time, `end` not included; or
        keys: several partitions' keys. None of them means the newest due partition.
        select: keys, `layer/name` or `layer/pipeline/name`; empty means all.
        settings: values of parameters, `name=value` or `layer/name.parameter=value`.
        force: compute though nothing changed.
        register: register `partition` first, where keys are registered as they come.
        cause: why it runs, in short words.
    """

    pipeline: str
    partition: str | None = None
    first: str | None = None
    end: str | None = None
    select: Sequence[str] = field(default_factory=tuple)
    settings: Sequence[str] = field(default_factory=tuple)
    keys: Sequence[str] = ()
    force: bool = False
    register: bool = False
    cause: str = "command run"


def pipeline_of(loaded: Loaded, name: str) -> PipelinePlan:
    """A pipeline by its name.

    Raises:
        PermanentError: there is none, or it has mistakes.
    """
    pipeline = loaded.plan.pipeline(name)
    if pipeline is not None:
        return pipeline
    if name in loaded.broken:
        raise PermanentError(f"pipeline {name} has mistakes; `data-platform check` lists them")
    known = ", ".join(pipeline.name for pipeline in loaded.plan.pipelines) or "none"
    raise PermanentError(f"there is no pipeline {name!r}; there are {known}")


def selected(pipeline: PipelinePlan, select: Iterable[str]) -> list[AnyNode]:
    """The assets that are meant, upstreams first, without those that are disabled.

    Raises:
        PermanentError: the pipeline has no asset of such a key, or all of them are disabled.
    """
    meant = _meant(pipeline, select)
    enabled = [node for node in meant if node.enabled]
    if meant and not enabled:
        names = ", ".join(f"{node.key.layer}/{node.key.name}" for node in meant)
        raise PermanentError(
            f"nothing is left to run: {names} {'is' if len(meant) == 1 else 'are'} disabled by "
            f"`enabled: false`, at {meant[0].location}"
        )
    return enabled


def left_out(pipeline: PipelinePlan, select: Iterable[str]) -> tuple[Key, ...]:
    """The assets that are meant, and disabled."""
    return tuple(node.key for node in _meant(pipeline, select) if not node.enabled)


def _meant(pipeline: PipelinePlan, select: Iterable[str]) -> list[AnyNode]:
    """The assets of some keys, upstreams first; a function makes all of its assets."""
    wanted = list(select)
    if not wanted:
        return list(pipeline.nodes)
    names = {f"{node.key.layer}/{node.key.name}": node for node in pipeline.nodes}
    names |= {str(node.key): node for node in pipeline.nodes}
    unknown = [name for name in wanted if name.replace(".", "/") not in names]
    if unknown:
        known = ", ".join(f"{node.key.layer}/{node.key.name}" for node in pipeline.nodes)
        raise PermanentError(
            f"pipeline {pipeline.name} has no asset {unknown[0]!r}; it has {known}"
        )
    chosen = {names[name.replace(".", "/")].key for name in wanted}
    steps = {node.step_name for node in pipeline.nodes if node.key in chosen}
    return [node for node in pipeline.nodes if node.step_name in steps]


def enabled(nodes: Sequence[AnyNode]) -> list[AnyNode]:
    """Without those that nothing is to start.

    Raises:
        PermanentError: none is left.
    """
    left = [node for node in nodes if node.enabled]
    if not left:
        names = ", ".join(f"{node.key.layer}/{node.key.name}" for node in nodes)
        raise PermanentError(f"`enabled: false` is said of {names}: nothing starts it")
    return left
