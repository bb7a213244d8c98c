"""A destination, resolved: which asset it follows, and how its table is written.

Called by `plan.building`.
"""

from data_platform.plan.checks.own_checks import compile_own_checks
from data_platform.plan.declared import Declared, refused, same_partition
from data_platform.plan.nodes import DestinationNode
from data_platform.plan.sources.queries import connection_dialect
from data_platform.spec.asset import Retries
from data_platform.spec.pipeline import DatabaseDestination


def destination_node(asset: Declared[DatabaseDestination]) -> DestinationNode:
    """The node of a destination.

    Raises:
        ConfigurationError: what is wrong with it.
    """
    spec = asset.spec
    source = asset.upstream(spec.from_, asset.at("from"), None)
    asset.require_connection(spec.connection, "database")
    dialect = connection_dialect(asset)
    if dialect != "postgres":
        raise refused(
            asset.at("connection"),
            f"connection {spec.connection!r} isn't PostgreSQL, which a destination needs to swap "
            "its rows in one transaction",
        )
    partitions = asset.inherited_partitions(source.partitions)
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
    inputs = (same_partition(source, partitions),)
    checks, inputs = compile_own_checks(asset, source.schema, partitions, inputs)
    return DestinationNode(
        source=source.key,
        connection=spec.connection,
        table=spec.table,
        write=write,
        partition_column=spec.partition_column,
        partitions=partitions,
        inputs=inputs,
        schema=source.schema,
        checks=checks,
        contract=source.contract,
        **asset.common(Retries()),
    )
