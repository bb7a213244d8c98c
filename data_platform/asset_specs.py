"""What Dagster shows of a node: key, group, owners, kinds, partitions, dependencies, checks.

Called by the stages' `assets.py`; nothing here runs.
"""

from collections.abc import Sequence
from typing import Any, assert_never, cast

import dagster as dg

from data_platform.instance.location_names import DEFAULT, own_location
from data_platform.partitioning.definitions import definition_of
from data_platform.partitioning.mappings import mapping_of
from data_platform.plan.checks.kinds import Check
from data_platform.plan.declared import partitions_of
from data_platform.plan.destinations.kinds import (
    AnyTarget,
    FileTarget,
    RedshiftTarget,
    TableTarget,
)
from data_platform.plan.destinations.kinds import address_of as target_address
from data_platform.plan.keys import Key
from data_platform.plan.nodes import (
    AnalyticsNode,
    AnyNode,
    DestinationNode,
    Input,
    LakeNode,
    Node,
    PythonNode,
    RawNode,
    StagingNode,
)
from data_platform.plan.partitions import Partitions
from data_platform.plan.retrying import retries_in_words
from data_platform.plan.schemas import Schema
from data_platform.plan.sources.kinds import (
    AnySource,
    Api,
    DatabaseQuery,
    DatabaseTable,
    Files,
    PythonSource,
    Topic,
    address_of,
)
from data_platform.spec.outside import ExternalAsset

_LAKE_KIND = "deltalake"
"""Dagster's name for Delta Lake, to which its UI has a sign."""


def platform_key() -> dg.AssetKey:
    """Dagster's key of the pipelines of this code location as a whole: `platform`."""
    name = own_location()
    return dg.AssetKey(["platform", *([name] if name != DEFAULT else [])])


def asset_key(key: Key) -> dg.AssetKey:
    """Dagster's key of an asset."""
    return dg.AssetKey(list(key))


def asset_spec(
    node: AnyNode,
    condition: dg.AutomationCondition[dg.AssetKey] | None = None,
    policy: dg.FreshnessPolicy | None = None,
) -> dg.AssetSpec:
    """The spec of a node.

    Args:
        node: the asset.
        condition: when it runs by itself.
        policy: how old it may become.
    """
    return dg.AssetSpec(
        asset_key(node.key),
        deps=_deps(node),
        description=_description(node),
        group_name=node.key.pipeline,
        owners=[node.owner],
        tags={
            **node.tags,
            "criticality": node.criticality,
        },
        kinds=_kinds(node),
        code_version=node.code_version,
        partitions_def=partitions_definition(node.partitions),
        metadata=_metadata(node),
        automation_condition=condition,
        freshness_policy=policy,
    )


def quarantine_spec(node: LakeNode) -> dg.AssetSpec:
    """The quarantine beside a staging asset: a by-product of its step."""
    return dg.AssetSpec(
        asset_key(node.quarantine_key),
        deps=[asset_key(node.key)],
        description=f"Rows that {node.key.name} held back, as they came, with their reasons. "
        f"See `data-platform quarantine show {node.key}`.",
        group_name=node.key.pipeline,
        owners=[node.owner],
        kinds={node.quarantine_key.layer, _LAKE_KIND},
        partitions_def=partitions_definition(node.partitions),
    )


def check_specs(node: Node, further: Sequence[Check] = ()) -> list[dg.AssetCheckSpec]:
    """The checks of a node. None blocks in Dagster: what fails is never published to begin with."""
    return [
        dg.AssetCheckSpec(
            check.name,
            asset=asset_key(node.key),
            description=check.description,
            metadata={
                "kind": check.kind,
                "on_violation": check.effect,
                **_reference(check.location),
            },
        )
        for check in [*node.checks, *further]
    ]


def partitions_definition(
    partitions: Partitions | None,
) -> dg.PartitionsDefinition[str] | None:
    """Dagster's partitions."""
    return definition_of(partitions) if partitions else None


def table_schema(schema: Schema) -> dg.TableSchema:
    """Dagster's column schema."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                (column.type or "unknown").lower(),
                column.description,
                dg.TableColumnConstraints(nullable=column.nullable, unique=column.unique),
                {"pii": ""} if column.pii else None,
            )
            for column in schema.columns
        ]
    )


def _deps(node: Node) -> list[dg.AssetDep]:
    """One dependency an upstream: where it is read in several ways, the widest."""
    widest: dict[Key, Input] = {}
    order = ("same", "whole", "matching", "last", "all")
    for given in (*node.inputs, *node.after):
        known = widest.get(given.key)
        if known is None or order.index(given.reads) > order.index(known.reads):
            widest[given.key] = given
    return [
        *(
            dg.AssetDep(asset_key(given.key), partition_mapping=mapping_of(given, node.partitions))
            for given in widest.values()
        ),
        *(dg.AssetDep(external_key(key)) for key in node.external),
    ]


def external_key(text: str) -> dg.AssetKey:
    """Dagster's key of an asset that is made elsewhere."""
    return dg.AssetKey(text.split("/"))


def external_spec(text: str, written: ExternalAsset) -> dg.AssetSpec:
    """What Dagster shows of an asset that is made elsewhere."""
    return dg.AssetSpec(
        external_key(text),
        description=written.description,
        group_name="external",
        kinds={"external"},
        partitions_def=partitions_definition(partitions_of(written.partitions)),
    )


def _description(node: AnyNode) -> str | None:
    """A person's words, and a person's SQL; what the platform writes itself is in the metadata."""
    match node:
        case AnalyticsNode():
            parts = [node.description, f"```sql\n{node.sql}\n```"]
            return "\n\n".join(part for part in parts if part)
        case DestinationNode():
            return node.description or f"{node.source} as {_place(node.target)}."
        case _:
            return node.description


def _kinds(node: AnyNode) -> set[str]:
    # The layer is one, since a graph shows only the last part of a key.
    match node:
        case RawNode():
            return {node.key.layer, _reads(node.source), _LAKE_KIND}
        case StagingNode() | AnalyticsNode():
            return {node.key.layer, "sql", _LAKE_KIND}
        case PythonNode():
            return {node.key.layer, "python", _LAKE_KIND}
        case DestinationNode():
            return {node.key.layer, _written_as(node.target)}


def _reads(source: AnySource) -> str:
    """Dagster's name for what a source is, to which its UI may have a sign."""
    match source:
        case DatabaseTable() | DatabaseQuery():
            return "postgres"
        case Api():
            return "api"
        case Files():
            return source.format
        case Topic():
            return "kafka"
        case PythonSource():
            return "python"
        case _:
            assert_never(source)


def _written_as(target: AnyTarget) -> str:
    """Dagster's name for what a target is, to which its UI may have a sign."""
    match target:
        case TableTarget():
            return target.dialect
        case RedshiftTarget():
            return "redshift"
        case FileTarget():
            return target.format
        case _:
            assert_never(target)


def _place(target: AnyTarget) -> str:
    """Where a target is, in words."""
    system, name = target_address(target)
    return f"{name} in {system}" if system else name


def place_metadata(target: AnyTarget) -> dict[str, Any]:
    """Where a target is, by Dagster's own key where it is a table."""
    system, name = target_address(target)
    if isinstance(target, FileTarget):
        return {"path": name}
    return {"dagster/table_name": f"{system}.{name}"}


def _metadata(node: AnyNode) -> dict[str, Any]:
    metadata: dict[str, Any] = {**_reference(node.location)}
    if node.runbook:
        metadata["runbook"] = dg.MetadataValue.url(node.runbook)
    if retries := retries_in_words(node.retries):
        metadata["retries"] = retries
    if node.schema.columns:
        metadata["dagster/column_schema"] = table_schema(node.schema)
    if isinstance(node, LakeNode) and node.contract_version:
        metadata["contract_version"] = node.contract_version
    match node:
        case RawNode():
            metadata["source"] = ": ".join(part for part in address_of(node.source) if part)
        case DestinationNode():
            metadata |= place_metadata(node.target)
        case StagingNode() | AnalyticsNode() | PythonNode():
            metadata["dagster/table_name"] = node.key.relation
    if isinstance(node, StagingNode):
        metadata["sql"] = dg.MetadataValue.md(f"```sql\n{node.sql}\n```")
    return metadata


def _reference(location: Any) -> dict[str, Any]:
    reference = dg.LocalFileCodeReference(file_path=str(location.file), line_number=location.line)
    return {
        "dagster/code_references": dg.CodeReferencesMetadataValue(
            code_references=cast("Any", [reference])
        )
    }
