"""One call of a person's function: what it gets, and what it gives, whichever way it gives it.

Called by `handwritten.assets`. The function is called just as Dagster calls it, through Dagster's
own wrapper of a decorated function.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import dagster as dg
from dagster._core.definitions.utils import NoValueSentinel
from dagster._core.execution.plan.compute_generator import create_op_compute_wrapper

from data_platform.engine.inputs import partitions_read
from data_platform.engine.lake_frames import read_frame
from data_platform.engine.session import Session
from data_platform.handwritten.reading import Parameter, WrittenStep
from data_platform.plan.checks import relation_of
from data_platform.plan.nodes import Key, PythonNode
from data_platform.storage.lake import Snapshot


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


class OnePartition(dg.AssetExecutionContext):
    """The context of a range's run as a function sees it that is called for one partition."""

    def __init__(self, context: dg.AssetExecutionContext, key: str) -> None:
        super().__init__(context.op_execution_context)
        self._key = key

    @property
    def has_partition_key(self) -> bool:
        """There is one."""
        return True

    @property
    def partition_key(self) -> str:
        """The one that the function is called for."""
        return self._key

    @property
    def partition_keys(self) -> Sequence[str]:
        """It alone."""
        return [self._key]

    @property
    def partition_key_range(self) -> dg.PartitionKeyRange:
        """From it to it."""
        return dg.PartitionKeyRange(self._key, self._key)

    @property
    def partition_time_window(self) -> dg.TimeWindow:
        """Its span."""
        definition = self.assets_def.partitions_def
        if not isinstance(definition, dg.TimeWindowPartitionsDefinition):
            raise TypeError("the partitions of this asset have no time window")
        return definition.time_window_for_partition_key(self._key)

    def asset_partition_key_for_output(self, output_name: str = "result") -> str:  # noqa: ARG002
        """The same by its old name."""
        return self._key

    def asset_partition_keys_for_output(self, output_name: str = "result") -> Sequence[str]:  # noqa: ARG002
        """The same by its old name."""
        return [self._key]

    def asset_partitions_time_window_for_output(self, output_name: str = "result") -> dg.TimeWindow:  # noqa: ARG002
        """The same by its old name."""
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
    step: WrittenStep, context: dg.AssetExecutionContext, arguments: Mapping[str, object]
) -> Given:
    """Call the function.

    Args:
        step: the function.
        context: of the call.
        arguments: rows, by parameter.
    """
    definition, keys, outputs = step.definition, step.keys, step.outputs
    compute = cast("Any", create_op_compute_wrapper(definition.op))
    given = Given()
    for event in _events(compute(context, arguments)):
        match event:
            case dg.Output():
                key = outputs[event.output_name]
                if not _says_nothing(definition, event):
                    given.rows[key] = event.value
                given.metadata[key] = event.metadata
            case dg.MaterializeResult():
                written = event.asset_key or next(iter(keys))
                key = keys.get(written, written)
                if event.value is not NoValueSentinel:
                    given.rows[key] = event.value
                given.metadata[key] = event.metadata or {}
                given.results += event.check_results or []
            case _:
                given.results.append(event)
    return given


def _says_nothing(definition: dg.AssetsDefinition, event: dg.Output[object]) -> bool:
    """Whether None stands for "written by itself": where the function promises None."""
    declared = definition.op.output_def_named(event.output_name).dagster_type
    return event.value is None and declared.is_nothing


def _events(result: Any) -> Iterator[Any]:
    if inspect.isasyncgen(result):
        yield from asyncio.run(_gathered(result))
    else:
        yield from result


async def _gathered(events: AsyncIterator[Any]) -> list[Any]:
    return [event async for event in events]
