"""A destination, resolved: which asset it follows, and what is written where.

Called by `plan.building`.
"""

from dataclasses import replace
from typing import Any, cast

from data_platform.plan.checks.kinds import Check, RowCheck
from data_platform.plan.checks.own_checks import compile_own_checks
from data_platform.plan.declared import Declared, same_partition
from data_platform.plan.destinations.files import file_target
from data_platform.plan.destinations.kinds import AnyTarget
from data_platform.plan.destinations.redshift import redshift_target
from data_platform.plan.destinations.table_targets import table_target
from data_platform.plan.nodes import DestinationNode, LakeNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.schemas import Schema
from data_platform.spec.asset import Retries
from data_platform.spec.destinations import (
    AnyDestination,
    DatabaseDestination,
    FileDestination,
    RedshiftDestination,
)


def destination_node(asset: Declared[AnyDestination]) -> DestinationNode:
    """The node of a destination.

    Raises:
        ConfigurationError: what is wrong with it.
    """
    spec = asset.spec
    source = asset.upstream(spec.from_, asset.at("from"), None)
    partitions = asset.inherited_partitions(source.partitions)
    target = _target(asset, source, partitions)
    inputs = (same_partition(source, partitions, asset.at("from")),)
    checks: tuple[Check, ...] = ()
    if isinstance(spec, DatabaseDestination | FileDestination):
        ruled = cast("Declared[DatabaseDestination] | Declared[FileDestination]", asset)
        checks, inputs = compile_own_checks(ruled, source.schema, partitions, inputs)
    return DestinationNode(
        source=source.key,
        target=target,
        partitions=partitions,
        inputs=inputs,
        schema=source.schema,
        checks=checks,
        contract=_kept_contract(source),
        **asset.common(Retries()),
    )


def _target(asset: Declared[Any], source: LakeNode, partitions: Partitions | None) -> AnyTarget:
    match asset.spec:
        case DatabaseDestination():
            return table_target(asset, source, partitions)
        case FileDestination():
            return file_target(asset, partitions)
        case RedshiftDestination():
            return redshift_target(asset, source, partitions)
        case _:
            raise AssertionError(asset.spec)


def _kept_contract(source: LakeNode) -> Schema | None:
    """The contract as the rows surely keep it: a rule that only warns lets NULLs through."""
    warned = {
        column
        for check in source.checks
        if isinstance(check, RowCheck) and check.kind == "not_null" and check.effect == "warn"
        for column in check.columns
    }
    contract = source.contract
    if contract is None or not warned:
        return contract
    columns = (
        replace(column, nullable=True) if column.name in warned else column
        for column in contract.columns
    )
    return replace(contract, columns=tuple(columns))
