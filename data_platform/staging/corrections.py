"""What was decided about rows of quarantine, put into the rows that staging reads.

Called by `staging.computing` before the first step. Raw stays what came: a correction replaces the
cells that somebody edited, a discarded row is left out. A partition without decisions pays nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from data_platform.engine.inputs import partitions_read
from data_platform.engine.session import Session
from data_platform.plan.cells import is_no_value, value_of
from data_platform.plan.checks.notices import notice_check
from data_platform.plan.naming import CORRECTIONS, FILE, HIDDEN_TYPES, PARTITION, ROW, WHOLE
from data_platform.plan.nodes import StagingNode
from data_platform.plan.relations import relation_of
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.quality.outcomes import Finding, Outcome
from data_platform.staging.identities import ROW_ID, identified
from data_platform.storage.decisions import decisions_table, show_decisions
from data_platform.storage.lake import Lake
from data_platform.storage.versions import Snapshot

CAME, DECIDED = "_came", "_decided"
MAX_NAMED = 3
"""Identities of rows in the words of a check."""


@dataclass(frozen=True)
class Corrected:
    """What decisions did to the rows of a step.

    Attributes:
        came: the relation of the rows as they came, quoted.
        corrected, discarded: rows of the source, by partition.
        lost: identities whose decision has no effect, by partition: no such row came, or the
            source's columns have changed.
        any: whether anything was decided about these partitions, so that `DECIDED` is there.
    """

    came: str
    corrected: Mapping[str, int] = field(default_factory=dict[str, int])
    discarded: Mapping[str, int] = field(default_factory=dict[str, int])
    lost: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    any: bool = False


def partition_key(node: StagingNode) -> str:
    """SQL of the partition of staging in which a row of the source ends."""
    return PARTITION if node.partitions else literal(WHOLE)


def apply_decisions(
    session: Session,
    node: StagingNode,
    keys: Sequence[str],
    snapshots: Mapping[str, Snapshot],
    lake: Lake,
) -> Corrected:
    """Put what was decided into the source's relation.

    Args:
        session: in which the inputs of the node are shown.
        node: the asset.
        keys: its partitions.
        snapshots: that it reads, by relation.
        lake: with the decisions.
    """
    source = quoted(node.source.relation)
    if not show_decisions(session, decisions_table(lake, node.key), "_newest"):
        return Corrected(source)
    session.run(
        "CREATE OR REPLACE TEMP TABLE _standing AS SELECT * FROM _newest "
        f"WHERE kind <> 'restore' AND partition_key IN ({', '.join(map(literal, keys))})"
    )
    concerned = [
        str(key) for (key,) in session.rows("SELECT DISTINCT partition_key FROM _standing")
    ]
    if not concerned:
        return Corrected(source)
    _show_as_it_came(session, node, keys, snapshots)
    columns = session.columns(f"SELECT * EXCLUDE ({', '.join(HIDDEN_TYPES)}) FROM {CAME}")
    patched = _find_rows(session, node, concerned, columns)
    replaced = ", ".join(
        f"CASE WHEN d._has_{number} THEN d._value_{number} ELSE c.{quoted(name)} END "
        f"AS {quoted(name)}"
        for number, name in enumerate(patched)
    )
    session.run(
        f"CREATE OR REPLACE TEMP VIEW {source} AS "
        f"SELECT c.*{f' REPLACE ({replaced})' if replaced else ''} FROM {CAME} c "
        f"LEFT JOIN {DECIDED} d ON c.{FILE} = d.{FILE} AND c.{ROW} = d.{ROW} "
        "WHERE d.kind IS DISTINCT FROM 'discard'"
    )
    return Corrected(
        CAME, _counted(session, "correct"), _counted(session, "discard"), _lost(session), any=True
    )


def corrections_outcome(
    node: StagingNode, keys: Sequence[str], corrected: Corrected
) -> list[Outcome]:
    """The check that warns of decisions without effect; only where rows may be held back."""
    if not node.has_quarantine:
        return []
    findings: dict[str, Finding] = {}
    for key in keys:
        lost = corrected.lost.get(key, ())
        done = corrected.corrected.get(key, 0) + corrected.discarded.get(key, 0)
        findings[key] = Finding(
            done + len(lost), len(lost), "warn" if lost else "pass", _told(lost) if lost else None
        )
    return [Outcome(notice_check(CORRECTIONS, node.location), findings)]


def _told(lost: Sequence[str]) -> str:
    named = ", ".join(lost[:MAX_NAMED])
    more = f" and {len(lost) - MAX_NAMED} more" if len(lost) > MAX_NAMED else ""
    return (
        f"without effect: {named}{more}: the row isn't in the source any more as it was, or a "
        "column has another type; `data-platform quarantine restore` takes the decision back"
    )


def _show_as_it_came(
    session: Session, node: StagingNode, keys: Sequence[str], snapshots: Mapping[str, Snapshot]
) -> None:
    relation = node.source.relation
    given = next(one for one in node.inputs if relation_of(one) == relation)
    snapshot = snapshots[relation]
    wanted = partitions_read(given, node, keys, snapshot.partitions)
    session.show(CAME, snapshot.files(wanted))


def _find_rows(
    session: Session, node: StagingNode, concerned: Sequence[str], columns: Mapping[str, str]
) -> list[str]:
    """Make `DECIDED`: file and row of each decision with what it says; gives the columns edited."""
    key = partition_key(node)
    found = identified(
        session,
        CAME,
        key,
        rows=f"{key} IN ({', '.join(map(literal, concerned))})",
        hashes="SELECT SPLIT_PART(row_id, '-', 1) FROM _standing",
    )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE _found AS SELECT f.{FILE}, f.{ROW}, d.*, "
        "CAST(CAST(d.patch AS JSON) AS MAP(VARCHAR, VARCHAR)) AS _patch "
        f"FROM ({found}) f JOIN _standing d ON f.{ROW_ID} = d.row_id"
    )
    edited = [
        str(name)
        for (name,) in session.rows(
            "SELECT DISTINCT UNNEST(MAP_KEYS(_patch)) AS name FROM _found ORDER BY name"
        )
    ]
    known = [name for name in edited if name in columns]
    texts = "".join(
        f", COALESCE(MAP_CONTAINS(_patch, {literal(name)}), FALSE) AS _has_{number}"
        f", MAP_EXTRACT(_patch, {literal(name)})[1] AS _text_{number}"
        for number, name in enumerate(known)
    )
    strange = [name for name in edited if name not in columns]
    wrong = [f"COALESCE(MAP_CONTAINS(_patch, {literal(name)}), FALSE)" for name in strange]
    wrong += [is_no_value(f"_text_{number}", columns[name]) for number, name in enumerate(known)]
    values = "".join(
        f", {value_of(f'_text_{number}', columns[name])} AS _value_{number}"
        for number, name in enumerate(known)
    )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {DECIDED} AS SELECT *{values} "
        f"FROM (SELECT *{texts} FROM _found) WHERE NOT ({' OR '.join(wrong) or 'FALSE'})"
    )
    return known


def _counted(session: Session, kind: str) -> dict[str, int]:
    rows = session.rows(
        f"SELECT partition_key, COUNT(*) FROM {DECIDED} WHERE kind = $kind GROUP BY 1",
        {"kind": kind},
    )
    return {str(key): int(count) for key, count in rows}


def _lost(session: Session) -> dict[str, list[str]]:
    lost: dict[str, list[str]] = {}
    for key, identity in session.rows(
        "SELECT partition_key, row_id FROM _standing "
        f"WHERE row_id NOT IN (SELECT row_id FROM {DECIDED}) ORDER BY ALL"
    ):
        lost.setdefault(str(key), []).append(str(identity))
    return lost
