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
from data_platform.plan.partitions import Partitions
from data_platform.plan.relations import relation_of
from data_platform.plan.sql.queries import compile_query, parameters_of
from data_platform.spec.asset import Window
from data_platform.spec.pipeline import AnalyticsAsset


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

    parameters = parameters_of(text, location, probe, asset.parameters)
    windows = _windows(asset, upstreams)
    partitions = _partitions(asset, upstreams)

    def reads(reference: str, _place: Location) -> Input:
        upstream = upstreams[reference]
        return read_window(upstream, partitions, windows.get(upstream.key))

    query = compile_query(text, location, reads, asset.parameters)
    if partitions is None and parameters:
        raise refused(location, f":{parameters[0]} has no value: the asset has no partitions")
    nodes = by_key(upstreams)
    schemas = {relation_of(given): nodes[given.key].schema for given in query.inputs}
    relations = {reference: relation_of(reads(reference, location)) for reference in upstreams}
    schema = query_schema(query.sql, schemas, text, location, relations)
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


def _windows(asset: Declared[AnalyticsAsset], upstreams: dict[str, LakeNode]) -> dict[Key, Window]:
    """What `inputs` says of upstreams, by their keys."""
    read = by_key(upstreams)
    windows: dict[Key, Window] = {}
    for name, window in asset.spec.inputs.items():
        place = asset.at("inputs", name)
        key = asset.target(name, place)
        if key not in read:
            raise refused(
                place, f"the SQL doesn't read {name}; it reads {', '.join(upstreams) or 'nothing'}"
            )
        windows[key] = window
    return windows


def _partitions(
    asset: Declared[AnalyticsAsset], upstreams: dict[str, LakeNode]
) -> Partitions | None:
    """The pipeline's, unless it says otherwise or nothing that it reads has any."""
    if asset.spec.partitions is not None:
        return partitions_of(asset.spec.partitions)
    partitioned = any(node.partitions for node in upstreams.values())
    return partitions_of(asset.file.spec.partitions) if partitioned else None
