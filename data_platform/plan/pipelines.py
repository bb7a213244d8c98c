"""The plan of all pipelines: what `building` makes, and all above it read.

Nodes, of which it consists, are in `nodes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from data_platform.errors import Location
from data_platform.plan.functions import UserFunction
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.spec.alerts import Notify
from data_platform.spec.automation import Schedule
from data_platform.spec.limits import RunBudget


@dataclass(frozen=True)
class Registration:
    """Keys of dynamic partitions, one for each value of a column.

    Attributes:
        name: of the dynamic partitions.
        source: the asset.
        column: of it.
    """

    name: str
    source: Key
    column: str


@dataclass(frozen=True)
class PipelinePlan:
    """The nodes of one pipeline, upstreams first."""

    name: str
    description: str | None
    owner: str
    location: Location
    schedule: Schedule | None
    nodes: tuple[AnyNode, ...]
    max_active_runs: int | None = None
    on_finish: UserFunction | None = None
    notify: Notify | None = None
    registrations: tuple[Registration, ...] = ()

    @property
    def run_budget(self) -> RunBudget | None:
        """What its runs may take on average, which each of its nodes knows."""
        return next((node.run_budget for node in self.nodes if node.run_budget), None)


@dataclass(frozen=True)
class Plan:
    """The nodes of all sound pipelines."""

    pipelines: tuple[PipelinePlan, ...]
    _by_key: Mapping[Key, AnyNode] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", {node.key: node for node in self.nodes})

    @property
    def nodes(self) -> tuple[AnyNode, ...]:
        """All nodes, upstreams first within each pipeline."""
        return tuple(node for pipeline in self.pipelines for node in pipeline.nodes)

    def __getitem__(self, key: Key) -> AnyNode:
        return self._by_key[key]

    def get(self, key: Key) -> AnyNode | None:
        """The node of a key, or None."""
        return self._by_key.get(key)

    def pipeline(self, name: str) -> PipelinePlan | None:
        """A pipeline by its name, or None."""
        return next((pipeline for pipeline in self.pipelines if pipeline.name == name), None)
