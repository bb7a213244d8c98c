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
from data_platform.plan.keys import Key
from data_platform.plan.naming import FILE, PARTITION, PARTITION_FIELD, ROW, WHOLE
from data_platform.plan.nodes import LakeNode
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.staging.held import DISCARDED, MOMENT, REASONS, RUN, SOURCE, VERSION
from data_platform.staging.identities import ROW_ID
from data_platform.storage.decisions import decisions_table, show_decisions
from data_platform.storage.lake import Lake
from data_platform.storage.workbench import Workbench

DECIDED_BY, DECIDED_AT = "_decided_by", "_decided_at"
"""Of the newest decision about a row: who took it, and when."""

OWN = (ROW_ID, DISCARDED, DECIDED_BY, DECIDED_AT, REASONS, VERSION, SOURCE, RUN, MOMENT)
"""The columns of what `show_held` shows that aren't the row's, besides its partition."""


_NO_DECISION = (
    "NULL::VARCHAR AS row_id, NULL::VARCHAR AS kind, NULL::VARCHAR AS because, "
    "NULL::VARCHAR AS decided_by, NULL::TIMESTAMPTZ AS decided_at"
)


@dataclass(frozen=True)
class Held:
    """The rows of a partition that were held back.

    Attributes:
        asset: from which.
        partition: its key; `WHOLE` where the asset has none.
        rows: how many wait for somebody; those that were discarded aren't among them.
        reasons: how many of these each rule held back; a row may have several.
        discarded: how many were given up.
    """

    asset: Key
    partition: str
    rows: int
    reasons: Mapping[str, int]
    discarded: int = 0


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
    node: LakeNode,
    workbench: Workbench,
    partition: str | None,
    limit: int | None,
    *,
    discarded: bool = False,
) -> Answer:
    """Rows of an asset that were held back, as they came, their reasons first.

    Args:
        node: the asset.
        workbench: with the lake.
        partition: None means all.
        limit: of rows; None means no limit.
        discarded: show rows that were given up instead of those that wait.

    Raises:
        PermanentError: the asset has no such partition.
    """
    if partition is not None and not _is_partition(node, partition):
        raise PermanentError(f"{node.key} has no partition {partition!r}")
    if not _standing(node, workbench.lake):
        return Answer((), (), 0)
    with workbench.open() as (session, _):
        relation = show_held(session, node, workbench.lake)
        first = [PARTITION_FIELD, REASONS] if node.partitions else [REASONS]
        last = [ROW_ID, RUN, MOMENT]
        if discarded:
            first = [*first, DISCARDED, DECIDED_BY, DECIDED_AT]
        unseen = ", ".join(map(quoted, [PARTITION_FIELD, *OWN]))
        select = f"SELECT {', '.join(first)}, * EXCLUDE ({unseen}), {', '.join(last)}"
        where = f"WHERE {DISCARDED} IS {'NOT ' if discarded else ''}NULL"
        where += f" AND {PARTITION_FIELD} = $partition" if partition is not None else ""
        parameters = {"partition": partition} if partition is not None else None
        sql = f"{select} FROM {quoted(relation)} {where} ORDER BY {PARTITION_FIELD}"
        return answer_of(session, sql, parameters, limit)


def show_held(session: Session, node: LakeNode, lake: Lake) -> str:
    """Make the rows that count readable; gives the relation's name.

    What was decided about a row counts from the moment of the decision, not from the next run.

    Raises:
        PermanentError: nothing was ever held back, so that there are no columns either.
    """
    standing = _standing(node, lake)
    snapshot = lake.table(node.quarantine_key).snapshot()
    if snapshot is None:
        raise PermanentError(f"{node.quarantine_key} is empty: no row of {node.key} was held back")
    relation = node.quarantine_key.relation
    everything = f"{relation}.all"
    session.show(everything, snapshot.files(standing))
    versions = [f"({literal(key)}, {literal(version)})" for key, version in standing.items()]
    counts = f"({PARTITION}, {VERSION}) IN ({', '.join(versions)})" if versions else "FALSE"
    there = session.columns(f"SELECT * FROM {quoted(everything)}")
    # A table that is older than identities doesn't have them until its partitions run again.
    identity = f"a.{ROW_ID}" if ROW_ID in there else "CAST(NULL AS VARCHAR)"
    unseen = [name for name in (PARTITION, FILE, ROW, ROW_ID, DISCARDED) if name in there]
    decisions = f"{relation}.decisions"
    decided = show_decisions(session, decisions_table(lake, node.key), decisions)
    newest = quoted(decisions) if decided else f"(SELECT {_NO_DECISION} WHERE FALSE)"
    standing_one = "CASE WHEN d.kind <> 'restore' THEN d.{} END AS {}"
    session.run(
        f"CREATE OR REPLACE TEMP VIEW {quoted(relation)} AS "
        f"SELECT a.{PARTITION} AS {PARTITION_FIELD}, a.* EXCLUDE ({', '.join(unseen)}), "
        f"{identity} AS {ROW_ID}, "
        f"CASE WHEN d.kind = 'discard' THEN d.because END AS {DISCARDED}, "
        f"{standing_one.format('decided_by', DECIDED_BY)}, "
        f"{standing_one.format('decided_at', DECIDED_AT)} "
        f"FROM {quoted(everything)} a LEFT JOIN {newest} d ON d.row_id = {identity} WHERE {counts}"
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
        f"(SELECT {PARTITION_FIELD}, UNNEST({REASONS}) AS reason FROM {relation} "
        f"WHERE {DISCARDED} IS NULL) "
        "GROUP BY ALL ORDER BY ALL"
    ):
        reasons.setdefault(partition, {})[reason] = count
    rows = session.rows(
        f"SELECT {PARTITION_FIELD}, COUNT_IF({DISCARDED} IS NULL), COUNT({DISCARDED}) "
        f"FROM {relation} GROUP BY ALL ORDER BY ALL"
    )
    return [
        Held(node.key, key, count, reasons.get(key, {}), discarded)
        for key, count, discarded in rows
    ]


def _is_partition(node: LakeNode, key: str) -> bool:
    return node.partitions.is_key(key) if node.partitions else key == WHOLE
