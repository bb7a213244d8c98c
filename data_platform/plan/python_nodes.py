"""An asset of an `assets.py`, resolved: what its function reads, and its contract.

Called by `plan.building`. What the function does is opaque: its columns are those of its contract.
"""

from collections.abc import Sequence
from dataclasses import replace

from data_platform.errors import Location
from data_platform.plan.checks.own_checks import compile_own_checks
from data_platform.plan.declared import (
    Declared,
    partitions_of,
    promised_columns,
    read_window,
    refused,
)
from data_platform.plan.nodes import DestinationNode, Input, Node, PythonNode
from data_platform.plan.partitions import LENGTHS, Partitions
from data_platform.plan.relations import relation_of
from data_platform.plan.schemas import UNKNOWN_SCHEMA
from data_platform.spec.handwritten import (
    UNNAMED,
    FunctionInput,
    Handwritten,
    HandwrittenAsset,
)


def python_node(asset: Declared[HandwrittenAsset], written: Handwritten) -> PythonNode:
    """The node of a hand-written asset.

    Raises:
        ConfigurationError: what is wrong with it.
    """
    spec = asset.spec
    at = written.location
    upstreams = [(given, _upstream(asset, given.reference, at)) for given in written.inputs]
    partitions = _named_as_in(
        [node for _, node in upstreams], partitions_of(spec.partitions or "none")
    )
    read: dict[str, Input] = {}
    after: list[Input] = []
    for given, upstream in upstreams:
        _require_countable(given, upstream, partitions, at)
        one = read_window(upstream, partitions, given.window, at)
        if isinstance(upstream, DestinationNode):
            after.append(one)
        else:
            read[relation_of(one)] = one
    contract = promised_columns(asset)
    # A contract names all columns: nothing else tells what the function gives.
    schema = replace(contract, closed=True) if contract else UNKNOWN_SCHEMA
    expression = spec.partition_expr
    if expression is not None and contract is not None and expression not in contract:
        raise refused(
            written.location,
            f"partition_expr names {expression!r}, which isn't among the columns: "
            f"{', '.join(contract.names)}",
        )
    if partitions is not None and written.by_range and expression is None:
        raise refused(
            written.location,
            f"{written.function} makes a range of partitions in one call: say in its metadata by "
            'which column a row belongs to one, as in metadata={"partition_expr": "day"}, or leave '
            "backfill_policy out to have it called once for each partition",
        )
    checks, inputs = compile_own_checks(asset, schema, partitions, tuple(read.values()))
    return PythonNode(
        function=written.function,
        step=written.step,
        by_range=written.by_range and partitions is not None,
        partition_expr=expression,
        source=written.code_version or written.code,
        reads=frozenset(one.key for one in read.values()),
        skip_unchanged=(
            bool(read) and not written.reads_outside
            if spec.skip_unchanged is None
            else spec.skip_unchanged
        ),
        partitions=partitions,
        inputs=inputs,
        after=tuple(after),
        schema=schema,
        contract=contract,
        checks=checks,
        **asset.common(),
    )


def _upstream(asset: Declared[HandwrittenAsset], reference: str, at: Location) -> Node:
    if reference.split(".")[-2] == "destinations":
        return asset.destination(reference, at)
    return asset.upstream(reference, at, None)


def _named_as_in(upstreams: Sequence[Node], partitions: Partitions | None) -> Partitions | None:
    """Static partitions have no name in Dagster: it is that of the same values in what is read."""
    if partitions is None or [one.name for one in partitions.by] != [UNNAMED]:
        return partitions
    own = partitions.by[0]
    above = [one for node in upstreams if node.partitions for one in node.partitions.by]
    name = next((one.name for one in above if one.values == own.values), own.name)
    return replace(partitions, by=(replace(own, name=name, column=name),))


def _require_countable(
    given: FunctionInput, upstream: Node, partitions: Partitions | None, at: Location
) -> None:
    """Dagster counts an offset in the reader's partitions, `last` in the shorter ones."""
    own, other = (one.time if one else None for one in (partitions, upstream.partitions))
    if given.window is None or given.window.last is None or own is None or other is None:
        return
    if LENGTHS.index(other.every) < LENGTHS.index(own.every):
        raise refused(
            at,
            f"{upstream.key} has partitions of a {other.every}, this asset of a {own.every}: a "
            "TimeWindowPartitionMapping between them has no start_offset here",
        )
