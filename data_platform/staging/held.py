"""Quarantine: rows that are held back, as they came, with all their reasons.

Called by `staging.computing` once the audit has told which rows they are. Committed before the rows
that it stands beside, whose version it names.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from data_platform.engine.session import Session
from data_platform.plan.checks.kinds import RowCheck
from data_platform.plan.naming import FILE, HIDDEN_TYPES, PARTITION, ROW
from data_platform.plan.nodes import StagingNode
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.plan.sql.masks import replacement
from data_platform.quality.gate import CANDIDATE
from data_platform.quality.outcomes import Audit
from data_platform.staging.corrections import DECIDED, Corrected, partition_key
from data_platform.staging.identities import ROW_ID, identified
from data_platform.storage.publish import (
    Publication,
    Unwritten,
    Written,
    publish,
    stored_select,
    write,
)
from data_platform.storage.versions import Snapshot
from data_platform.storage.workbench import Workbench

RUN, MOMENT, VERSION, REASONS, SOURCE = (
    "_run_id",
    "_quarantined_at",
    "_data_version",
    "_reasons",
    "_source_version",
)
"""What quarantine keeps with a row: run, moment, published version beside it, why, from where."""

DISCARDED = "_discarded"
"""Why somebody discarded a row; NULL where it waits for a correction."""

_WINDOW = re.compile(r"\bOVER\b", re.IGNORECASE)
OWN = (ROW_ID, REASONS, DISCARDED, VERSION, SOURCE, RUN, MOMENT)
"""The columns of quarantine that aren't the row's."""


def write_quarantine(
    session: Session,
    node: StagingNode,
    audit: Audit,
    written: Written | None,
    scratch: Path,
    workbench: Workbench,
    metadata: Mapping[str, str],
    corrected: Corrected,
) -> Written | None:
    """The rows that are held back or discarded, as they came, with all their reasons."""
    if not node.has_quarantine or written is None:
        return None
    standing = workbench.lake.table(node.quarantine_key).snapshot()
    held = [
        key
        for key in written.versions
        if audit.quarantined.get(key) or corrected.discarded.get(key) or _had_rows(standing, key)
    ]
    if not held:
        return None
    _gather_rows(session, node, audit, held, corrected)
    relation = _quarantine_relation(session, node, written, metadata, corrected)
    select = stored_select(session, relation, [PARTITION])
    keys = ", ".join(map(literal, held))
    tail = f"FROM {relation} WHERE {PARTITION} IN ({keys})"
    rows = Unwritten(select, tail, unversioned=[RUN, MOMENT])
    return write(session, rows, scratch / "quarantine", held)


def _gather_rows(
    session: Session, node: StagingNode, audit: Audit, keys: Sequence[str], corrected: Corrected
) -> None:
    """Make `_held_rows`: the rows of the source that are held back, and those discarded."""
    reasons = [
        f"CASE WHEN {condition} THEN {literal(label)} END"
        for check in node.checks
        if isinstance(check, RowCheck) and check.effect == "quarantine"
        for label, condition in _reasons(check, audit.conditions[check.name]).items()
    ]
    session.run(
        f"CREATE TEMP TABLE _held AS SELECT {FILE}, {ROW}, "
        f"list_filter([{', '.join(reasons)}], lambda r: r IS NOT NULL) "
        f"AS {REASONS}, CAST(NULL AS VARCHAR) AS {DISCARDED} "
        f"FROM {CANDIDATE} WHERE {audit.held_back}"
    )
    if corrected.any:
        session.run(
            f"INSERT INTO _held SELECT {FILE}, {ROW}, reasons, because FROM {DECIDED} "
            f"WHERE kind = 'discard' AND partition_key IN ({', '.join(map(literal, keys))})"
        )
    session.run(
        f"CREATE TEMP TABLE _held_rows AS SELECT s.*, h.{REASONS}, h.{DISCARDED} "
        f"FROM {corrected.came} s JOIN _held h ON s.{FILE} = h.{FILE} AND s.{ROW} = h.{ROW}"
    )


def _quarantine_relation(
    session: Session,
    node: StagingNode,
    written: Written,
    metadata: Mapping[str, str],
    corrected: Corrected,
) -> str:
    """Rows that are held, with what is known of them beside."""
    versions = ", ".join(
        f"({literal(key)}, {literal(version.data_version)})"
        for key, version in written.versions.items()
    )
    came, key = corrected.came, partition_key(node)
    columns = session.columns(f"SELECT * EXCLUDE ({', '.join(HIDDEN_TYPES)}) FROM {came}")
    session.run(f"CREATE TEMP TABLE _known AS {_identities(session, node, columns, corrected)}")
    masks = replacement("s", columns, node.held_masked)
    moment = datetime.now(UTC).isoformat()
    session.run(
        f"CREATE TEMP VIEW _quarantine AS SELECT k.{ROW_ID}, "
        f"s.* EXCLUDE ({', '.join([*HIDDEN_TYPES, REASONS, DISCARDED])}){masks}, "
        f"{key} AS {PARTITION}, "
        f"s.{REASONS}, s.{DISCARDED}, v.version AS {VERSION}, "
        f"SPLIT_PART(parse_filename(s.{FILE}, true), '-', 1) AS {SOURCE}, "
        f"{literal(metadata.get('run_id', ''))} AS {RUN}, "
        f"TIMESTAMPTZ {literal(moment)} AS {MOMENT} "
        f"FROM _held_rows s JOIN _known k ON s.{FILE} = k.{FILE} AND s.{ROW} = k.{ROW} "
        f"JOIN (VALUES {versions}) v(key, version) ON v.key = {key}"
    )
    return "_quarantine"


def _identities(
    session: Session, node: StagingNode, columns: Iterable[str], corrected: Corrected
) -> str:
    """A SELECT of the identities of `_held_rows`, and maybe of others."""
    key = partition_key(node)
    if not corrected.any and _all_equal_rows_are_held(node):
        return identified(
            session, f"(SELECT * EXCLUDE ({REASONS}, {DISCARDED}) FROM _held_rows)", key
        )
    # Rows that are equal to a held one count for its number: those that may be are found by a
    # hash that costs little, and known by one that is the same tomorrow.
    values = ", ".join(map(quoted, columns))
    alike = f"HASH({values}) IN (SELECT HASH({values}) FROM _held_rows)"
    within = f"{PARTITION} IN (SELECT {PARTITION} FROM _held_rows)"
    return identified(session, corrected.came, key, rows=f"{within} AND {alike}")


def _all_equal_rows_are_held(node: StagingNode) -> bool:
    """Whether rows that came equal are held back together, whatever else there is.

    So it is where each row is judged by itself: then the source needn't be looked through again.
    """
    conditions = [check.offends for check in node.checks if isinstance(check, RowCheck)]
    return all(step.effect in {"row-wise", "filters"} for step in node.steps) and not any(
        _WINDOW.search(sql) for sql in (*(step.sql for step in node.steps), *conditions)
    )


def _reasons(check: RowCheck, breaks: str) -> dict[str, str]:
    """Labels and conditions: a check of several columns names the one that is broken."""
    if len(check.parts) > 1:
        return {f"{check.name}: {column}": condition for column, condition in check.parts.items()}
    return {check.name: breaks}


def publish_quarantine(
    node: StagingNode,
    quarantined: Written | None,
    failed: Mapping[str, str],
    workbench: Workbench,
    metadata: Mapping[str, str],
) -> Publication | None:
    """Commit what is held back beside partitions that are published."""
    if quarantined is None:
        return None
    sound = {key: version for key, version in quarantined.versions.items() if key not in failed}
    table = workbench.lake.table(node.quarantine_key)
    return publish(table, Written(sound, quarantined.schema), metadata) if sound else None


def _had_rows(standing: Snapshot | None, key: str) -> bool:
    return standing is not None and key in standing.partitions and standing.partitions[key].rows > 0
