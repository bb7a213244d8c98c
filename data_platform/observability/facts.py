"""What is published of each asset and since when, from the lake, the ledgers and the event log.

Called by the command's `status`. A database that can't be reached makes its tables unknown, and
hides nothing else.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from data_platform.engine.outside import Outside
from data_platform.errors import PlatformError
from data_platform.observability.event_log import Logged
from data_platform.observability.quarantine import held_rows
from data_platform.observability.status import Facts
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode, DestinationNode, LakeNode
from data_platform.storage.commits import KEEPING, ROWS_STAY
from data_platform.storage.lake import Lake, LakeTable
from data_platform.storage.versions import Snapshot
from data_platform.storage.workbench import Workbench
from data_platform.targets.answering import held as held_by


def gather_facts(
    nodes: Iterable[AnyNode],
    workbench: Workbench,
    outside: Outside,
    logged: Mapping[Key, Logged],
) -> dict[Key, Facts]:
    """The facts of assets.

    Args:
        nodes: the assets.
        workbench: with the lake.
        outside: what destinations connect to.
        logged: what the event log says of them.
    """
    asked = list(nodes)
    held: Counter[Key] = Counter()
    for found in held_rows([node for node in asked if isinstance(node, LakeNode)], workbench):
        held[found.asset] += found.rows
    return {
        node.key: _facts(
            node, workbench.lake, outside, logged.get(node.key, Logged()), held[node.key]
        )
        for node in asked
    }


def _facts(node: AnyNode, lake: Lake, outside: Outside, logged: Logged, held: int) -> Facts:
    rows: dict[str, int] = {}
    committed_at, unknown, position = None, None, None
    if isinstance(node, DestinationNode):
        try:
            rows = {key: version.rows for key, version in held_by(node, outside).items()}
        except PlatformError as error:
            unknown = str(error).splitlines()[0]
    else:
        table = lake.table(node.key)
        if snapshot := table.snapshot():
            rows = {key: version.rows for key, version in snapshot.partitions.items()}
            committed_at = changed_at(table, snapshot)
            position = snapshot.batches.position if snapshot.batches else None
    moments = [moment for moment in (committed_at, logged.materialized_at) if moment]
    return Facts(
        rows=rows,
        published_at=max(moments, default=None),
        changed_at=committed_at,
        failed_checks=logged.failed_checks,
        warned_checks=logged.warned_checks,
        quarantined=held,
        unknown=unknown,
        position=position,
        registered=logged.registered,
    )


def changed_at(table: LakeTable, snapshot: Snapshot) -> datetime | None:
    """When rows of a table were committed last; Delta counts milliseconds.

    Whoever only keeps a table in order makes its rows no newer.
    """
    history = table.history(snapshot)
    newest = next((one for one in history if one.get(KEEPING) not in ROWS_STAY), {})
    stamp = newest.get("timestamp")
    return datetime.fromtimestamp(stamp / 1000, UTC) if isinstance(stamp, int) else None
