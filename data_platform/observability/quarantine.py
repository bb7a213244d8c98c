"""Rows that were held back: how many, why, and the rows themselves.

Called by the command and by `observability.querying`. Quarantine is committed before the rows that
it stands beside, so only rows that name the asset's published version count: those of a partition
whose publication never came are not there, for anybody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from data_platform.engine.answers import Answer, answer_of
from data_platform.engine.session import Session
from data_platform.errors import PermanentError
from data_platform.plan.expressions import literal, quoted
from data_platform.plan.keys import Key
from data_platform.plan.naming import FILE, PARTITION, PARTITION_FIELD, ROW, WHOLE
from data_platform.plan.nodes import LakeNode
from data_platform.staging.held import MOMENT, REASONS, RUN, SOURCE, VERSION
from data_platform.storage.lake import Lake
from data_platform.storage.workbench import Workbench

_ALL = "_all_quarantined"


@dataclass(frozen=True)
class Held:
    """The rows of a partition that were held back.

    Attributes:
        asset: from which.
        partition: its key; `WHOLE` where the asset has none.
        rows: how many.
        reasons: how many rows each rule held back; a row may have several.
    """

    asset: Key
    partition: str
    rows: int
    reasons: Mapping[str, int]


def held_rows(nodes: Iterable[LakeNode], workbench: Workbench) -> list[Held]:
    """What is in quarantine, by asset and partition."""
    found: list[Held] = []
    some = [node for node in nodes if _standing(node, workbench.lake)]
    if not some:
        return found
    with workbench.open() as (session, _):
        for node in some:
            found += _held(session, node, workbench.lake)
    return found


def held_examples(
    node: LakeNode, workbench: Workbench, partition: str | None, limit: int | None
) -> Answer:
    """Rows of an asset that were held back, as they came, their reasons first.

    Args:
        node: the asset.
        workbench: with the lake.
        partition: None means all.
        limit: of rows; None means no limit.

    Raises:
        PermanentError: the asset has no such partition.
    """
    if partition is not None and not _is_partition(node, partition):
        raise PermanentError(f"{node.key} has no partition {partition!r}")
    if not _standing(node, workbench.lake):
        return Answer((), (), 0)
    with workbench.open() as (session, _):
        relation = show_held(session, node, workbench.lake)
        own = [PARTITION_FIELD, REASONS, VERSION, SOURCE, RUN, MOMENT]
        first = [PARTITION_FIELD, REASONS] if node.partitions else [REASONS]
        unseen = ", ".join(map(quoted, own))
        select = f"SELECT {', '.join(map(quoted, first))}, * EXCLUDE ({unseen}), {RUN}, {MOMENT}"
        where = f"WHERE {PARTITION_FIELD} = $partition" if partition is not None else ""
        parameters = {"partition": partition} if partition is not None else None
        sql = f"{select} FROM {quoted(relation)} {where} ORDER BY {PARTITION_FIELD}"
        return answer_of(session, sql, parameters, limit)


def show_held(session: Session, node: LakeNode, lake: Lake) -> str:
    """Make the rows that count readable; gives the relation's name.

    Raises:
        PermanentError: nothing was ever held back, so that there are no columns either.
    """
    standing = _standing(node, lake)
    snapshot = lake.table(node.quarantine_key).snapshot()
    if snapshot is None:
        raise PermanentError(f"{node.quarantine_key} is empty: no row of {node.key} was held back")
    relation = node.quarantine_key.relation
    session.show(_ALL, snapshot.files(standing))
    versions = [f"({literal(key)}, {literal(version)})" for key, version in standing.items()]
    counts = f"({PARTITION}, {VERSION}) IN ({', '.join(versions)})" if versions else "FALSE"
    session.run(
        f"CREATE OR REPLACE TEMP VIEW {quoted(relation)} AS "
        f"SELECT {PARTITION} AS {PARTITION_FIELD}, * EXCLUDE ({PARTITION}, {FILE}, {ROW}) "
        f"FROM {_ALL} WHERE {counts}"
    )
    return relation


def _standing(node: LakeNode, lake: Lake) -> dict[str, str]:
    """The published version of each partition beside which rows may be held back."""
    if not node.has_quarantine:
        return {}
    held, published = lake.table(node.quarantine_key).snapshot(), lake.table(node.key).snapshot()
    if held is None or published is None:
        return {}
    return {
        key: published.partitions[key].data_version
        for key, version in held.partitions.items()
        if version.rows and key in published.partitions
    }


def _held(session: Session, node: LakeNode, lake: Lake) -> list[Held]:
    relation = quoted(show_held(session, node, lake))
    reasons: dict[str, dict[str, int]] = {}
    for partition, reason, count in session.rows(
        f"SELECT {PARTITION_FIELD}, reason, COUNT(*) FROM "
        f"(SELECT {PARTITION_FIELD}, UNNEST({REASONS}) AS reason FROM {relation}) "
        "GROUP BY ALL ORDER BY ALL"
    ):
        reasons.setdefault(partition, {})[reason] = count
    rows = session.rows(
        f"SELECT {PARTITION_FIELD}, COUNT(*) FROM {relation} GROUP BY ALL ORDER BY ALL"
    )
    return [Held(node.key, key, count, reasons.get(key, {})) for key, count in rows]


def _is_partition(node: LakeNode, key: str) -> bool:
    return node.partitions.is_key(key) if node.partitions else key == WHOLE
