"""An analytics asset, resolved: what its SQL reads, by which partitions.

Called by `plan.building`; the SQL's text and columns are `plan.analytics`'.
"""

from data_platform.errors import Location
from data_platform.plan.analytics import (
    described_by,
    hold_to_contract,
    query_schema,
    sql_text,
)
from data_platform.plan.checks.own_checks import compile_own_checks
from data_platform.plan.declared import (
    Declared,
    by_key,
    partitions_of,
    promised_columns,
    read_window,
    refused,
)
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnalyticsNode, Input, LakeNode
from data_platform.plan.relations import relation_of
from data_platform.plan.sql.queries import binds_of, compile_query, look_at
from data_platform.spec.asset import Window
from data_platform.spec.pipeline import AnalyticsAsset

_READ_ALL = "; or read all of it, by `inputs: {<asset>: {all: true}}`"


def analytics_node(asset: Declared[AnalyticsAsset]) -> AnalyticsNode:
    """The node of an analytics asset.

    Raises:
        ConfigurationError: what is wrong with it.
    """
    text, location = sql_text(asset.file, asset.spec, asset.at)
    upstreams: dict[str, LakeNode] = {}

    def probe(reference: str, place: Location) -> Input:
        upstreams[reference] = asset.upstream(reference, place, None)
        return Input(upstreams[reference].key, "whole")

    # Those of the pipeline, unless it says otherwise or nothing that it reads has any.
    written = partitions_of(asset.spec.partitions or asset.file.spec.partitions or "none")
    look_at(text, location, probe, asset.parameters, written)
    windows = _windows(asset, upstreams)
    partitioned = asset.spec.partitions or any(node.partitions for node in upstreams.values())
    partitions = written if partitioned else None

    def reads(reference: str, place: Location) -> Input:
        upstream = upstreams[reference]
        name, window = windows.get(upstream.key, (reference, None))
        at = asset.at("inputs", name) if window else place
        return read_window(upstream, partitions, window, at, _READ_ALL)

    query = compile_query(text, location, reads, asset.parameters, partitions)
    if partitions is None and query.parameters:
        raise refused(location, f":{query.parameters[0]} has no value: the asset has no partitions")
    nodes = by_key(upstreams)
    schemas = {relation_of(given): nodes[given.key].schema for given in query.inputs}
    relations = {reference: relation_of(reads(reference, location)) for reference in upstreams}
    binds = binds_of(partitions)
    schema = query_schema(query.sql, schemas, text, location, relations, binds)
    contract = promised_columns(asset)
    hold_to_contract(contract, schema, asset.at)
    checks, inputs = compile_own_checks(asset, schema, partitions, query.inputs)
    return AnalyticsNode(
        sql=query.sql,
        parameters=query.parameters,
        range_sql=query.range_sql,
        partitions=partitions,
        inputs=inputs,
        schema=described_by(contract, schema),
        contract=contract,
        checks=checks,
        unversioned=query.momentary,
        **asset.common(),
    )


def _windows(
    asset: Declared[AnalyticsAsset], upstreams: dict[str, LakeNode]
) -> dict[Key, tuple[str, Window]]:
    """What `inputs` says of upstreams, by their keys, and under which names."""
    read = by_key(upstreams)
    windows: dict[Key, tuple[str, Window]] = {}
    for name, window in asset.spec.inputs.items():
        place = asset.at("inputs", name)
        key = asset.target(name, place)
        if key not in read:
            raise refused(
                place, f"the SQL doesn't read {name}; it reads {', '.join(upstreams) or 'nothing'}"
            )
        windows[key] = (name, window)
    return windows
