"""A destination, resolved: which asset it follows, and what is written where.

Called by `plan.building`.
"""

from typing import Any, cast

from data_platform.errors import ConfigurationError
from data_platform.plan.checks.kinds import Check
from data_platform.plan.checks.own_checks import compile_own_checks
from data_platform.plan.declared import Declared, refused, same_partition
from data_platform.plan.destinations.kinds import AnyTarget, TableTarget
from data_platform.plan.naming import PARTITION
from data_platform.plan.nodes import DestinationNode
from data_platform.plan.partitions import DailyPartitions
from data_platform.plan.sources.queries import connection_dialect
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
    target = _target(asset, partitions)
    inputs = (same_partition(source, partitions),)
    checks: tuple[Check, ...] = ()
    if isinstance(spec, DatabaseDestination):
        ruled = cast("Declared[DatabaseDestination]", asset)
        checks, inputs = compile_own_checks(ruled, source.schema, partitions, inputs)
    return DestinationNode(
        source=source.key,
        target=target,
        partitions=partitions,
        inputs=inputs,
        schema=source.schema,
        checks=checks,
        contract=source.contract,
        **asset.common(Retries()),
    )


def _target(asset: Declared[Any], partitions: DailyPartitions | None) -> AnyTarget:
    match asset.spec:
        case DatabaseDestination():
            return _table(asset, partitions)
        case RedshiftDestination() | FileDestination():
            raise _not_built(asset, f"destinations of type {asset.spec.type}")
        case _:
            raise AssertionError(asset.spec)


def _table(asset: Declared[DatabaseDestination], partitions: DailyPartitions | None) -> TableTarget:
    spec = asset.spec
    asset.require_connection(spec.connection, "database")
    dialect = connection_dialect(asset)
    if dialect != "postgres":
        raise refused(
            asset.at("connection"),
            f"connection {spec.connection!r} isn't PostgreSQL, which a destination needs to swap "
            "its rows in one transaction",
        )
    write = spec.write or ("replace_partition" if partitions else "replace")
    if write == "replace_partition" and partitions is None:
        raise refused(
            asset.at("write"), f"{spec.from_} has no partitions to replace: write is `replace`"
        )
    if write == "replace" and partitions is not None:
        raise refused(
            asset.at("write"),
            f"`replace` would leave one partition of {spec.from_}: use replace_partition",
        )
    if write not in {"replace_partition", "replace"}:
        raise _not_built(asset, f"write: {write}")
    return TableTarget(
        connection=spec.connection,
        dialect=dialect,
        table=spec.table,
        write=write,
        keys=tuple(spec.keys or ()),
        partition_column=(spec.partition_column or PARTITION) if partitions else None,
        adds_partition_column=partitions is not None and spec.partition_column is None,
        indexes=tuple(tuple(columns) for columns in spec.indexes),
        grants={role: tuple(privileges) for role, privileges in spec.grants.items()},
        narrow=spec.narrow,
    )


def _not_built(asset: Declared[Any], what: str) -> ConfigurationError:
    return refused(asset.at(), f"{what} can't be written yet by this version of the platform")
