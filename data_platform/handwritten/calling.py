"""One call of a person's function: what it gets, and what it gives, whichever way it gives it.

Called by `handwritten.assets`. The function is called just as Dagster calls it, through Dagster's
own wrapper of a decorated function.
"""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, cast

import dagster as dg
from dagster._core.definitions.utils import NoValueSentinel
from dagster._core.execution.plan.compute_generator import create_op_compute_wrapper

from data_platform.engine.inputs import partitions_read
from data_platform.engine.lake_frames import read_frame
from data_platform.engine.session import Session
from data_platform.handwritten.partitioning import as_kept, as_written
from data_platform.handwritten.written import Parameter, WrittenStep
from data_platform.plan.keys import Key
from data_platform.plan.nodes import PythonNode
from data_platform.plan.partitions import TIME
from data_platform.plan.relations import relation_of
from data_platform.storage.versions import Snapshot


@dataclass
class Given:
    """What calls of a function gave.

    Attributes:
        rows: by asset; none of one that its function wrote by itself.
        metadata: that it said with them, by asset.
        results: check results and other events, to be passed on.
    """

    rows: dict[dg.AssetKey, object] = field(default_factory=dict[dg.AssetKey, object])
    metadata: dict[dg.AssetKey, Mapping[str, Any]] = field(
        default_factory=dict[dg.AssetKey, Mapping[str, Any]]
    )
    results: list[object] = field(default_factory=list[object])


class CallContext(dg.AssetExecutionContext):
    """The context as the function sees it: keys as its file writes them, one partition of a range.

    Args:
        context: of the step.
        step: the function.
        partition: that it is called for; None where it is called for all of the run.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, step: WrittenStep, partition: str | None
    ) -> None:
        super().__init__(context.op_execution_context)
        self._step = step
        self._partition = partition
        self.said: dict[dg.AssetKey, dict[str, Any]] = {}

    @property
    def selected_asset_keys(self) -> AbstractSet[dg.AssetKey]:
        """What is materialized, by the keys that the file writes."""
        selected = super().selected_asset_keys
        return {written for written, key in self._step.keys.items() if key in selected}

    @functools.cached_property
    def assets_def(self) -> dg.AssetsDefinition:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What the function makes, by the keys that the file writes. Dagster Pipes asks for it."""
        written = {key: name for name, key in self._step.keys.items()}
        return super().assets_def.with_attributes(asset_key_replacements=written)

    def get_asset_provenance(self, asset_key: dg.AssetKey) -> dg.DataProvenance | None:
        """Of what its newest materialization was made."""
        return super().get_asset_provenance(self._step.keys.get(asset_key, asset_key))

    def add_output_metadata(
        self,
        metadata: Mapping[str, Any],
        output_name: str | None = None,
        mapping_key: str | None = None,  # noqa: ARG002 -- assets have no dynamic outputs
    ) -> None:
        """Keep it for the materialization of an output; the only one where none is named."""
        keys = list(self._step.outputs.values())
        if output_name is None and len(keys) > 1:
            raise ValueError(f"name the output: {', '.join(self._step.outputs)}")
        key = self._step.outputs[output_name] if output_name else keys[0]
        self.said.setdefault(key, {}).update(metadata)

    def add_asset_metadata(
        self,
        metadata: Mapping[str, Any],
        asset_key: Any = None,
        partition_key: str | None = None,
    ) -> None:
        """Keep it for the materialization of an asset; the only one where none is named."""
        keys = self._step.keys
        if asset_key is None and len(keys) > 1:
            raise ValueError("name the asset_key: the function makes several assets")
        written = dg.AssetKey.from_coercible(asset_key) if asset_key else next(iter(keys))
        if (
            partition_key is None
            or as_kept(partition_key, self._step.dimensions) == self._partition
        ):
            self.said.setdefault(keys.get(written, written), {}).update(metadata)

    @property
    def has_partition_key(self) -> bool:
        """Whether it is called for one."""
        return self._partition is not None or super().has_partition_key

    @property
    def partition_key(self) -> str:
        """The one that it is called for, with the dimensions of its file."""
        key = self._partition if self._partition is not None else super().partition_key
        return as_written(key, self._step.dimensions)

    @property
    def partition_keys(self) -> Sequence[str]:
        """Those that it is called for."""
        keys = [self._partition] if self._partition is not None else super().partition_keys
        return [as_written(key, self._step.dimensions) for key in keys]

    @property
    def partition_key_range(self) -> dg.PartitionKeyRange:
        """From the first to the last."""
        keys = self.partition_keys
        return dg.PartitionKeyRange(keys[0], keys[-1])

    @property
    def partition_time_window(self) -> dg.TimeWindow:
        """Their span."""
        definition, key = self.assets_def.partitions_def, self._partition
        if isinstance(definition, dg.MultiPartitionsDefinition) and key is not None:
            key = definition.get_partition_key_from_str(key).keys_by_dimension.get(TIME)
            definition = definition.time_window_partitions_def if key else None
        if key is None or not isinstance(definition, dg.TimeWindowPartitionsDefinition):
            return super().partition_time_window
        return definition.time_window_for_partition_key(key)

    def asset_partition_key_for_output(self, output_name: str = "result") -> str:  # noqa: ARG002
        """The partition by an old name."""
        return self.partition_key

    def asset_partition_keys_for_output(self, output_name: str = "result") -> Sequence[str]:  # noqa: ARG002
        """The partitions by an old name."""
        return self.partition_keys

    def asset_partition_key_range_for_output(
        self,
        output_name: str = "result",  # noqa: ARG002
    ) -> dg.PartitionKeyRange:
        """The range by an old name."""
        return self.partition_key_range

    def asset_partitions_time_window_for_output(
        self,
        output_name: str = "result",  # noqa: ARG002
    ) -> dg.TimeWindow:
        """The span by an old name."""
        return self.partition_time_window


def arguments(
    session: Session,
    node: PythonNode,
    parameters: Sequence[Parameter],
    keys: Sequence[str],
    upstreams: Mapping[str, Snapshot],
) -> dict[str, object]:
    """The rows that a call gets, by parameter.

    Args:
        session: that does nothing else while a relation or reader is used.
        node: one of the step's assets.
        parameters: of the function.
        keys: the partitions of the call.
        upstreams: a snapshot of each upstream, by relation.
    """
    found: dict[str, object] = {}
    by_key = {given.key: given for given in node.inputs}
    for parameter in parameters:
        given = by_key[Key(*parameter.key.path)]
        snapshot = upstreams[relation_of(given)]
        wanted = partitions_read(given, node, keys, snapshot.partitions)
        kind, columns = parameter.type.kind, parameter.columns
        found[parameter.name] = (
            {key: read_frame(session, snapshot.files([key]), kind, columns) for key in wanted}
            if parameter.type.by_partition
            else read_frame(session, snapshot.files(wanted), kind, columns)
        )
    return found


def call(
    step: WrittenStep,
    context: dg.AssetExecutionContext,
    partition: str | None,
    arguments: Mapping[str, object],
) -> Given:
    """Call the function.

    Args:
        step: the function.
        context: of the step.
        partition: that it is called for; None where it is called for all of the run.
        arguments: rows, by parameter.
    """
    compute = cast("Any", create_op_compute_wrapper(step.definition.op))
    seen = CallContext(context, step, partition)
    given = Given()
    for event in _events(compute(seen, arguments)):
        match event:
            case dg.Output():
                key = step.outputs[event.output_name]
                if not _says_nothing(step.definition, event):
                    given.rows[key] = event.value
                given.metadata[key] = event.metadata
            case dg.MaterializeResult():
                written = event.asset_key or next(iter(step.keys))
                key = step.keys.get(written, written)
                if event.value is not NoValueSentinel:
                    given.rows[key] = event.value
                given.metadata[key] = event.metadata or {}
                given.results += [_full(result, step) for result in event.check_results or []]
            case dg.AssetCheckResult():
                given.results.append(_full(event, step))
            case _:
                given.results.append(event)
    for key, said in seen.said.items():
        given.metadata[key] = {**given.metadata.get(key, {}), **said}
    return given


def _full(result: dg.AssetCheckResult, step: WrittenStep) -> dg.AssetCheckResult:
    """A check's result by the asset's full key."""
    key = result.asset_key
    return result._replace(asset_key=step.keys.get(key, key)) if key else result


def _says_nothing(definition: dg.AssetsDefinition, event: dg.Output[object]) -> bool:
    """Whether None stands for "written by itself": where the function promises None."""
    declared = definition.op.output_def_named(event.output_name).dagster_type
    return event.value is None and declared.is_nothing


def _events(result: Any) -> Iterator[Any]:
    if inspect.isasyncgen(result):
        yield from _awaited(_gathered(result))
    else:
        yield from result


def _awaited(events: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    """Where a loop runs already, as in a notebook, another thread has one of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(events)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, asyncio.run, events).result()


async def _gathered(events: AsyncIterator[Any]) -> list[Any]:
    return [event async for event in events]
