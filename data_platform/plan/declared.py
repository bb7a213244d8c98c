"""An asset as it was written, and its way to what it refers to.

Made by `plan.building`, which knows all assets; given to the one module a layer that builds its
node: `raw_nodes`, `staging_nodes`, `analytics_nodes`, `destinations.nodes`.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.conversions import named_type
from data_platform.plan.functions import Role, UserFunction, find_function
from data_platform.plan.keys import Key
from data_platform.plan.nodes import DestinationNode, Input, LakeNode, Node
from data_platform.plan.parameters import RunParameters
from data_platform.plan.partitions import (
    Dimension,
    Partitions,
    TimePartitions,
    alike,
    disagreement,
    window_trouble,
)
from data_platform.plan.schemas import Column, Schema
from data_platform.spec.asset import Asset, LakeAsset, Retries, Window
from data_platform.spec.limits import Budgets, merged
from data_platform.spec.partitions import Divided
from data_platform.spec.partitions import Partitions as WrittenPartitions
from data_platform.spec.platform import Platform
from data_platform.spec.reading import PipelineFile

SpecT_co = TypeVar("SpecT_co", bound=Asset, covariant=True)


@dataclass(frozen=True)
class Declared(Generic[SpecT_co]):
    """An asset as written.

    Attributes:
        key: its key.
        file: the pipeline that it stands in.
        spec: what it says.
        at: the location of one of its keys.
        upstream: the node of a reference of one of some layers (None: of any), or raises.
        target: the key of a reference, or raises.
        destination: the node of a reference to a destination, or raises.
        platform: platform.yaml; None where it has mistakes, and so names nothing.
        parameters: that a run may give it.
    """

    key: Key
    file: PipelineFile
    spec: SpecT_co
    at: Callable[..., Location]
    upstream: Callable[[str, Location, set[str] | None], LakeNode]
    target: Callable[[str, Location], Key]
    destination: Callable[[str, Location], DestinationNode]
    platform: Platform | None
    parameters: RunParameters

    def common(self, retries: Retries | None = None) -> dict[str, Any]:
        """The arguments that every node takes.

        Args:
            retries: where the asset doesn't say.
        """
        spec, pipeline = self.spec, self.file.spec
        general = self.platform.budgets if self.platform else Budgets()
        self._require_pool()
        version = {"contract_version": spec.contract_version} if isinstance(spec, LakeAsset) else {}
        return {
            **version,
            "key": self.key,
            "location": self.at(),
            "description": spec.description,
            "owner": spec.owner or pipeline.owner,
            "criticality": pipeline.criticality,
            "tags": {**pipeline.tags, **spec.tags},
            "runbook": spec.runbook or pipeline.runbook,
            "retries": spec.retries or retries,
            "timeout": spec.timeout,
            "run_parameters": spec.parameters,
            "pool": spec.pool or self._pool_of_connection(),
            "partitions_per_run": spec.backfill.partitions_per_run,
            "external": self._external(),
            "pool_slots": spec.pool_slots,
            "priority": spec.priority,
            "resources": spec.resources,
            "budget": merged(spec.budget, general.steps),
            "run_budget": merged(pipeline.budget, general.runs),
            "enabled": spec.enabled,
            "automation": spec.automation,
            "freshness": spec.freshness,
        }

    def _external(self) -> tuple[str, ...]:
        """The external assets that it follows, which platform.yaml must know."""
        known = list(self.platform.external_assets) if self.platform else self.spec.after
        for number, key in enumerate(self.spec.after):
            if key not in known:
                hint = nearest(key, known) or f"there are {', '.join(known) or 'none'}"
                raise refused(
                    self.at("after", number),
                    f"{key!r} isn't among the external_assets of platform.yaml; {hint}",
                )
        return tuple(dict.fromkeys(self.spec.after))

    def _require_pool(self) -> None:
        """See to it that platform.yaml has its pool, and that the pool has as many slots."""
        wanted, slots = self.spec.pool, self.spec.pool_slots
        if self.platform is None:
            return
        pools = self.platform.pools
        known = ", ".join(f"{name} with {limit}" for name, limit in pools.items()) or "none"
        if wanted is not None and wanted not in pools:
            raise refused(
                self.at("pool"),
                f"there is no pool {wanted!r} in platform.yaml; there are {known}",
            )
        if slots == 1:
            return
        pool = wanted or self._pool_of_connection()
        if pool is None:
            raise refused(
                self.at("pool_slots"),
                f"{slots} slots of no pool: say `pool` as well; in platform.yaml there are {known}",
            )
        if slots > pools[pool]:
            raise refused(
                self.at("pool_slots"),
                f"pool {pool} has {pools[pool]} in platform.yaml, and a step can't take {slots} "
                "of them: it would wait for ever; take fewer, or raise the pool's limit",
            )

    def _pool_of_connection(self) -> str | None:
        """The pool that has its connection's name, if there is one: it bounds all who ask it."""
        connection = getattr(self.spec, "connection", None)
        return connection if self.platform and connection in self.platform.pools else None

    def require_connection(self, name: str, kind: str) -> None:
        """See to it that platform.yaml has the connection, and that it is of a type."""
        known = self.platform.connections if self.platform else None
        if known is None:
            return
        if name not in known:
            hint = nearest(name, list(known)) or f"there are {', '.join(known) or 'none'}"
            raise refused(
                self.at("connection"), f"there is no connection {name!r} in platform.yaml; {hint}"
            )
        if known[name].type != kind:
            fitting = ", ".join(n for n, other in known.items() if other.type == kind) or "none"
            raise refused(
                self.at("connection"),
                f"connection {name!r} is of type {known[name].type}, and {kind} is needed; "
                f"of that type there are {fitting}",
            )

    def function(
        self, partitions: Partitions | None, role: Role, written: str, location: Location
    ) -> UserFunction:
        """The function of a name.

        Args:
            partitions: of the asset, one of which a function may take.
            role: what it is for.
            written: as `module:function`.
            location: where it is named.
        """
        folder, pipeline = self.file.folder, self.file.spec.pipeline
        names = self.parameters.names
        found = find_function(written, role, folder, pipeline, location, partitions, names)
        self.parameters.use(found.takes)
        return found.given(self.parameters.defaults)

    def inherited_partitions(self, inherited: Partitions | None) -> Partitions | None:
        """The partitions of what it is made from, which it may repeat but not change."""
        written = self.spec.partitions
        if written is not None and partitions_of(written) != inherited:
            raise refused(
                self.at("partitions"),
                "this asset has the partitions of what it is made from; leave the key out",
            )
        return inherited


def partitions_of(written: WrittenPartitions) -> Partitions | None:
    """The partitions of what was written."""
    if not isinstance(written, Divided):
        return None
    time = None
    if written.every is not None and written.start is not None:
        time = TimePartitions(written.every, written.start, written.end, written.timezone)
    by = (Dimension(n, one.column or n, tuple(one.values)) for n, one in written.by.items())
    return Partitions(time, tuple(by), written.dynamic)


def promised_columns(asset: Declared[LakeAsset]) -> Schema | None:
    """The contract of `columns`, where there is one."""
    if not asset.spec.columns:
        return None
    columns = [
        Column(
            name,
            named_type(promise.type, asset.at("columns", name, "type")) if promise.type else None,
            promise.description,
            promise.nullable,
            promise.unique,
            promise.pii,
        )
        for name, promise in asset.spec.columns.items()
    ]
    return Schema(tuple(columns), closed=False)


def same_partition(
    upstream: Node, partitions: Partitions | None, at: Location, advice: str = ""
) -> Input:
    """What belongs to a partition of an upstream's; all of it where one of the two has none.

    Args:
        upstream: the other asset.
        partitions: of who reads.
        at: where it is named.
        advice: what to do where they don't fit.

    Raises:
        ConfigurationError: nothing of it belongs to a partition.
    """
    if upstream.partitions is None:
        return Input(upstream.key, "whole")
    if partitions is None:
        return Input(upstream.key, "all")
    if alike(partitions, upstream.partitions):
        others = None if upstream.partitions == partitions else upstream.partitions
        return Input(upstream.key, "same", partitions=others)
    if trouble := disagreement(partitions, upstream.partitions):
        raise refused(at, f"{upstream.key} can't be read by partition: {trouble}{advice}")
    return Input(upstream.key, "matching", partitions=upstream.partitions)


def read_window(
    upstream: Node,
    partitions: Partitions | None,
    window: Window | None,
    at: Location,
    advice: str = "",
) -> Input:
    """What a window of an upstream is; None means what belongs to the partition.

    Raises:
        ConfigurationError: there are no partitions of time that it could count, or they don't fit.
    """
    if window is None:
        return same_partition(upstream, partitions, at, advice)
    if window.all:
        return all_of(upstream)
    nothing = Partitions()
    trouble = window_trouble(partitions or nothing, upstream.partitions or nothing)
    if trouble:
        raise refused(at, f"`last` of {upstream.key}: {trouble}{advice}")
    return Input(upstream.key, "last", window.last or 1, upstream.partitions)


def all_of(upstream: Node) -> Input:
    """All of an upstream."""
    return Input(upstream.key, "whole" if upstream.partitions is None else "all")


def nearest(name: str, known: Sequence[str], cutoff: float = 0.6) -> str | None:
    """`did you mean ...?`, where there is something like it."""
    near = difflib.get_close_matches(name, known, 1, cutoff)
    return f"did you mean {near[0]}?" if near else None


def by_key(upstreams: Mapping[str, LakeNode]) -> dict[Key, LakeNode]:
    """The nodes by their keys: two references may name one asset."""
    return {node.key: node for node in upstreams.values()}


def refused(location: Location, message: str) -> ConfigurationError:
    """The one problem, to be raised."""
    return ConfigurationError([Problem(location, message)])
