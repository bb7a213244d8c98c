"""Column lineage as Dagster records it of a materialization.

Called by the steps of the lake and of destinations. `dagster/column_lineage` is what Dagster+ draws
and other tools read; Dagster's own UI hides it, so a table beside it shows the same to people. What
a run really read is followed: its columns are known to the end, which those of a plan often aren't.
It isn't put on definitions: to follow 2,000 assets takes seconds, and loading them must not.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.plan.keys import Key
from data_platform.plan.lineage.nodes import NodeLineage, lineage_of
from data_platform.plan.lineage.relations import EVERY, Origin, Use
from data_platform.plan.nodes import Node
from data_platform.plan.relations import relation_of
from data_platform.plan.schemas import UNKNOWN_SCHEMA, Column, Schema
from data_platform.reporting.markdown import escaped, table
from data_platform.storage.versions import Snapshot

MAX_COLUMNS = 100
"""That are told of; nobody reads more, and each is some 100 bytes."""

Spelled = Mapping[Key, Mapping[str, str]]


def lineage_metadata(node: Node, upstreams: Mapping[str, Snapshot]) -> dict[str, Any]:
    """What the columns of an asset are made of.

    Args:
        node: the asset.
        upstreams: what was read, by relation; without any there is nothing to tell.
    """
    schemas = {
        given.key: _schema(upstreams[relation_of(given)])
        for given in node.inputs
        if relation_of(given) in upstreams
    }
    if not schemas:
        return {}
    try:
        followed = lineage_of(node, lambda key: schemas.get(key, UNKNOWN_SCHEMA))
    except Exception as error:  # noqa: BLE001 -- what only describes a step must not fail it
        return {"lineage": f"can't be told: {type(error).__name__}: {error}"}
    spelled = {
        key: {name.lower(): name for name in schema.names} for key, schema in schemas.items()
    }
    told = _told(followed, spelled)
    if not any(told.values()):
        return {}
    lineage = dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(asset_key(key), column) for key, column in origins]
            for name, origins in told.items()
        }
    )
    return {
        "dagster/column_lineage": lineage,
        "lineage": dg.MetadataValue.md(_markdown(told, followed, spelled)),
    }


def _schema(snapshot: Snapshot) -> Schema:
    return Schema(tuple(Column(name, None) for name in snapshot.schema.names), closed=True)


def _told(followed: NodeLineage, spelled: Spelled) -> dict[str, list[tuple[Key, str]]]:
    """The columns of upstreams that each is made of; nothing where that can't be followed."""
    return {
        name: _columns(made.all, spelled) for name, made in followed.relation.columns[:MAX_COLUMNS]
    }


def _columns(origins: Iterable[Origin], spelled: Spelled) -> list[tuple[Key, str]]:
    return sorted(
        (asset, spelled.get(asset, {}).get(column, column))
        for asset, column in origins
        if isinstance(asset, Key) and column != EVERY
    )


def _markdown(
    told: Mapping[str, list[tuple[Key, str]]], followed: NodeLineage, spelled: Spelled
) -> str:
    rows = [[escaped(name), _listed(origins)] for name, origins in told.items()]
    text = table(["column", "made of"], rows, [False, False])
    ways = {
        use: _columns((o for o, uses in followed.uses.items() if use in uses), spelled)
        for use in Use
        if use is not Use.NAMED
    }
    lines = [f"- {use}: {_listed(columns)}" for use, columns in ways.items() if columns]
    return "\n".join([text, "\nWhich rows there are is decided by\n", *lines]) if lines else text


def _listed(columns: Iterable[tuple[Key, str]]) -> str:
    return ", ".join(escaped(f"{key}.{column}") for key, column in columns)
