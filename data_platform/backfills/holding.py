"""What a backfill is held to: the code that made its first partition, and the inputs as they stood.

Called when a backfill is made, and before each of its runs.
"""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.errors import PermanentError
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.plan.pipelines import Plan
from data_platform.storage.lake import Lake

TOLD = 5
"""Assets that a message names."""


def code_of(nodes: Iterable[AnyNode]) -> dict[Key, str]:
    """The code version of each asset."""
    return {node.key: node.code_version for node in nodes}


def inputs_of_others(
    nodes: Sequence[AnyNode], lake: Lake, instance: dg.DagsterInstance
) -> tuple[dict[Key, int], dict[Key, int | None]]:
    """What is read and not made: the versions of the tables, and their newest materializations.

    The events are asked for first: what comes in between counts as newer then, never as seen.
    """
    own = {node.key for node in nodes}
    others = {given.key for node in nodes for given in node.inputs} - own
    events: dict[Key, int | None] = dict.fromkeys(others)
    for record in instance.get_asset_records([asset_key(key) for key in others]):
        entry = record.asset_entry
        events[Key(*entry.asset_key.path)] = entry.last_materialization_storage_id
    found = {key: lake.table(key).snapshot() for key in sorted(others)}
    versions = {key: snapshot.version for key, snapshot in found.items() if snapshot is not None}
    return versions, {key: events[key] for key in versions}


def require_same_code(backfill_id: str, code: Mapping[Key, str], plan: Plan) -> None:
    """See to it that the pipeline is as it was when the backfill began.

    Raises:
        PermanentError: it isn't.
    """
    now = {key: plan.get(key) for key in code}
    changed = [key for key, node in now.items() if node is None or node.code_version != code[key]]
    if changed:
        some = ", ".join(map(str, changed[:TOLD])) + (" and others" if changed[TOLD:] else "")
        raise PermanentError(
            f"the code of {some} has changed since backfill {backfill_id} began: its partitions "
            "would be built by two versions. Undo the change, or go on with "
            f"`data-platform backfill --resume {backfill_id} --allow-new-code`, or begin anew with "
            "--stale"
        )
