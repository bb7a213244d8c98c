"""An asset of an `assets.py`, resolved: what its function reads, and its contract.

Called by `plan.building`. What the function does is opaque: its columns are those of its contract.
"""

from dataclasses import replace

from data_platform.plan.checks.own_checks import compile_own_checks
from data_platform.plan.declared import (
    Declared,
    partitions_of,
    promised_columns,
    read_window,
    refused,
)
from data_platform.plan.nodes import Input, PythonNode
from data_platform.plan.relations import relation_of
from data_platform.plan.schemas import UNKNOWN_SCHEMA
from data_platform.spec.handwritten import Handwritten, HandwrittenAsset


def python_node(asset: Declared[HandwrittenAsset], written: Handwritten) -> PythonNode:
    """The node of a hand-written asset.

    Raises:
        ConfigurationError: what is wrong with it.
    """
    spec = asset.spec
    partitions = partitions_of(spec.partitions or "none")
    read: dict[str, Input] = {}
    after: list[Input] = []
    for given in written.inputs:
        if given.reference.split(".")[-2] == "destinations":
            loaded = asset.destination(given.reference, written.location)
            after.append(read_window(loaded, partitions, given.window, written.location))
            continue
        upstream = asset.upstream(given.reference, written.location, None)
        one = read_window(upstream, partitions, given.window, written.location)
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
